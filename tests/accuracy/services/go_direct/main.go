// net/http: the handler's goroutine makes its calls itself, one after another.
package main

import (
	"io"
	"log"
	"net/http"

	"wirespan/accuracy/services/goserve"
)

func main() {
	client := goserve.Client()
	goserve.Background(client)
	log.Fatal(http.ListenAndServe(goserve.Listen(), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if err := goserve.Work(client, r.URL.Path, body); err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		io.WriteString(w, "done\n")
	})))
}
