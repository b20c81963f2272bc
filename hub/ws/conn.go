package ws

import (
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"

	"github.com/tocsin-ops/tocsin/hub"
)

// reach says how the socket of a connection can be written to.
type reach uint8

const (
	hidden reach = iota // only by writes that may wait
	plain               // directly
	sealed              // by TLS, and the kernel can be asked whether that would wait
)

// conn is the sink of one subscriber.
//
// Who writes: a worker of the hub (Write), or between Stall and Resume the
// connection's own goroutine, and after both are out (closing) the reader.
type conn struct {
	peer *websocket.Conn
	nc   net.Conn
	s    *hub.Subscriber
	direct

	ending atomic.Pointer[hub.Ending]
	over   atomic.Bool // the reader is to wake and close; no deadline may be moved away again
	behind atomic.Bool // the socket is full: a goroutine waits until it can write
	slow   atomic.Bool // closed because the peer did not read

	mu      sync.Mutex
	closing bool
	closeBy time.Time
	writers sync.WaitGroup // the goroutine that writes between Stall and Resume

	tail []byte // rest of a message half written; owned by who writes
}

func newConn(peer *websocket.Conn) *conn {
	c := &conn{peer: peer, nc: peer.NetConn()}
	c.openDirect()
	peer.SetReadLimit(readLimit)
	peer.SetPongHandler(func(string) error { return c.extend() })
	peer.SetPingHandler(func(p string) error {
		c.s.Post(hub.Encoded(frame(nil, websocket.PongMessage, []byte(p))))
		return c.extend()
	})
	peer.SetCloseHandler(func(int, string) error { return nil })
	return c
}

// attend starts the goroutines of the connection.
func (c *conn) attend(s *hub.Subscriber) {
	c.s = s
	go c.read()
}

func (c *conn) extend() error {
	err := c.nc.SetReadDeadline(time.Now().Add(readDeadline))
	if c.over.Load() {
		err = c.nc.SetReadDeadline(time.Now())
	}
	return err
}

// wake makes the reader return, which closes the connection.
func (c *conn) wake() {
	c.over.Store(true)
	_ = c.nc.SetReadDeadline(time.Now())
}

// End implements hub.Sink.
func (c *conn) End(e hub.Ending) {
	c.ending.Store(&e)
	c.wake()
}

// Write implements hub.Sink.
func (c *conn) Write(b *hub.Batch) (n int, full bool) {
	switch c.reach {
	case plain:
		return c.writeDirect(b)
	case sealed:
		return c.writeSealed(b)
	}
	return 0, true
}

// Stall implements hub.Sink.
func (c *conn) Stall(s *hub.Subscriber) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closing {
		return
	}
	c.writers.Add(1)
	if c.reach == plain {
		go c.catchUp(s)
	} else {
		go c.push(s)
	}
}

// writeSealed writes b through the library that hides the socket, if the kernel
// has so much room that this cannot wait. Should it wait all the same, the
// deadline ends the connection: half a record cannot be taken back.
func (c *conn) writeSealed(b *hub.Batch) (n int, full bool) {
	wire := b.Wire(encode)
	if len(wire) > sealedAtOnce || !roomy(c.port) {
		return 0, true
	}
	_ = c.nc.SetWriteDeadline(time.Now().Add(sealedLimit))
	if _, err := c.nc.Write(wire); err != nil {
		c.fail(err)
	}
	return b.Len(), false
}

// push writes what is due to a connection that only takes writes that wait. It
// takes it in small pieces, so that what it holds does not grow old.
func (c *conn) push(s *hub.Subscriber) {
	defer c.writers.Done()
	for !c.isClosing() {
		b := s.Next()
		if b == nil {
			s.Resume()
			return
		}
		s.Sent(b, 1)
		if !c.write(b.At(0).Wire(encode)) {
			return
		}
	}
}

// write writes p, waiting up to stuckLimit for the peer.
func (c *conn) write(p []byte) bool {
	c.deadline()
	c.behind.Store(true)
	n, err := c.nc.Write(p)
	c.behind.Store(err != nil)
	if err != nil {
		c.tail = p[n:]
		c.fail(err)
	}
	return err == nil
}

// deadline gives the peer stuckLimit to take something, or what is left of
// closeLimit when the connection is being closed.
func (c *conn) deadline() {
	by := time.Now().Add(stuckLimit)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closing {
		by = c.closeBy
	}
	_ = c.nc.SetWriteDeadline(by)
}

func (c *conn) fail(err error) {
	var ne net.Error
	if errors.As(err, &ne) && ne.Timeout() && !c.isClosing() {
		c.slow.Store(true)
	}
	c.wake()
}

func (c *conn) isClosing() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closing
}

// read reads and forgets until the connection is over, then closes it.
func (c *conn) read() {
	err := c.extend()
	for err == nil {
		var r io.Reader
		if _, r, err = c.peer.NextReader(); err != nil {
			break
		}
		if _, err = io.Copy(io.Discard, r); err == nil { // counts against the read limit
			err = c.extend()
		}
	}
	c.close(err)
	c.s.Leave(c.slow.Load())
}

// close waits for whoever writes, a worker's round and then at most closeLimit,
// says the last words and closes: at most three times closeLimit in all.
func (c *conn) close(cause error) {
	defer c.nc.Close()
	c.mu.Lock()
	c.closing, c.closeBy = true, time.Now().Add(closeLimit)
	_ = c.nc.SetWriteDeadline(c.closeBy)
	c.mu.Unlock()
	c.s.Detach() // from here on no worker writes to the descriptor
	c.writers.Wait()

	var ne net.Error
	if c.ending.Load() == nil && c.behind.Load() && errors.As(cause, &ne) && ne.Timeout() {
		c.slow.Store(true) // no pong, because it did not even read the ping
	}
	words, answer := lastWords(c.ending.Load(), cause)
	if words != nil {
		_ = c.nc.SetWriteDeadline(time.Now().Add(closeLimit))
		if _, err := c.nc.Write(append(c.tail[:len(c.tail):len(c.tail)], words...)); err != nil {
			return
		}
	}
	if !answer {
		return
	}
	// Closing with unread input would reset the connection and could take the
	// last words with it: let the peer close first.
	_ = c.nc.SetReadDeadline(time.Now().Add(closeLimit))
	var scrap [256]byte
	for {
		if _, err := c.nc.Read(scrap[:]); err != nil {
			return
		}
	}
}

// lastWords returns what to send before closing, and whether the peer is to
// close first.
func lastWords(e *hub.Ending, cause error) (words []byte, answer bool) {
	var ce *websocket.CloseError
	var ne net.Error
	switch {
	case e != nil:
		words = frame(nil, websocket.TextMessage, e.Body)
		return frame(words, websocket.CloseMessage, websocket.FormatCloseMessage(e.Code, e.Reason)), true
	case errors.As(cause, &ce) && ce.Code != websocket.CloseAbnormalClosure:
		return frame(nil, websocket.CloseMessage, websocket.FormatCloseMessage(ce.Code, "")), false
	case ce != nil || errors.As(cause, &ne):
		return nil, false
	}
	return nil, true // too large or malformed: gorilla has sent the close frame
}
