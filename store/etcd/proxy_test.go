//go:build unix

package etcd_test

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
)

// proxy stands between a store and one member. It can swallow answers, cut what
// is connected, and refuse new connections.
type proxy struct {
	l      net.Listener
	target string
	mute   atomic.Bool // answers are swallowed
	refuse atomic.Bool // connections are closed at once

	mu    sync.Mutex
	conns map[net.Conn]bool
	all   sync.WaitGroup
}

func newProxy(t *testing.T, l net.Listener, target string) *proxy {
	t.Helper()
	p := &proxy{l: l, target: target, conns: map[net.Conn]bool{}}
	p.all.Go(p.accept)
	t.Cleanup(func() {
		p.l.Close()
		p.refuse.Store(true)
		p.cut()
		p.all.Wait()
	})
	return p
}

func loopback(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func (p *proxy) addr() string { return p.l.Addr().String() }

func (p *proxy) accept() {
	for {
		in, err := p.l.Accept()
		if err != nil {
			return
		}
		p.all.Go(func() { p.serve(in) })
	}
}

func (p *proxy) serve(in net.Conn) {
	defer in.Close()
	if p.refuse.Load() {
		return
	}
	out, err := net.Dial("tcp", p.target)
	if err != nil {
		return
	}
	defer out.Close()
	p.mu.Lock()
	p.conns[in], p.conns[out] = true, true
	p.mu.Unlock()
	if p.refuse.Load() {
		return
	}
	var both sync.WaitGroup
	both.Go(func() {
		io.Copy(out, in)
		out.Close()
	})
	both.Go(func() {
		defer in.Close()
		buf := make([]byte, 32<<10)
		for {
			n, err := out.Read(buf)
			if err != nil {
				return
			}
			if !p.mute.Load() {
				in.Write(buf[:n])
			}
		}
	})
	both.Wait()
	p.mu.Lock()
	delete(p.conns, in)
	delete(p.conns, out)
	p.mu.Unlock()
}

func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		c.Close()
	}
}
