// What the test of goroutines traces: a server that calls itself, from the handler, from a goroutine of the handler's and
// from a worker behind a channel and from one in a select, over connections it keeps.
package main

import (
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"sync"
)

const requests, clients = 10, 4

var base string

func get(path string) {
	response, err := http.Get(base + path)
	if err != nil {
		log.Fatal(err)
	}
	io.Copy(io.Discard, response.Body)
	response.Body.Close()
}

type job struct {
	path string
	done chan string
}

func main() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	base = "http://" + listener.Addr().String()
	jobs := make(chan job)
	go func() {
		for j := range jobs {
			get(j.path)
			j.done <- j.path
		}
	}()
	picked, quit := make(chan job), make(chan string)
	go func() {
		for {
			select {
			case j := <-picked:
				get(j.path)
				j.done <- j.path
			case <-quit:
				return
			}
		}
	}()
	http.HandleFunc("/leaf", func(w http.ResponseWriter, r *http.Request) {})
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		get("/leaf?direct")
		var children sync.WaitGroup
		children.Add(1)
		go func() {
			defer children.Done()
			get("/leaf?child")
		}()
		children.Wait()
		j := job{"/leaf?worker", make(chan string)}
		jobs <- j
		<-j.done
		j.path = "/leaf?selects"
		select {
		case picked <- j:
		case <-r.Context().Done():
		}
		select {
		case <-j.done:
		case <-r.Context().Done():
		}
	})
	go http.Serve(listener, nil)
	os.Stdout.WriteString("r")
	os.Stdin.Read(make([]byte, 1)) // until it is traced
	var all sync.WaitGroup
	for range [clients]int{} {
		all.Add(1)
		go func() {
			defer all.Done()
			for range [requests]int{} {
				get("/")
			}
		}()
	}
	all.Wait()
}
