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
