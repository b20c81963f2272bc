package ws

import (
	"syscall"
	"unsafe"
)

// send writes what the socket takes of p at once: how many bytes that was, 0
// when it is full, negative when the peer is gone. p must not be empty and
// nobody may close port meanwhile. It never waits in the kernel, so the
// scheduler is not told of the system call; sendto is spared what write(2)
// does for files.
func send(port int32, p []byte) int {
	for {
		n, _, e := syscall.RawSyscall6(syscall.SYS_SENDTO, uintptr(port), uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)), syscall.MSG_DONTWAIT|syscall.MSG_NOSIGNAL, 0, 0)
		switch e {
		case 0:
			return int(n)
		case syscall.EINTR:
		case syscall.EAGAIN:
			return 0
		default:
			return -1
		}
	}
}

// roomy reports whether a third of the send buffer is free: that is when Linux
// calls a socket writable (sk_stream_is_writeable).
func roomy(port int32) bool {
	p := struct {
		fd      int32
		events  int16
		revents int16
	}{fd: port, events: pollOut}
	var now syscall.Timespec
	n, _, e := syscall.RawSyscall6(syscall.SYS_PPOLL, uintptr(unsafe.Pointer(&p)), 1, uintptr(unsafe.Pointer(&now)), 0, 0, 0)
	return e == 0 && n == 1 && p.revents&pollOut != 0
}

const pollOut = 0x4
