// The load generator: a closed loop of keep-alive connections. Each request carries a new token behind the bytes an
// agent can see, and is logged with the connection it went over: one half of the ground truth.
package main

import (
	"bufio"
	"encoding/hex"
	"flag"
	"fmt"
	"log"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"wirespan/accuracy/wire"
)

type record struct {
	clientPort, serverPort, number int // number: k-th request on its connection, from 0
	token, path                    string
	sent, done                     time.Time
	status                         int // 0: no answer
}

type client struct {
	address string
	random  *rand.Rand
	pauses  bool
	conn    net.Conn
	in      *bufio.Reader
	number  int
	records []record
}

const (
	answerWithin  = 60 * time.Second
	connectWithin = 10 * time.Second
)

func (c *client) connect() error {
	var err error
	for start := time.Now(); time.Since(start) < connectWithin; time.Sleep(10 * time.Millisecond) {
		if c.conn, err = net.DialTimeout("tcp4", c.address, connectWithin); err == nil {
			c.in = bufio.NewReader(c.conn)
			c.number = 0
			return nil
		}
	}
	return err
}

// The digits of a token that ask for pauses (services/README.md).
const firstPause, lastPause = 7, 12

func (c *client) token() string {
	var b [wire.TokenSize / 2]byte
	for i := range b {
		b[i] = byte(c.random.Uint32())
	}
	token := hex.EncodeToString(b[:])
	if c.pauses {
		return token
	}
	return token[:firstPause] + strings.Repeat("0", lastPause-firstPause) + token[lastPause:]
}

func (c *client) request(path string) {
	if c.conn == nil {
		if err := c.connect(); err != nil {
			log.Printf("connect: %v", err)
			return
		}
	}
	r := record{
		clientPort: c.conn.LocalAddr().(*net.TCPAddr).Port,
		serverPort: c.conn.RemoteAddr().(*net.TCPAddr).Port,
		number:     c.number, token: c.token(), path: path,
	}
	c.number++
	body := wire.NewBody(r.token, wire.NoIndex)
	message := fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: service\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n",
		path, len(body))
	message = append(message, body...)
	_ = c.conn.SetDeadline(time.Now().Add(answerWithin))
	r.sent = time.Now()
	reusable := false
	_, err := c.conn.Write(message)
	if err == nil {
		r.status, reusable, err = wire.ReadResponse(c.in)
	}
	r.done = time.Now()
	if err != nil {
		log.Printf("request %d on port %d: %v", r.number, r.clientPort, err)
	}
	c.records = append(c.records, r)
	if !reusable {
		c.conn.Close()
		c.conn = nil
	}
}

func main() {
	address := flag.String("address", "", "of the service, host:port")
	concurrency := flag.Int("concurrency", 16, "connections")
	requests := flag.Int64("requests", 2000, "in all")
	think := flag.Duration("think", 0, "longest pause between two requests on a connection, uniform")
	seed := flag.Uint64("seed", 1, "of tokens and pauses")
	pauses := flag.Bool("pauses", true, "the service pauses before its calls")
	out := flag.String("log", "", "file to write")
	flag.Parse()

	var next atomic.Int64
	clients := make([]*client, *concurrency)
	var all sync.WaitGroup
	for i := range clients {
		c := &client{address: *address, random: rand.New(rand.NewPCG(*seed, uint64(i))), pauses: *pauses}
		clients[i] = c
		all.Add(1)
		go func() {
			defer all.Done()
			for next.Add(1) <= *requests {
				if *think > 0 {
					time.Sleep(time.Duration(c.random.Int64N(int64(*think))))
				}
				path := "/order"
				if c.random.IntN(2) == 0 {
					path = "/report"
				}
				c.request(path)
			}
			if c.conn != nil {
				c.conn.Close()
			}
		}()
	}
	all.Wait()

	file, err := os.Create(*out)
	if err != nil {
		log.Fatal(err)
	}
	text := bufio.NewWriter(file)
	fmt.Fprintln(text, "client_port\tserver_port\tnumber\ttoken\tpath\tstart_ns\tend_ns\tstatus")
	for _, c := range clients {
		for _, r := range c.records {
			fmt.Fprintf(text, "%d\t%d\t%d\t%s\t%s\t%d\t%d\t%d\n", r.clientPort, r.serverPort, r.number, r.token, r.path,
				r.sent.UnixNano(), r.done.UnixNano(), r.status)
		}
	}
	if err := text.Flush(); err != nil {
		log.Fatal(err)
	}
}
