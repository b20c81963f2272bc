package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// viewer is an open page without its pixels: it holds the live socket, goes to
// another replica when its own is silent or gone, and knows when it could not
// be sure to show the newest.
type viewer struct {
	topics []string

	mu      sync.Mutex
	seq     map[string]int64
	heard   time.Time // the last message of a socket that had said hello
	hello   bool      // the present socket has
	worst   time.Duration
	moves   int
	resyncs int
	wrong   []string
}

// silence after which a page gives its socket up: it misses two beats and a half.
const silence = 5 * time.Second

// audience are viewers spread over all replicas.
type audience struct {
	all  []*viewer
	ends chan struct{}
	wg   sync.WaitGroup
}

// watch opens n viewers and returns when each has its first hello.
func watch(t testing.TB, c *cluster, n int, topics ...string) *audience {
	t.Helper()
	a := &audience{ends: make(chan struct{})}
	for i := range n {
		v := &viewer{topics: topics, seq: map[string]int64{}}
		a.all = append(a.all, v)
		a.wg.Go(func() { v.run(c, i, a.ends) })
		if i%50 == 49 {
			time.Sleep(50 * time.Millisecond) // people do not come all in one moment either
		}
	}
	until(t, "every viewer is live", patience, func() (bool, string) {
		live := 0
		for _, v := range a.all {
			if v.live() {
				live++
			}
		}
		return live == n, fmt.Sprintf("%d of %d", live, n)
	})
	return a
}

func (v *viewer) live() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.hello && time.Since(v.heard) < silence
}

func (v *viewer) run(c *cluster, replica int, ends chan struct{}) {
	dialer := websocket.Dialer{HandshakeTimeout: 10 * time.Second}
	for {
		select {
		case <-ends:
			return
		default:
		}
		q := url.Values{"topic": v.topics}
		v.mu.Lock()
		for _, topic := range v.topics {
			q.Add("since", strconv.FormatInt(v.seq[topic], 10))
		}
		v.mu.Unlock()
		ws, _, err := dialer.Dial("ws://"+c.replicas[replica%3].addr+"/live?"+q.Encode(), http.Header{"Authorization": {"Bearer " + bootstrap}})
		if err == nil {
			v.read(ws, ends)
			_ = ws.Close()
		}
		v.mu.Lock()
		v.hello = false
		v.moves++
		v.mu.Unlock()
		replica++
		select {
		case <-ends:
			return
		case <-time.After(time.Duration(rand.IntN(1000)) * time.Millisecond): // a balancer sends it on; no herd
		}
	}
}

func (v *viewer) read(ws *websocket.Conn, ends chan struct{}) {
	gone := make(chan struct{})
	defer close(gone)
	go func() {
		select {
		case <-ends:
			_ = ws.Close()
		case <-gone:
		}
	}()
	for {
		_ = ws.SetReadDeadline(time.Now().Add(silence))
		_, b, err := ws.ReadMessage()
		if err != nil {
			return
		}
		var m struct {
			Type, Topic string
			Seq         int64
			Transient   bool
		}
		if err := json.Unmarshal(b, &m); err != nil {
			v.odd("not JSON: %s", b)
			return
		}
		now := time.Now()
		v.mu.Lock()
		if !v.heard.IsZero() && (v.hello || m.Type == "hello") {
			v.worst = max(v.worst, now.Sub(v.heard))
		}
		if m.Type == "hello" {
			v.hello = true
		}
		if v.hello {
			v.heard = now
		}
		v.mu.Unlock()
		switch m.Type {
		case "resync":
			v.mu.Lock()
			v.resyncs++
			v.seq[m.Topic] = max(v.seq[m.Topic], m.Seq) // the page is loaded anew
			v.mu.Unlock()
		case "":
			v.mu.Lock()
			v.seq[m.Topic] = max(v.seq[m.Topic], m.Seq)
			v.mu.Unlock()
		}
	}
}

func (v *viewer) odd(format string, args ...any) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.wrong = append(v.wrong, fmt.Sprintf(format, args...))
}

// reach waits until everybody has seen a position of a topic.
func (a *audience) reach(t testing.TB, topic string, position int64) time.Duration {
	t.Helper()
	return until(t, fmt.Sprintf("%d viewers see %s at %d", len(a.all), topic, position), patience, func() (bool, string) {
		behind, least := 0, position
		for _, v := range a.all {
			v.mu.Lock()
			if v.seq[topic] < position {
				behind++
				least = min(least, v.seq[topic])
			}
			v.mu.Unlock()
		}
		return behind == 0, fmt.Sprintf("%d are behind, the last at %d", behind, least)
	})
}

// darkness is how long viewers could not be sure, sorted, and how often they moved.
func (a *audience) darkness() (worst []time.Duration, moves, resyncs int) {
	for _, v := range a.all {
		v.mu.Lock()
		worst = append(worst, v.worst)
		moves += v.moves
		resyncs += v.resyncs
		v.mu.Unlock()
	}
	slices.Sort(worst)
	return worst, moves, resyncs
}

// begin forgets what was before.
func (a *audience) begin() {
	for _, v := range a.all {
		v.mu.Lock()
		v.worst, v.moves, v.resyncs = 0, 0, 0
		v.mu.Unlock()
	}
}

func (a *audience) close(t testing.TB) {
	t.Helper()
	close(a.ends)
	a.wg.Wait()
	for _, v := range a.all {
		for _, w := range v.wrong {
			t.Error(w)
		}
	}
}

// balancer is what stands in front of replicas: it gives each connection to one
// that said a moment ago that it is ready, and keeps nothing else.
type balancer struct {
	l     net.Listener
	mu    sync.Mutex
	ready []string
	next  int
}

func newBalancer(t testing.TB, c *cluster) *balancer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &balancer{l: l}
	ends := make(chan struct{})
	var wg sync.WaitGroup
	t.Cleanup(func() { close(ends); _ = l.Close(); wg.Wait() })
	client := &http.Client{Timeout: time.Second}
	look := func() {
		ready := []string{}
		for _, s := range c.replicas {
			r, err := client.Get("http://" + s.addr + "/readyz?write=1")
			if err != nil {
				continue
			}
			_ = r.Body.Close()
			if r.StatusCode == http.StatusOK {
				ready = append(ready, s.addr)
			}
		}
		b.mu.Lock()
		b.ready = ready
		b.mu.Unlock()
	}
	look()
	wg.Go(func() {
		for {
			select {
			case <-ends:
				client.CloseIdleConnections()
				return
			case <-time.After(200 * time.Millisecond):
				look()
			}
		}
	})
	wg.Go(func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			go b.carry(in)
		}
	})
	return b
}

// url is by the name localhost, because passkeys need a name.
func (b *balancer) url() string {
	_, port, _ := net.SplitHostPort(b.l.Addr().String())
	return "http://localhost:" + port
}

func (b *balancer) carry(in net.Conn) {
	defer in.Close()
	b.mu.Lock()
	to := ""
	if len(b.ready) > 0 {
		to = b.ready[b.next%len(b.ready)]
		b.next++
	}
	b.mu.Unlock()
	out, err := net.DialTimeout("tcp", to, time.Second)
	if err != nil {
		return
	}
	defer out.Close()
	done := make(chan struct{}, 2)
	for _, way := range [][2]net.Conn{{in, out}, {out, in}} {
		go func() {
			_, _ = io.Copy(way[0], way[1])
			done <- struct{}{}
		}()
	}
	<-done
}
