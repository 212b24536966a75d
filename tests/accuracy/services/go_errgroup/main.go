// net/http, calls made at once from goroutines of an errgroup. "nested": the handler runs in a goroutine of its own
// (http.TimeoutHandler), which begins them, and a further one between it and each call.
package main

import (
	"io"
	"log"
	"net/http"
	"os"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"wirespan/accuracy/services/goserve"
	"wirespan/accuracy/wire"
)

// By a goroutine that nothing but its beginning and its end is heard of.
func inAnother(call func() error) (err error) {
	var done sync.WaitGroup
	done.Add(1)
	go func() {
		defer done.Done()
		err = call()
	}()
	done.Wait()
	return err
}

func main() {
	client := goserve.Client()
	goserve.Background(client)
	nested := len(os.Args) > 1 && os.Args[1] == "nested"
	var handler http.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		token, _ := wire.Token(body)
		for _, step := range wire.Plan(token) {
			time.Sleep(step.Pause)
			var group errgroup.Group
			for _, index := range step.Calls {
				call := func() error { return goserve.Call(client, r.URL.Path, body, index) }
				if nested {
					group.Go(func() error { return inAnother(call) })
				} else {
					group.Go(call)
				}
			}
			if err := group.Wait(); err != nil {
				http.Error(w, err.Error(), http.StatusBadGateway)
				return
			}
		}
		io.WriteString(w, "done\n")
	})
	if nested {
		handler = http.TimeoutHandler(handler, time.Minute, "late")
	}
	log.Fatal(http.ListenAndServe(goserve.Listen(), handler))
}
