package ws

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gorilla/websocket"

	"github.com/tocsin-ops/tocsin/hub"
)

// hijack lends a ResponseWriter a connection to take over.
type hijack struct {
	*httptest.ResponseRecorder
	nc net.Conn
}

func (h hijack) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return h.nc, bufio.NewReadWriter(bufio.NewReader(h.nc), bufio.NewWriter(h.nc)), nil
}

// TestDeadlines runs a connection over a pipe under a fake clock.
func TestDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := hub.New(hub.Options{})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- h.Run(ctx) }()
		connect := func() *websocket.Conn {
			near, far := net.Pipe()
			go func() {
				r, err := http.ReadRequest(bufio.NewReader(far))
				if err != nil {
					t.Error(err)
					return
				}
				if err := Serve(hijack{httptest.NewRecorder(), far}, r, h, Request{Topics: []hub.TopicSince{{Topic: "room"}}}); err != nil {
					t.Error(err)
				}
			}()
			c, _, err := websocket.NewClient(near, &url.URL{Scheme: "ws", Host: "room.example", Path: "/"}, nil, 0, 0)
			if err != nil {
				t.Fatal(err)
			}
			return c
		}
		reads, stuck, silent := connect(), connect(), connect()
		silent.SetPingHandler(func(string) error { return nil })
		for _, c := range []*websocket.Conn{reads, silent} {
			go func() {
				for {
					if _, _, err := c.NextReader(); err != nil {
						return
					}
				}
			}()
		}
		start := time.Now()
		for time.Since(start) < 35*time.Second {
			h.Publish(frameOf("room", time.Since(start).Milliseconds(), "a", 100))
			time.Sleep(100 * time.Millisecond)
		}
		if n := h.Stats().Connections; n != 3 {
			t.Errorf("after 35 s: %d connections, want 3: the stuck one stays", n)
		}
		time.Sleep(40 * time.Second)
		synctest.Wait()
		if st := h.Stats(); st.Connections != 1 || st.ClosedSlow != 1 {
			t.Errorf("after 75 s: %d connections, %d closed slow; want 1, 1", st.Connections, st.ClosedSlow)
		}
		if _, err := io.Copy(io.Discard, stuck.NetConn()); err != nil {
			t.Error(err)
		}
		time.Sleep(5 * time.Minute)
		if n := h.Stats().Connections; n != 1 {
			t.Errorf("after 6 min: %d connections, want 1: who answers stays", n)
		}
		if err := h.Stop(t.Context()); err != nil {
			t.Error(err)
		}
		reads.Close()
		stuck.Close()
		silent.Close()
		cancel()
		<-done
	})
}
