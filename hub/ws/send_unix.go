//go:build unix && !linux

package ws

import "syscall"

// send writes what the socket takes of p at once: how many bytes that was, 0
// when it is full, negative when the peer is gone. Nobody may close port
// meanwhile. It never waits in the kernel: net has made the socket non-blocking.
func send(port int32, p []byte) int {
	for {
		n, err := syscall.Write(int(port), p)
		switch err {
		case nil:
			return n
		case syscall.EINTR:
		case syscall.EAGAIN:
			return 0
		default:
			return -1
		}
	}
}

// roomy is not known here: connections under TLS write on goroutines.
func roomy(port int32) bool { return false }
