package ws

import (
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/gorilla/websocket"

	"github.com/tocsin-ops/tocsin/hub"
)

// Bounds of a connection.
const (
	readLimit    = 4 << 10          // largest message a client may send; more is closed with 1009
	readDeadline = 60 * time.Second // without a pong or message; the hub asks every 20 s
	stuckLimit   = 60 * time.Second // how long a peer may take none of what is written
	closeLimit   = time.Second      // for each: the last messages, the peer's answer to the close
	sendBuffer   = 64 << 10         // of the kernel, which doubles it: what a reader that was stuck still gets of the past
	sealedAtOnce = 8 << 10          // largest TLS write that a worker does itself: with all overhead less than a third of the kernel's buffer
	sealedLimit  = time.Second      // for such a write, which should not wait at all
)

// ErrRevoked is returned by Serve when Request.Recheck says no.
var ErrRevoked = errors.New("authorization ended while subscribing")

// Request says what an authorized client gets.
type Request struct {
	// Topics, each with the position that the page already holds.
	Topics []hub.TopicSince
	// Owner is the session or token; Hub.EndOwner ends the connection by it.
	Owner string
	// CheckOrigin is gorilla's: nil means that the Origin, if sent, must equal the Host.
	CheckOrigin func(*http.Request) bool
	// Recheck, if not nil, is asked once after the subscription stands, so that a
	// revocation between the caller's authorization and then is not missed.
	Recheck func() bool
}

// buffers is never drawn from, since nothing is written through gorilla; its
// presence keeps gorilla from holding a write buffer per connection.
var buffers sync.Pool

// Serve upgrades the request and subscribes it. The caller has authorized the
// topics. Serve returns as soon as the connection stands; the connection then
// lives by itself until the peer leaves, the hub ends it, or Hub.Stop. On an error the response
// has been written already. It needs the hub's Run.
func Serve(w http.ResponseWriter, r *http.Request, h *hub.Hub, req Request) error {
	if h.Stopping() {
		w.Header().Set("Retry-After", "2")
		http.Error(w, "restarting, come back in a moment", http.StatusServiceUnavailable)
		return fmt.Errorf("serve websocket: %w", hub.ErrStopped)
	}
	up := websocket.Upgrader{HandshakeTimeout: 10 * time.Second, ReadBufferSize: 256, WriteBufferPool: &buffers, CheckOrigin: req.CheckOrigin}
	peer, err := up.Upgrade(w, r, nil)
	if err != nil {
		return fmt.Errorf("upgrade to websocket: %w", err)
	}
	c := newConn(peer)
	s, err := h.Subscribe(req.Owner, req.Topics, c)
	if err != nil {
		code := websocket.CloseTryAgainLater
		switch {
		case errors.Is(err, hub.ErrStopped):
			code = hub.CloseShutdown
		case errors.Is(err, hub.ErrTopics):
			code = websocket.ClosePolicyViolation
		}
		c.write(frame(nil, websocket.CloseMessage, websocket.FormatCloseMessage(code, "")))
		_ = peer.Close()
		return fmt.Errorf("serve websocket: %w", err)
	}
	c.attend(s)
	if req.Recheck != nil && !req.Recheck() {
		h.End(func(x *hub.Subscriber) bool { return x == s }, "revoked")
		return fmt.Errorf("serve websocket: %w", ErrRevoked)
	}
	return nil
}
