package channel

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// All calls below are raw: they cannot block, so the scheduler need not know of them.

// recvfrom reads what is there, at most len(b) bytes; b is not empty.
func recvfrom(fd int, b []byte) (int, syscall.Errno) {
	// SAFETY: the pointer is made in the argument list, so b stays where it is for the length of the call.
	n, _, errno := syscall.RawSyscall6(syscall.SYS_RECVFROM, uintptr(fd),
		uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), syscall.MSG_DONTWAIT, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), 0
}

// sendto writes as much of b as the socket has room for.
func sendto(fd int, b []byte) (int, syscall.Errno) {
	// SAFETY: as in recvfrom.
	n, _, errno := syscall.RawSyscall6(syscall.SYS_SENDTO, uintptr(fd),
		uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), syscall.MSG_DONTWAIT|noSignal, 0, 0)
	if errno != 0 {
		return 0, errno
	}
	return int(n), 0
}

// sendmsg writes as much of v as the socket has room for.
func sendmsg(fd int, v []unix.Iovec) (int, syscall.Errno) {
	message := unix.Msghdr{Iov: &v[0]}
	message.SetIovlen(len(v))
	// SAFETY: as in recvfrom; v keeps what it points to.
	n, _, errno := syscall.RawSyscall(syscall.SYS_SENDMSG, uintptr(fd), uintptr(unsafe.Pointer(&message)), syscall.MSG_DONTWAIT|noSignal)
	if errno != 0 {
		return 0, errno
	}
	return int(n), 0
}
