package engine

import (
	"encoding/binary"

	"github.com/erlpy/erlpy/internal/cpython"
)

// A batch of completions is no larger than this, in calls and, but for one, in bytes: the GIL is held while it is converted.
const (
	batchCalls = 256
	batchBytes = 256 << 10
)

// completion is how one ended.
type completion struct {
	token   uint64
	ok      bool
	payload []byte // with its version byte
}

// reap hands completions to the thread that asks for them, or puts it to sleep until there are some.
func (e *Engine) reap(t *cpython.Thread, s *session) cpython.Action {
	if len(s.stack) == 0 || s.top().kind != reaper {
		if err := makeWakeFD(t); err != nil {
			return e.fail(t, err)
		}
		s.push(entry{kind: reaper})
	}
	a := &e.async
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case len(a.ready) > a.taken:
		err := a.batch(t)
		s.pop()
		if err != nil {
			return e.fail(t, err)
		}
		return cpython.Done
	case e.closing.Load():
		s.pop()
		return cpython.Closed
	}
	a.reaper = t.WakeFD()
	t.WaitFor(-1, false, -1)
	return cpython.Sleep
}

// batch takes completions off the list, and lays them out in the thread's frame as shim.h says.
func (a *async) batch(t *cpython.Thread) error {
	n, size := 0, cpython.HeaderSize
	for _, c := range a.ready[a.taken:min(len(a.ready), a.taken+batchCalls)] {
		n++
		size += cpython.CompletionSize + len(c.payload)
		if size >= batchBytes {
			break
		}
	}
	frame, err := t.Grow(size)
	if err != nil {
		return err
	}
	b := frame[:cpython.HeaderSize]
	for _, c := range a.ready[a.taken : a.taken+n] {
		ok := byte(0)
		if c.ok {
			ok = 1
		}
		b = binary.BigEndian.AppendUint64(b, c.token)
		b = append(b, ok)
		b = binary.BigEndian.AppendUint32(b, uint32(len(c.payload)))
		b = append(b, c.payload...)
	}
	t.SetLen(len(b))
	clear(a.ready[a.taken : a.taken+n])
	if a.taken += n; a.taken == len(a.ready) {
		a.ready, a.taken = a.ready[:0], 0
	}
	return nil
}
