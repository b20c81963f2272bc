package remote

import (
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/gorilla/websocket"
)

// keptEvery is how often a page is told that it looks at what was kept: it gives up a socket that says nothing for 8 s.
const keptEvery = 2500 * time.Millisecond

// keptWord is the first message on a socket while the room is away, and comes again until it is back.
type keptWord struct {
	Type  string `json:"type"` // "kept"
	Since int64  `json:"since"`
	At    int64  `json:"at"`
}

type resyncWord struct {
	Type  string `json:"type"` // "resync"
	Topic string `json:"topic"`
}

// keepSocket is the live socket of a page while the room is away: it says so, says what the page does not know yet, and ends with "service restart" when
// the room is back, so that the page connects to the room itself.
func (r *Room) keepSocket(w http.ResponseWriter, req *http.Request) {
	up := websocket.Upgrader{HandshakeTimeout: handshakeIn, ReadBufferSize: 256, WriteBufferSize: 4 << 10, CheckOrigin: func(*http.Request) bool { return true }} // the caller has judged
	conn, err := up.Upgrade(w, req, nil)
	if err != nil {
		return // answered already
	}
	defer conn.Close()
	left := make(chan struct{})
	go func() { // ends with the connection, which ends with this function
		defer close(left)
		conn.SetReadLimit(4 << 10)
		for {
			if _, _, err := conn.ReadMessage(); err != nil {
				return
			}
		}
	}()
	defer func() { _ = conn.Close(); <-left }()
	frames, behind, since := r.known(topicsAsked(req.URL.Query()))
	say := func(v any) bool {
		_ = conn.SetWriteDeadline(time.Now().Add(handshakeIn))
		return conn.WriteJSON(v) == nil
	}
	tick := time.NewTicker(keptEvery)
	defer tick.Stop()
	for first := true; ; first = false {
		if !say(keptWord{Type: "kept", Since: since, At: r.o.Clock().UnixMilli()}) {
			return
		}
		for _, name := range behind {
			if first && !say(resyncWord{Type: "resync", Topic: name}) {
				return
			}
		}
		for _, f := range frames {
			f.At = 0 // said now, made then: no page sets its clock by it
			if first && !say(f) {
				return
			}
		}
		for waiting := true; waiting; {
			now, gone, changed := r.state.next()
			if now.Up || gone {
				deadline := time.Now().Add(time.Second)
				_ = conn.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseServiceRestart, "back"), deadline)
				select { // a page that hears it closes too
				case <-left:
				case <-time.After(time.Second):
				}
				return
			}
			select {
			case <-changed:
			case <-left:
				return
			case <-tick.C:
				waiting = false
			}
		}
	}
}

// known is what is kept of topics, and as of when (unix ms here).
func (r *Room) known(topics []topicAt) (frames []frame, behind []string, asOf int64) {
	heard := max(0, r.state.reach().Heard.UnixMilli())
	if r.kept == nil {
		return nil, nil, heard
	}
	var followed []topicAt
	for _, t := range topics {
		if t.From == "" && t.Name != "chains" {
			followed = append(followed, t)
		}
	}
	frames, behind, asOf = r.kept.replay(followed)
	if asOf == 0 {
		asOf = heard
	}
	return frames, behind, asOf
}

// topicsAsked reads the address of a live socket: topic repeated, and since for each of them.
func topicsAsked(q url.Values) (topics []topicAt) {
	names, since := q["topic"], q["since"]
	for i, name := range names[:min(len(names), mostFollowed)] {
		at := topicAt{Name: name, Since: -1}
		if len(since) == 1 {
			at.Since, _ = strconv.ParseInt(since[0], 10, 64)
		} else if i < len(since) {
			at.Since, _ = strconv.ParseInt(since[i], 10, 64)
		}
		topics = append(topics, at)
	}
	return topics
}
