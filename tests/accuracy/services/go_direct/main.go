// net/http: the handler's goroutine makes its calls itself, one after another.
package main

import (
	"io"
	"log"
	"net/http"
	"time"

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
			for _, index := range step.Calls {
				if err := goserve.Call(client, r.URL.Path, body, index); err != nil {
					http.Error(w, err.Error(), http.StatusBadGateway)
					return
				}
			}
		}
		io.WriteString(w, "done\n")
	})))
}
