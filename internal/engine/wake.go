package engine

import (
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/erlpy/erlpy/internal/cpython"
)

// makeWakeFD gives the thread a descriptor that other goroutines may wake it by.
func makeWakeFD(t *cpython.Thread) error {
	if t.WakeFD() >= 0 {
		return nil
	}
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return fmt.Errorf("erlpy: no descriptor to wake a thread by: %w", err)
	}
	t.SetWakeFD(fd)
	return nil
}

func wake(fd int) {
	one := [8]byte{1}
	for {
		if _, err := unix.Write(fd, one[:]); err != unix.EINTR {
			return // EAGAIN: it is awake already
		}
	}
}
