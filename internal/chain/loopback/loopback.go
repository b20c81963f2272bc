// Package loopback owns the addresses of this computer at which tests let nodes listen that go away and come back, or that another program opens; only
// tests use it, it is never part of the program.
package loopback

import (
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"sync"
	"testing"
)

var given sync.Map // addresses that somebody in this process has

// Free is an address, 127.0.0.1:port, at which nobody listens now and which nobody gets by chance while nobody listens there: its port is none of those
// that the system gives to connections and to who asks for any.
func Free(t testing.TB) string {
	t.Helper()
	const first = 10000
	lowest := 32768
	if b, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range"); err == nil {
		_, _ = fmt.Sscan(string(b), &lowest)
	}
	if lowest < first+1000 {
		t.Fatalf("the system gives ports out from %d on, which leaves too few; see net.ipv4.ip_local_port_range", lowest)
	}
	for range 1000 {
		addr := fmt.Sprint("127.0.0.1:", first+rand.IntN(lowest-first))
		if _, twice := given.LoadOrStore(addr, true); twice {
			continue
		}
		if l, err := net.Listen("tcp", addr); err == nil {
			_ = l.Close()
			return addr
		}
	}
	t.Fatal("no port is free")
	return ""
}
