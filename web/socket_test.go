package web

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// frame is what comes over a live socket, region, sample or control message.
type frame struct {
	Type, Topic, Key, HTML, Into, Place, Reason, Build, From string
	Seq, At                                                  int64
	Samples                                                  json.RawMessage
}

// socket is one live connection.
type socket struct {
	t  testing.TB
	ws *websocket.Conn
	// closed is the close code once the server has ended it.
	closed int
	beats  bool    // read returns them too
	had    []frame // by the until that waits
}

// dial connects as the visitor; on a refusal it returns the answer instead.
func (v *visitor) dial(path string) (*socket, *http.Response) {
	v.h.t.Helper()
	head := v.header.Clone()
	if v.cookie != "" {
		head.Add("Cookie", cookieSession+"="+v.cookie)
	}
	if v.bearer != "" {
		head.Set("Authorization", "Bearer "+v.bearer)
	}
	ws, res, err := websocket.DefaultDialer.Dial("ws"+strings.TrimPrefix(v.h.srv.URL, "http")+path, head)
	if err != nil {
		if res == nil {
			v.h.t.Fatalf("%s: dial %s: %v", v.name, path, err)
		}
		return nil, res
	}
	s := &socket{t: v.h.t, ws: ws}
	v.h.t.Cleanup(func() { ws.Close() })
	return s, res
}

// watch connects as a page would that was rendered just now.
func (v *visitor) watch(topic string) *socket {
	v.h.t.Helper()
	v.h.settle()
	return v.live(fmt.Sprintf("/live?topic=%s&since=%d", topic, v.h.World.Position()))
}

func (v *visitor) live(path string) *socket {
	v.h.t.Helper()
	s, res := v.dial(path)
	if s == nil {
		v.h.t.Fatalf("%s: %s was refused: %s", v.name, path, res.Status)
	}
	s.until(func(f frame) bool { return f.Type == "hello" })
	return s
}

// patience is how long a test waits for a frame before it fails.
const patience = 45 * time.Second

// read returns the next frame that is no beat; ok is false at the end.
func (s *socket) read() (f frame, ok bool) {
	s.t.Helper()
	for {
		_, b, err := s.ws.ReadMessage()
		if ce, is := err.(*websocket.CloseError); is {
			s.closed = ce.Code
			return f, false
		}
		if err != nil {
			s.t.Fatalf("socket: %v; had %s", err, briefly(s.had))
		}
		f = frame{}
		if err := json.Unmarshal(b, &f); err != nil {
			s.t.Fatalf("socket: %v in %s", err, b)
		}
		if s.beats || f.Type != "beat" {
			return f, true
		}
	}
}

// briefly names frames by what they are about.
func briefly(frames []frame) string {
	var b strings.Builder
	for _, f := range frames {
		fmt.Fprintf(&b, "[%s %s %s %d] ", f.Type, f.Topic, f.Key, f.Seq)
	}
	return b.String()
}

// until returns all frames up to and with the one that is wanted.
func (s *socket) until(want func(frame) bool) (all []frame) {
	s.t.Helper()
	_ = s.ws.SetReadDeadline(time.Now().Add(patience))
	for {
		s.had = all
		f, ok := s.read()
		if !ok {
			s.t.Fatalf("the socket ended with %d before what was waited for; had %s", s.closed, briefly(all))
		}
		all = append(all, f)
		if want(f) {
			return all
		}
	}
}

// rest returns what is still due: a beat comes only when nothing is.
func (s *socket) rest() (all []frame) {
	s.t.Helper()
	s.beats = true
	defer func() { s.beats = false }()
	for _, f := range s.until(func(f frame) bool { return f.Type == "beat" }) {
		if f.Type != "beat" {
			all = append(all, f)
		}
	}
	return all
}

// ended fails unless the server ends the socket with the code.
func (s *socket) ended(code int) {
	s.t.Helper()
	_ = s.ws.SetReadDeadline(time.Now().Add(patience))
	for {
		if _, ok := s.read(); !ok {
			break
		}
	}
	if s.closed != code {
		s.t.Errorf("socket closed with %d, want %d", s.closed, code)
	}
}
