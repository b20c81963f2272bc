//go:build unix

package ws

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/tocsin-ops/tocsin/hub"
)

// bareDial connects without a websocket library and without a goroutine, so
// that nearly all memory it makes the process hold is the server's.
func (s *server) bareDial(t testing.TB, query string) (net.Conn, *bufio.Reader) {
	t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(s.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	fmt.Fprintf(c, "GET /?%s HTTP/1.1\r\nHost: room.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", query)
	r := bufio.NewReaderSize(c, 512)
	res, err := http.ReadResponse(r, nil)
	if err != nil || res.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("upgrade: %v %v", res, err)
	}
	return c, r
}

// bareNext reads one frame that is neither beat nor hello.
func bareNext(t testing.TB, c net.Conn, r io.Reader) message {
	t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(45 * time.Second))
	for {
		var head [8]byte
		read := func(p []byte) {
			if _, err := io.ReadFull(r, p); err != nil {
				t.Fatalf("read: %v", err)
			}
		}
		read(head[:2])
		n := int(head[1])
		switch n {
		case 126:
			read(head[:2])
			n = int(binary.BigEndian.Uint16(head[:2]))
		case 127:
			read(head[:8])
			n = int(binary.BigEndian.Uint64(head[:8]))
		}
		p := make([]byte, n)
		read(p)
		var m message
		if err := json.Unmarshal(p, &m); err != nil {
			t.Fatalf("message %.40q: %v", p, err)
		}
		if m.Type == "" {
			return m
		}
	}
}

// held is what the Go runtime holds in heap and stacks.
func held() int {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc + m.StackInuse)
}

// TestCost: an idle connection holds at most 12 KB of the process's memory, with
// the client's end in it, a stuck one at most 8 KB more, and when it reads again
// it gets what the kernel held and the one half written, and then the newest.
func TestCost(t *testing.T) {
	const mostIdle, mostStuck, conns, frames, size = 12 << 10, 8 << 10, 150, 120, 10 << 10
	const kernelHolds = 2*sendBuffer + 256<<10 // the kernel doubles what it is asked for; the reader's end had time to grow
	s := serve(t, hub.Options{}, false)
	first, _ := s.bareDial(t, "topic=room") // what is made once is not counted
	first.Close()
	before := held()
	type reader struct {
		c net.Conn
		r *bufio.Reader
	}
	var all []reader
	for range conns {
		c, r := s.bareDial(t, "topic=room")
		all = append(all, reader{c, r})
	}
	until(t, "all have joined", func() bool { return s.h.Stats().Connections == conns })
	idle := held()
	if each := (idle - before) / conns; each > mostIdle {
		t.Errorf("an idle connection holds %d bytes, want at most %d", each, mostIdle)
	} else {
		t.Logf("an idle connection holds %d bytes", each)
	}
	for seq := int64(1); seq <= frames; seq++ {
		s.h.Publish(frameOf("room", seq, "a", size))
		// One after the other, so that none is conflated before it is offered, but to
		// those whose kernel took bytes again after they were stuck.
		until(t, "the frame is offered", func() bool {
			st := s.h.Stats()
			return st.Stalled == conns || st.Delivered+st.Conflated+uint64(st.Stalled)*uint64(seq) >= uint64(seq)*conns
		})
	}
	until(t, "all are stuck", func() bool { return s.h.Stats().Stalled == conns })
	s.h.Publish(frameOf("room", frames+1, "a", size))
	if each := (held() - idle) / conns; each > mostStuck {
		t.Errorf("a stuck connection holds %d bytes more, want at most %d", each, mostStuck)
	} else {
		t.Logf("a stuck connection holds %d bytes more", each)
	}
	for i, k := range all {
		last, old := int64(0), 0
		for last < frames+1 {
			m := bareNext(t, k.c, k.r)
			if m.Seq <= last {
				t.Fatalf("connection %d: %d after %d", i, m.Seq, last)
			}
			if last = m.Seq; last <= frames {
				old++
			}
		}
		if limit := kernelHolds/size + 1; old > limit { // and the one half written
			t.Fatalf("connection %d: %d old frames before the newest, want at most the %d that the kernel held", i, old, limit)
		}
	}
	until(t, "all have caught up", func() bool { return s.h.Stats().Stalled == 0 })
	if st := s.h.Stats(); st.ClosedSlow != 0 || st.Connections != conns {
		t.Errorf("%+v: want all still connected", st)
	}
}

// until waits for what happens on other goroutines; it fails after 45 s.
func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(45 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited too long: %s", what)
		}
	}
}
