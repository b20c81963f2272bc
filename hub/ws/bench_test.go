package ws

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/tocsin-ops/tocsin/hub"
)

const readersEnv = "TOCSIN_BENCH_READERS" // "host:port/path count", for the child process

func readersAddr() string { return os.Getenv(readersEnv) }

// readAll is the child process: it opens connections and reads them until its
// standard input is closed, so that reading costs the server's process nothing.
func readAll(spec string) {
	url, count, _ := strings.Cut(spec, " ")
	host, path, _ := strings.Cut(url, "/")
	count, secure := strings.CutSuffix(count, " tls")
	n, _ := strconv.Atoi(count)
	dial := net.Dial
	if secure {
		dial = func(network, addr string) (net.Conn, error) {
			return tls.Dial(network, addr, &tls.Config{InsecureSkipVerify: true}) // httptest's own certificate
		}
	}
	for i := range n {
		c, err := dial("tcp", host)
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Fprintf(c, "GET /%s HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", path, host)
		r := bufio.NewReaderSize(c, 4096)
		if res, err := http.ReadResponse(r, nil); err != nil || res.StatusCode != http.StatusSwitchingProtocols {
			fmt.Println("connection", i, err)
			os.Exit(1)
		}
		go func() {
			p := make([]byte, 8<<10)
			for {
				if _, err := c.Read(p); err != nil {
					return
				}
			}
		}()
	}
	fmt.Println("ready")
	_, _ = os.Stdin.Read(make([]byte, 1))
	os.Exit(0)
}

func startReaders(b *testing.B, url string, n int) {
	cmd := exec.Command(os.Args[0])
	spec := fmt.Sprintf("%s %d", strings.TrimPrefix(url, "http://"), n)
	if bare, secure := strings.CutPrefix(url, "https://"); secure {
		spec = fmt.Sprintf("%s %d tls", bare, n)
	}
	cmd.Env = append(os.Environ(), readersEnv+"="+spec)
	in, _ := cmd.StdinPipe()
	out, _ := cmd.StdoutPipe()
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { in.Close(); _ = cmd.Wait() })
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "ready\n" {
		b.Fatalf("readers: %q %v", line, err)
	}
}

func cpu() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// bare is the tightest loop over plain gorilla connections: one goroutine,
// one PreparedMessage per frame, no queue, no one slow allowed for.
type bare struct {
	mu    sync.Mutex
	conns []*websocket.Conn
}

func (l *bare) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	up := websocket.Upgrader{ReadBufferSize: 256, WriteBufferPool: &sync.Pool{}, CheckOrigin: func(*http.Request) bool { return true }}
	c, err := up.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	l.mu.Lock()
	l.conns = append(l.conns, c)
	l.mu.Unlock()
	for {
		if _, _, err := c.NextReader(); err != nil {
			c.Close()
			return
		}
	}
}

func (l *bare) publish(body []byte) {
	pm, err := websocket.NewPreparedMessage(websocket.TextMessage, body)
	if err != nil {
		panic(err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.conns {
		_ = c.SetWriteDeadline(time.Now().Add(10 * time.Second))
		_ = c.WritePreparedMessage(pm)
	}
}

// BenchmarkFanout compares deliveries per CPU second of this process with the
// bare loop, over loopback, to 1,000 readers in another process, 512-byte
// frames at the same steady rate, in alternating rounds. ns/op means nothing here.
func BenchmarkFanout(b *testing.B) { benchmarkFanout(b, (*httptest.Server).Start) }

// BenchmarkFanoutTLS is the same with TLS on both sides.
func BenchmarkFanoutTLS(b *testing.B) { benchmarkFanout(b, (*httptest.Server).StartTLS) }

func benchmarkFanout(b *testing.B, start func(*httptest.Server)) {
	const viewers, size, rounds, frames, every = 1000, 512, 3, 30, 25 * time.Millisecond
	h := hub.New(hub.Options{})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- h.Run(ctx) }()
	ours := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = Serve(w, r, h, Request{Topics: []hub.TopicSince{{Topic: "room", Since: -1}}})
	}))
	loop := &bare{}
	theirs := httptest.NewUnstartedServer(loop)
	start(ours)
	start(theirs)
	b.Cleanup(func() {
		_ = h.Stop(context.Background())
		cancel()
		<-done
		for _, c := range loop.conns {
			c.Close()
		}
		ours.Close()
		theirs.Close()
	})
	startReaders(b, ours.URL+"/", viewers)
	startReaders(b, theirs.URL+"/", viewers)

	seq := int64(0)
	round := func(publish func(seq int64, body []byte)) time.Duration {
		start := cpu()
		tick := time.NewTicker(every)
		defer tick.Stop()
		for range frames {
			seq++
			head := fmt.Sprintf(`{"topic":"room","seq":%d,"key":"a","pad":"`, seq)
			publish(seq, append(append([]byte(head), bytes.Repeat([]byte("x"), size-len(head)-2)...), `"}`...))
			<-tick.C
		}
		return cpu() - start
	}
	for b.Loop() {
		var hubTime, bareTime time.Duration
		delivered := h.Stats().Delivered
		for range rounds {
			hubTime += round(func(seq int64, body []byte) {
				h.Publish(hub.Frame{Topic: "room", Seq: seq, Key: strconv.FormatInt(seq, 10), Body: body})
			})
			bareTime += round(func(_ int64, body []byte) { loop.publish(body) })
		}
		delivered = h.Stats().Delivered - delivered
		if want := uint64(viewers * rounds * frames); delivered < want*9/10 {
			b.Fatalf("delivered %d of %d", delivered, want)
		}
		ourRate := float64(delivered) / hubTime.Seconds()
		bareRate := viewers * rounds * frames / bareTime.Seconds()
		b.ReportMetric(ourRate, "deliveries/cpu-s")
		b.ReportMetric(bareRate, "bare-deliveries/cpu-s")
		b.ReportMetric(ourRate/bareRate, "ratio")
	}
	b.ReportMetric(0, "ns/op")
}
