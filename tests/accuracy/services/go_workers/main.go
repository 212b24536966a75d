// net/http in front of worker goroutines fed by a channel: the worker makes the calls, the handler waits and answers.
package main

import (
	"io"
	"log"
	"net/http"

	"wirespan/accuracy/services/goserve"
)

type job struct {
	path string
	body []byte
	done chan error
}

func main() {
	client := goserve.Client()
	goserve.Background(client)
	jobs := make(chan job, 4096)
	for range goserve.Setting("WORKERS") {
		go func() {
			for j := range jobs {
				j.done <- goserve.Work(client, j.path, j.body)
			}
		}()
	}
	log.Fatal(http.ListenAndServe(goserve.Listen(), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		j := job{r.URL.Path, body, make(chan error, 1)}
		jobs <- j
		if err := <-j.done; err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		io.WriteString(w, "done\n")
	})))
}
