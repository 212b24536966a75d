// A plain net/http service: answers /stock/ID, after asking the next service through the default client.
// With DIRECT=1 the handler writes the request to a connection of its own, in its own goroutine.
package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"path"
)

func ask(method, url string, body []byte) (*http.Response, error) {
	request, err := http.NewRequest(method, url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if os.Getenv("DIRECT") == "" {
		return http.DefaultClient.Do(request)
	}
	conn, err := net.Dial("tcp", request.URL.Host)
	if err != nil {
		return nil, err
	}
	request.Close = true
	if err := request.Write(conn); err != nil {
		return nil, err
	}
	reply, err := http.ReadResponse(bufio.NewReader(conn), request)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	whole, err := io.ReadAll(reply.Body)
	reply.Body = io.NopCloser(bytes.NewReader(whole))
	return reply, err
}

func main() {
	next := os.Getenv("NEXT")
	http.HandleFunc("/stock/", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if next == "" {
			fmt.Fprintln(w, "go")
			return
		}
		reply, err := ask(r.Method, next+"/"+path.Base(r.URL.Path), body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		defer reply.Body.Close()
		fmt.Fprint(w, "go > ")
		io.Copy(w, reply.Body)
	})
	log.Fatal(http.ListenAndServe(os.Getenv("LISTEN"), nil))
}
