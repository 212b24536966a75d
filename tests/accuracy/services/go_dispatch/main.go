// net/http in front of a dispatcher: workers that have nothing to do put channels of their own into a pool of them, and
// whoever passes a job on takes one out. In the variants "spawned" that is a goroutine for each job.
package main

import (
	"io"
	"log"
	"net/http"
	"os"
	"strings"

	"wirespan/accuracy/services/goserve"
)

type job struct {
	path string
	body []byte
	done chan error
}

func worker(client *http.Client, idle chan chan job) {
	own := make(chan job)
	for {
		idle <- own
		j := <-own
		j.done <- goserve.Work(client, j.path, j.body)
	}
}

func pass(j job, idle chan chan job) {
	own := <-idle
	own <- j
}

func main() {
	spawned := strings.HasPrefix(os.Args[1], "spawned")
	client := goserve.Client()
	goserve.Background(client)
	workers := goserve.Setting("WORKERS")
	jobs, idle := make(chan job, 4096), make(chan chan job, workers)
	for range workers {
		go worker(client, idle)
	}
	go func() {
		for j := range jobs {
			if spawned {
				go pass(j, idle)
			} else {
				pass(j, idle)
			}
		}
	}()
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
