// net/http in front of a dispatcher: workers that have nothing to do put channels of their own into a pool of them, and
// whoever passes a job on takes one out. In the variants "spawned" that is a goroutine for each job.
package main

import (
	"io"
	"log"
	"net/http"
	"os"
	"strings"
	"time"

	"wirespan/accuracy/services/goserve"
	"wirespan/accuracy/wire"
)

type job struct {
	path string
	body []byte
	done chan error
}

func work(client *http.Client, j job) error {
	token, _ := wire.Token(j.body)
	for _, step := range wire.Plan(token) {
		time.Sleep(step.Pause)
		for _, index := range step.Calls {
			if err := goserve.Call(client, j.path, j.body, index); err != nil {
				return err
			}
		}
	}
	return nil
}

func worker(client *http.Client, idle chan chan job) {
	own := make(chan job)
	for {
		idle <- own
		j := <-own
		j.done <- work(client, j)
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
