package engine

import (
	"context"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/erlpy/erlpy/internal/channel"
	"github.com/erlpy/erlpy/internal/cpython"
	"github.com/erlpy/erlpy/internal/funcs"
)

// inline runs a Go function right here, on the calling thread's own goroutine: the fast way. The result is written over the
// arguments, which have been decoded by then, in the same memory.
func (e *Engine) inline(t *cpython.Thread, s *session, f *funcs.Func, args []byte) cpython.Action {
	s.begin()
	out, err := f.Call(context.Background(), args, t.Bytes()[:cpython.HeaderSize])
	s.end()
	return e.result(t, out, err)
}

// result leaves what a Go function came to in the frame.
func (e *Engine) result(t *cpython.Thread, out []byte, err error) cpython.Action {
	if err == nil && len(out)-4 > e.options.MaxFrame {
		err = &channel.LimitError{Size: len(out) - 4, Limit: e.options.MaxFrame}
	}
	if err != nil {
		return e.fail(t, err)
	}
	if unsafe.SliceData(out) == unsafe.SliceData(t.Bytes()) {
		t.SetLen(len(out))
	} else if err := t.SetFrame(out); err != nil {
		return e.fail(t, err)
	}
	return cpython.Done
}

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
