// The backend that the services call: answers after a delay that varies, and logs which token came over which
// connection: the other half of the ground truth. Prints its port; SIGTERM makes it write the log and end.
package main

import (
	"bufio"
	"flag"
	"fmt"
	"hash/fnv"
	"log"
	"math"
	"math/rand/v2"
	"net"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"wirespan/accuracy/wire"
)

type record struct {
	clientPort, number int
	token, index, path string
	received, answered time.Time
}

type backend struct {
	port  int
	delay time.Duration

	mutex   sync.Mutex
	records []record
}

// A long-tailed delay about the operation's own median; the same for the same call in every run.
func (b *backend) pause(path, token, index string) time.Duration {
	operation := fnv.New64a()
	operation.Write([]byte(path))
	call := fnv.New64a()
	call.Write([]byte(token + index))
	random := rand.New(rand.NewPCG(operation.Sum64(), call.Sum64()))
	median := float64(b.delay) * (0.5 + float64(operation.Sum64()%8)/4)
	return time.Duration(median * math.Min(math.Exp(random.NormFloat64()*0.7), 12))
}

func (b *backend) serve(conn net.Conn) {
	defer conn.Close()
	in := bufio.NewReaderSize(conn, 8192)
	for number := 0; ; number++ {
		request, err := wire.ReadRequest(in)
		if err != nil {
			return
		}
		r := record{clientPort: conn.RemoteAddr().(*net.TCPAddr).Port, number: number, path: request.Path, received: request.First}
		r.token, r.index = wire.Token(request.Body)
		time.Sleep(b.pause(r.path, r.token, r.index))
		r.answered = time.Now()
		b.mutex.Lock()
		b.records = append(b.records, r)
		b.mutex.Unlock()
		if _, err := conn.Write([]byte("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n\r\nok\n")); err != nil || request.Close {
			return
		}
	}
}

func (b *backend) write(name string) error {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	file, err := os.Create(name)
	if err != nil {
		return err
	}
	text := bufio.NewWriter(file)
	fmt.Fprintln(text, "client_port\tserver_port\tnumber\ttoken\tindex\tpath\tstart_ns\tend_ns")
	for _, r := range b.records {
		fmt.Fprintf(text, "%d\t%d\t%d\t%s\t%s\t%s\t%d\t%d\n", r.clientPort, b.port, r.number, r.token, r.index, r.path,
			r.received.UnixNano(), r.answered.UnixNano())
	}
	return text.Flush()
}

func main() {
	delay := flag.Duration("delay", 2*time.Millisecond, "median, times 0.5 to 2.25 by operation")
	out := flag.String("log", "", "file to write at the end")
	flag.Parse()
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	b := &backend{port: listener.Addr().(*net.TCPAddr).Port, delay: *delay}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				log.Fatal(err)
			}
			go b.serve(conn)
		}
	}()
	fmt.Println(b.port)
	<-stop
	if err := b.write(*out); err != nil {
		log.Fatal(err)
	}
}
