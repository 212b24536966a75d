package wire

import (
	"bufio"
	"errors"
	"io"
	"net/http"
	"time"
)

// Request is one request as a server read it.
type Request struct {
	Path  string
	Body  []byte
	First time.Time // its first bytes were there
	Close bool      // the peer wants no more requests on this connection
}

// ReadRequest reads the next request of a connection.
func ReadRequest(in *bufio.Reader) (*Request, error) {
	if _, err := in.Peek(1); err != nil {
		return nil, err
	}
	first := time.Now()
	r, err := http.ReadRequest(in)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	return &Request{r.URL.Path, body, first, r.Close}, nil
}

// ReadResponse reads the next response of a connection and says whether the connection can be used again.
func ReadResponse(in *bufio.Reader) (status int, reusable bool, err error) {
	r, err := http.ReadResponse(in, nil)
	if err != nil {
		return 0, false, err
	}
	defer r.Body.Close()
	if _, err = io.Copy(io.Discard, r.Body); err != nil {
		return 0, false, errors.Join(errors.New("response body"), err)
	}
	return r.StatusCode, !r.Close, nil
}
