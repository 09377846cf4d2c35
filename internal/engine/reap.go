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
		err := t.SetFrame(a.batch())
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

// batch takes completions off the list, in the layout of shim.h.
func (a *async) batch() []byte {
	b := make([]byte, cpython.HeaderSize, 4096)
	for n := 0; a.taken < len(a.ready) && n < batchCalls && len(b) < batchBytes; n++ {
		c := a.ready[a.taken]
		a.ready[a.taken] = completion{}
		a.taken++
		ok := byte(0)
		if c.ok {
			ok = 1
		}
		b = binary.BigEndian.AppendUint64(b, c.token)
		b = append(b, ok)
		b = binary.BigEndian.AppendUint32(b, uint32(len(c.payload)))
		b = append(b, c.payload...)
	}
	if a.taken == len(a.ready) {
		a.ready, a.taken = a.ready[:0], 0
	}
	return b
}
