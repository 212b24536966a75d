// net/http, calls made at once from goroutines of an errgroup.
package main

import (
	"io"
	"log"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"

	"wirespan/accuracy/services/goserve"
	"wirespan/accuracy/wire"
)

func main() {
	client := goserve.Client()
	goserve.Background(client)
	log.Fatal(http.ListenAndServe(goserve.Listen(), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		token, _ := wire.Token(body)
		for _, step := range wire.Plan(token) {
			time.Sleep(step.Pause)
			var group errgroup.Group
			for _, index := range step.Calls {
				group.Go(func() error { return goserve.Call(client, r.URL.Path, body, index) })
			}
			if err := group.Wait(); err != nil {
				http.Error(w, err.Error(), http.StatusBadGateway)
				return
			}
		}
		io.WriteString(w, "done\n")
	})))
}
