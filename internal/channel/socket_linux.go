package channel

import "syscall"

const (
	maxPath  = 107 // sun_path has 108 bytes, the last one 0
	noSignal = syscall.MSG_NOSIGNAL
)

func newSocket() (int, error) {
	return syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC|syscall.SOCK_NONBLOCK, 0)
}
