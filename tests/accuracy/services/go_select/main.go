// net/http in front of worker goroutines as most programs write them: workers wait in a select, for work and for the end;
// handlers hand their job in and wait for the answer in selects of their own, for as long as the client is there.
//
// Variant "two": an urgent and an ordinary queue in one select, and what every job needs a while comes from a channel to
// which it is given back. Variant "lazy": handlers begin workers as they need them, and these end when they have had
// nothing to do for a while.
package main

import (
	"context"
	"errors"
	"io"
	"log"
	"net/http"
	"os"
	"os/signal"
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

type scratch struct{ text strings.Builder }

type pool struct {
	client  *http.Client
	urgent  chan job
	jobs    chan job
	scratch chan *scratch
	room    chan struct{} // for another worker to be begun; nil: all are there from the start
}

func (p *pool) work(j job) error {
	token, _ := wire.Token(j.body)
	for _, step := range wire.Plan(token) {
		time.Sleep(step.Pause)
		for _, index := range step.Calls {
			if p.scratch == nil {
				if err := goserve.Call(p.client, j.path, j.body, index); err != nil {
					return err
				}
				continue
			}
			s := <-p.scratch
			s.text.Reset()
			s.text.WriteString(j.path)
			err := goserve.Call(p.client, s.text.String(), j.body, index)
			p.scratch <- s
			if err != nil {
				return err
			}
		}
	}
	return nil
}

func (p *pool) run(ctx context.Context) {
	idle := time.NewTicker(50 * time.Millisecond)
	defer idle.Stop()
	for {
		select {
		case j := <-p.urgent:
			j.done <- p.work(j)
		case j := <-p.jobs:
			j.done <- p.work(j)
		case <-idle.C:
		case <-ctx.Done():
			return
		}
	}
}

func (p *pool) runForAWhile() {
	defer func() { p.room <- struct{}{} }()
	for {
		select {
		case j := <-p.jobs:
			j.done <- p.work(j)
		case <-time.After(100 * time.Millisecond):
			return
		}
	}
}

func (p *pool) do(ctx context.Context, j job) error {
	select {
	case <-p.room:
		go p.runForAWhile()
	default:
	}
	queue := p.jobs
	if p.urgent != nil && len(j.path)%2 == 0 {
		queue = p.urgent
	}
	select {
	case queue <- j:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-j.done:
		return err
	case <-ctx.Done():
		return errors.New("the client went away")
	}
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	p := &pool{client: goserve.Client(), jobs: make(chan job, 4096)}
	goserve.Background(p.client)
	workers := goserve.Setting("WORKERS")
	if len(os.Args) > 1 && os.Args[1] == "two" {
		p.urgent = make(chan job, 4096)
		p.scratch = make(chan *scratch, workers)
		for range workers {
			p.scratch <- &scratch{}
		}
	}
	if len(os.Args) > 1 && os.Args[1] == "lazy" {
		p.room = make(chan struct{}, workers)
		for range workers {
			p.room <- struct{}{}
		}
		workers = 0
	}
	for range workers {
		go p.run(ctx)
	}
	log.Fatal(http.ListenAndServe(goserve.Listen(), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if err := p.do(r.Context(), job{r.URL.Path, body, make(chan error, 1)}); err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		io.WriteString(w, "done\n")
	})))
}
