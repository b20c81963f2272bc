//go:build unix

package ws

import (
	"crypto/tls"
	"net"
	"syscall"
	"time"

	"github.com/tocsin-ops/tocsin/hub"
)

// direct writes to the socket past the library, without ever waiting in the
// kernel. The descriptor stays open until the worker has let go of it
// (Subscriber.Detach), so it needs no lock.
type direct struct {
	port  int32
	reach reach
}

func (c *conn) openDirect() {
	nc, how := c.nc, plain
	if t, ok := nc.(*tls.Conn); ok {
		nc, how = t.NetConn(), sealed
	}
	tcp, ok := nc.(*net.TCPConn)
	if !ok {
		return
	}
	raw, err := tcp.SyscallConn()
	if err == nil && raw.Control(func(fd uintptr) { c.port = int32(fd) }) == nil {
		_ = tcp.SetWriteBuffer(sendBuffer)
		c.reach = how
	}
}

// Port implements hub.Direct.
func (c *conn) Port() (func(int32, []byte) int, int32) {
	if c.reach != plain {
		return nil, 0
	}
	return send, c.port
}

// writeDirect writes what the socket takes of b now.
func (c *conn) writeDirect(b *hub.Batch) (taken int, full bool) {
	return c.Short(b, send(c.port, b.Wire(encode)))
}

// Short implements hub.Direct.
func (c *conn) Short(b *hub.Batch, n int) (taken int, full bool) {
	switch wire := b.Wire(encode); {
	case n < 0:
		c.wake()
		return b.Len(), false // dead: nothing matters any more
	case n == len(wire):
		return b.Len(), false
	}
	return c.part(b, n), true
}

// part returns how many messages of b have begun when n bytes of it are
// written, and keeps the rest of the last.
func (c *conn) part(b *hub.Batch, n int) int {
	for i := 0; n > 0; i++ {
		w := b.At(i).Wire(encode)
		if n <= len(w) {
			c.tail = w[n:]
			return i + 1
		}
		n -= len(w)
	}
	return 0
}

// catchUp writes for a connection whose socket was full. What it writes is
// asked for when the kernel has room again, not before: so it is the newest.
func (c *conn) catchUp(s *hub.Subscriber) {
	defer c.writers.Done()
	c.behind.Store(true)
	c.deadline()
	var failed error
	raw, err := c.nc.(*net.TCPConn).SyscallConn()
	if err == nil {
		err = raw.Write(func(uintptr) bool {
			full, err := c.catchUpNow(s)
			failed = err
			return !full
		})
	}
	if err == nil {
		err = failed
	}
	if err != nil {
		c.fail(err)
		return
	}
	c.behind.Store(false)
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closing {
		_ = c.nc.SetWriteDeadline(time.Time{}) // the next catchUp must find no old one
		s.Resume()
	}
}

// catchUpNow writes until nothing is due or the socket is full.
func (c *conn) catchUpNow(s *hub.Subscriber) (full bool, err error) {
	for {
		if len(c.tail) > 0 {
			n := send(c.port, c.tail)
			switch {
			case n < 0:
				return false, syscall.EPIPE
			case n > 0:
				c.deadline()
			}
			if c.tail = c.tail[n:]; len(c.tail) > 0 {
				return true, nil
			}
			c.tail = nil
		}
		b := s.Next()
		if b == nil || c.isClosing() {
			return false, nil
		}
		wire := b.Wire(encode)
		n := send(c.port, wire)
		switch {
		case n < 0:
			return false, syscall.EPIPE
		case n == 0:
			return true, nil
		}
		c.deadline()
		k := b.Len()
		if n < len(wire) {
			k = c.part(b, n)
		}
		s.Sent(b, k)
	}
}
