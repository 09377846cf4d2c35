package channel

import "syscall"

const (
	maxPath  = 103 // sun_path has 104 bytes, the last one 0
	noSignal = 0   // SO_NOSIGPIPE stands in for it
)

func newSocket() (int, error) {
	// The lock keeps a process that is started meanwhile from inheriting the socket.
	syscall.ForkLock.RLock()
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err == nil {
		syscall.CloseOnExec(fd)
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return -1, err
	}
	if err = syscall.SetNonblock(fd, true); err == nil {
		err = syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_NOSIGPIPE, 1)
	}
	if err != nil {
		_ = syscall.Close(fd)
		return -1, err
	}
	return fd, nil
}
