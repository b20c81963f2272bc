//go:build unix

package ws

import (
	"errors"
	"net"
	"syscall"
	"time"

	"github.com/tocsin-ops/tocsin/hub"
)

// direct writes to the socket past the library, without ever waiting in the
// kernel. Its fields are owned by who writes.
type direct struct {
	raw syscall.RawConn
	try func(fd uintptr) bool // prepared once: one write of p
	p   []byte
	n   int
	err error
}

func (c *conn) openDirect() bool {
	tcp, ok := c.nc.(*net.TCPConn)
	if !ok {
		return false
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return false
	}
	c.raw = raw
	c.try = func(fd uintptr) bool {
		c.n, c.err = writeNow(int(fd), c.p)
		return true
	}
	return true
}

// writeNow is one write(2); (0, nil) means that the socket is full.
func writeNow(fd int, p []byte) (int, error) {
	for {
		n, err := syscall.Write(fd, p)
		switch {
		case errors.Is(err, syscall.EINTR):
			continue
		case errors.Is(err, syscall.EAGAIN):
			return 0, nil
		}
		return max(n, 0), err
	}
}

// writeDirect writes what the socket takes of b now.
func (c *conn) writeDirect(b *hub.Batch) (taken int, full bool) {
	c.p = b.Wire(encode)
	err := c.raw.Write(c.try)
	if err == nil {
		err = c.err
	}
	n, all := c.n, len(c.p)
	c.p = nil
	switch {
	case err != nil:
		c.wake()
		return b.Len(), false // dead: nothing matters any more
	case n == all:
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
	err := c.raw.Write(func(fd uintptr) bool {
		full, err := c.catchUpNow(int(fd), s)
		failed = err
		return !full
	})
	if err == nil {
		err = failed
	}
	if err != nil {
		c.fail(err)
		return
	}
	c.behind.Store(false)
	// From here on a worker writes: it must find no old deadline.
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.closing {
		_ = c.nc.SetWriteDeadline(time.Time{})
		s.Resume()
	}
}

// catchUpNow writes until nothing is due or the socket is full.
func (c *conn) catchUpNow(fd int, s *hub.Subscriber) (full bool, err error) {
	for {
		if len(c.tail) > 0 {
			n, err := writeNow(fd, c.tail)
			if err != nil {
				return false, err
			}
			if n > 0 {
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
		n, err := writeNow(fd, wire)
		if err != nil {
			return false, err
		}
		if n == 0 {
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
