package engine

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/erlpy/erlpy/internal/channel"
	"github.com/erlpy/erlpy/internal/cpython"
	"github.com/erlpy/erlpy/internal/funcs"
)

// inline runs a Go function right here, on the calling thread's own goroutine: the fast way. The result is written over the
// arguments, which have been decoded by then, in the same memory.
func (e *Engine) inline(t *cpython.Thread, s *session, f *funcs.Func, args []byte) cpython.Action {
	s.w.Begin()
	out, err := f.Call(context.Background(), args, t.Bytes()[:cpython.HeaderSize])
	s.w.End()
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

// goTask is a Go function that runs on a goroutine of its own.
type goTask struct {
	cancel context.CancelFunc
	done   atomic.Bool
	out    []byte // with room for a frame's header in front; set before done
	err    error

	mu   sync.Mutex
	wake int // the thread's wake descriptor; -1 once the thread waits no more
}

// startTask runs a function that takes a context, and puts the thread to sleep.
func (e *Engine) startTask(t *cpython.Thread, s *session, f *funcs.Func, args []byte) cpython.Action {
	if err := makeWakeFD(t); err != nil {
		return e.fail(t, err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	g := &goTask{cancel: cancel, wake: t.WakeFD()}
	own := append([]byte(nil), args...) // the frame is the thread's: after an abort it is used anew
	s.push(entry{kind: task, task: g})
	s.w.Begin()
	go g.run(ctx, f, own)
	return e.resumeTask(t, s)
}

func (g *goTask) run(ctx context.Context, f *funcs.Func, args []byte) {
	defer g.cancel()
	// A function that ends its goroutine, as testing's FailNow does, must not leave the thread asleep for good.
	g.err = errors.New("the function ended its goroutine without returning")
	defer func() {
		g.done.Store(true)
		g.mu.Lock()
		defer g.mu.Unlock()
		if g.wake >= 0 {
			wake(g.wake)
		}
	}()
	g.out, g.err = f.Call(ctx, args, make([]byte, cpython.HeaderSize, 256))
}

func (g *goTask) abandon() {
	g.cancel()
	g.mu.Lock()
	g.wake = -1
	g.mu.Unlock()
}

func (e *Engine) resumeTask(t *cpython.Thread, s *session) cpython.Action {
	g := s.top().task
	switch {
	case g.done.Load():
		e.finish(s)
		return e.result(t, g.out, g.err)
	case e.closing.Load():
		g.abandon()
		e.finish(s)
		return e.fail(t, errClosing)
	}
	t.WaitFor(-1, false, -1)
	return cpython.Sleep
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
