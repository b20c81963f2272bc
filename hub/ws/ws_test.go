package ws

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"go.uber.org/goleak"

	"github.com/tocsin-ops/tocsin/hub"
)

func TestMain(m *testing.M) {
	if addr := readersAddr(); addr != "" {
		readAll(addr) // the child process of BenchmarkFanout
		return
	}
	if spec := os.Getenv(standaloneEnv); spec != "" {
		standalone(spec)
		return
	}
	goleak.VerifyTestMain(m)
}

// server is a hub behind a real HTTP server: /?topic=T&since=N&owner=O.
type server struct {
	*httptest.Server
	h *hub.Hub
}

func serve(t testing.TB, o hub.Options, secure bool) *server {
	h := hub.New(o)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- h.Run(ctx) }()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		since, _ := strconv.ParseInt(q.Get("since"), 10, 64)
		var topics []hub.TopicSince
		for _, name := range q["topic"] {
			topics = append(topics, hub.TopicSince{Topic: name, Since: since})
		}
		req := Request{Topics: topics, Owner: q.Get("owner")}
		if q.Has("revoked") {
			req.Recheck = func() bool { return false }
		}
		if err := Serve(w, r, h, req); err != nil {
			t.Logf("Serve: %v", err)
		}
	}))
	if secure {
		s.StartTLS()
	} else {
		s.Start()
	}
	t.Cleanup(func() {
		stop, end := context.WithTimeout(context.Background(), 45*time.Second)
		defer end()
		if err := h.Stop(stop); err != nil {
			t.Errorf("Stop: %v", err)
		}
		s.Close()
		cancel()
		<-done
	})
	return &server{s, h}
}

type client struct {
	*websocket.Conn
	t testing.TB
}

func (s *server) dial(t testing.TB, query string) *client {
	t.Helper()
	d := websocket.Dialer{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}} // httptest's own certificate
	c, _, err := d.Dial("ws"+strings.TrimPrefix(s.URL, "http")+"/?"+query, nil)
	if err != nil {
		t.Fatalf("dial: %v", err)
	}
	t.Cleanup(func() { c.Close() })
	return &client{c, t}
}

type message struct {
	Type, Topic, Key, Reason string
	Seq                      int64
	At                       int64
	Retry                    *int64 `json:"retry_ms"`
	Pad                      string
}

// next returns the next message that is not a beat.
func (c *client) next() message {
	c.t.Helper()
	for {
		_ = c.SetReadDeadline(time.Now().Add(45 * time.Second))
		_, p, err := c.ReadMessage()
		if err != nil {
			c.t.Fatalf("read: %v", err)
		}
		var m message
		if err := json.Unmarshal(p, &m); err != nil {
			c.t.Fatalf("message %q: %v", p, err)
		}
		if m.Type != "beat" {
			return m
		}
	}
}

func (c *client) want(words ...string) {
	c.t.Helper()
	for _, w := range words {
		m := c.next()
		got := m.Type
		if got == "" {
			got = fmt.Sprintf("%s@%d", m.Key, m.Seq)
		}
		if got != w {
			c.t.Errorf("got %s, want %s", got, w)
		}
	}
}

func (c *client) wantClose(code int) {
	c.t.Helper()
	for {
		_ = c.SetReadDeadline(time.Now().Add(45 * time.Second))
		_, _, err := c.ReadMessage()
		if err == nil {
			continue
		}
		var ce *websocket.CloseError
		if !errors.As(err, &ce) || ce.Code != code {
			c.t.Errorf("closed with %v, want %d", err, code)
		}
		return
	}
}

func frameOf(topic string, seq int64, key string, pad int) hub.Frame {
	return hub.Frame{Topic: topic, Seq: seq, Key: key, Body: fmt.Appendf(nil, `{"topic":%q,"seq":%d,"key":%q,"pad":%q}`, topic, seq, key, strings.Repeat("x", pad))}
}

func TestLive(t *testing.T) {
	for _, secure := range []bool{false, true} {
		t.Run(fmt.Sprint("tls=", secure), func(t *testing.T) {
			s := serve(t, hub.Options{Base: func(string) int64 { return 3 }}, secure)
			a := s.dial(t, "topic=room&since=3")
			a.want("hello")
			for seq, size := range []int{0, 125, 126, 5000, 65535, 65536, 200000} {
				s.h.Publish(frameOf("room", int64(4+seq), "a", size))
				if m := a.next(); m.Seq != int64(4+seq) || len(m.Pad) != size {
					t.Errorf("frame of %d bytes: got seq %d, %d bytes", size, m.Seq, len(m.Pad))
				}
			}
			b := s.dial(t, "topic=room&topic=board&since=3")
			b.want("hello", "a@10")
			old := s.dial(t, "topic=room&since=2")
			old.want("hello", "resync")
			s.h.Publish(frameOf("room", 11, "", 0), frameOf("room", 11, "b", 0))
			for _, c := range []*client{a, b, old} {
				c.want("@11", "b@11")
			}
			if err := a.WriteMessage(websocket.TextMessage, []byte(`{"seen":11}`)); err != nil {
				t.Error(err)
			}
			answered := make(chan string, 1)
			a.SetPongHandler(func(p string) error { answered <- p; return nil })
			if err := a.WriteControl(websocket.PingMessage, []byte("there?"), time.Now().Add(45*time.Second)); err != nil {
				t.Error(err)
			}
			for len(answered) == 0 {
				if _, _, err := a.ReadMessage(); err != nil { // beats
					t.Fatal(err)
				}
			}
			if p := <-answered; p != "there?" {
				t.Errorf("pong %q", p)
			}
		})
	}
}

func TestEndAndStopSayWhy(t *testing.T) {
	for _, secure := range []bool{false, true} {
		t.Run(fmt.Sprint("tls=", secure), func(t *testing.T) {
			s := serve(t, hub.Options{}, secure)
			ana, bob := s.dial(t, "topic=room&owner=ana"), s.dial(t, "topic=room&owner=bob")
			ana.want("hello")
			bob.want("hello")
			s.h.EndOwner("ana", "signed out")
			if m := ana.next(); m.Type != "end" || m.Reason != "signed out" || m.At == 0 {
				t.Errorf("got %+v", m)
			}
			ana.wantClose(4401)
			raced := s.dial(t, "topic=room&owner=ana&revoked")
			raced.wantClose(4401)
			stopped := make(chan error)
			go func() { stopped <- s.h.Stop(t.Context()) }()
			if m := bob.next(); m.Type != "bye" || m.Retry == nil || *m.Retry < 0 || *m.Retry > 2000 {
				t.Errorf("got %+v", m)
			}
			bob.wantClose(1012)
			if err := <-stopped; err != nil {
				t.Error(err)
			}
			c := s.Client()
			res, err := c.Get(s.URL)
			if err != nil {
				t.Fatal(err)
			}
			res.Body.Close()
			if res.StatusCode != http.StatusServiceUnavailable {
				t.Errorf("after Stop: %s", res.Status)
			}
		})
	}
}

func TestBadClients(t *testing.T) {
	s := serve(t, hub.Options{}, false)
	big := s.dial(t, "topic=room")
	if err := big.WriteMessage(websocket.TextMessage, make([]byte, readLimit+1)); err != nil {
		t.Error(err)
	}
	big.wantClose(websocket.CloseMessageTooBig)

	polite := s.dial(t, "topic=room")
	polite.want("hello")
	if err := polite.WriteMessage(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseNormalClosure, "")); err != nil {
		t.Error(err)
	}
	polite.wantClose(websocket.CloseNormalClosure)

	s.dial(t, "").wantClose(websocket.ClosePolicyViolation)

	_, res, err := websocket.DefaultDialer.Dial("ws"+strings.TrimPrefix(s.URL, "http")+"/?topic=room", http.Header{"Origin": {"https://elsewhere.example"}})
	if err == nil || res.StatusCode != http.StatusForbidden {
		t.Errorf("foreign origin: %v", err)
	}
}

// TestStuckReader: one client stops reading while large frames go by. The
// others get all of them; it gets few of the old ones and then the newest.
func TestStuckReader(t *testing.T) {
	for _, secure := range []bool{false, true} {
		t.Run(fmt.Sprint("tls=", secure), func(t *testing.T) {
			s := serve(t, hub.Options{}, secure)
			stuck, other := s.dial(t, "topic=room"), s.dial(t, "topic=room")
			stuck.want("hello")
			other.want("hello")
			const frames = 500 // 5 MiB: the kernel holds less than half of one for a reader that is stuck
			for seq := int64(1); seq <= frames; seq++ {
				s.h.Publish(frameOf("room", seq, "a", 10<<10), frameOf("room", seq, "b", 0))
				if m := other.next(); m.Key != "a" || m.Seq != seq {
					t.Fatalf("other got %s@%d, want a@%d", m.Key, m.Seq, seq)
				}
				other.want(fmt.Sprint("b@", seq))
			}
			if n := s.h.Stats().Connections; n != 2 {
				t.Fatalf("%d connections, want 2", n)
			}
			got, last, b := 0, int64(0), int64(0)
			for last < frames || b < frames {
				m := stuck.next()
				if m.Seq < max(last, b) {
					t.Fatalf("%s@%d after %d", m.Key, m.Seq, max(last, b))
				}
				if got++; m.Key == "a" {
					last = m.Seq
				} else {
					b = m.Seq
				}
			}
			if got > frames {
				t.Errorf("the stuck reader got %d of %d messages: nothing was left out", got, 2*frames)
			}
			s.h.Publish(frameOf("room", frames+1, "a", 0))
			stuck.want(fmt.Sprint("a@", frames+1))
		})
	}
}
