// Package goserve has what the Go services share: settings from the environment, one call to the backend and all that a
// request asks for.
package goserve

import (
	"bytes"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"wirespan/accuracy/wire"
)

// Setting reads a number from the environment.
func Setting(name string) int {
	n, err := strconv.Atoi(os.Getenv(name))
	if err != nil {
		log.Fatalf("%s: %v", name, err)
	}
	return n
}

// Client is the stock transport with as many idle connections as the kind asks for.
func Client() *http.Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = Setting("CONNECTIONS")
	transport.MaxConnsPerHost = Setting("CONNECTIONS")
	return &http.Client{Transport: transport}
}

// Call makes the index-th call for a request.
func Call(client *http.Client, path string, body []byte, index int) error {
	url := fmt.Sprintf("http://127.0.0.1:%d%s", Setting("BACKEND_PORT"), wire.CallPath(path, index))
	response, err := client.Post(url, "text/plain", bytes.NewReader(wire.CallBody(body, index)))
	if err != nil {
		return err
	}
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, response.Body)
	return err
}

// Work makes all calls that a request asks for, one after another.
func Work(client *http.Client, path string, body []byte) error {
	token, _ := wire.Token(body)
	for _, step := range wire.Plan(token) {
		time.Sleep(step.Pause)
		for _, index := range step.Calls {
			if err := Call(client, path, body, index); err != nil {
				return err
			}
		}
	}
	return nil
}

// Background makes calls that no request asked for, where they are wanted.
func Background(client *http.Client) {
	every := time.Duration(Setting("BACKGROUND_MS")) * time.Millisecond
	if every == 0 {
		return
	}
	body := wire.NewBody(strings.Repeat("-", wire.TokenSize), wire.NoIndex)
	go func() {
		for range time.Tick(every) {
			if err := Call(client, "/refresh", body, 0); err != nil {
				log.Print(err)
			}
		}
	}()
}

// Listen is where the service is to listen.
func Listen() string { return fmt.Sprintf("127.0.0.1:%d", Setting("PORT")) }
