package engine

import (
	"encoding/binary"
	"slices"
	"sync"

	"github.com/erlpy/erlpy/etf"
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
	cost    int64  // in the budget
}

// hint is what tells a coroutine that there is room.
func hint(token uint64) completion {
	return completion{token: token, ok: true, payload: etf.AppendNil(etf.AppendVersion(nil))}
}

// completions are the ends of calls, until the reaper has handed them to Python. Guarded by
// async.mu.
type completions struct {
	ready       []completion
	taken       int   // of ready, Python has those
	given       int   // behind those, in the reaper's frame
	reaper      int   // wake descriptor of the reaper while it sleeps; else -1
	unread      int64 // bytes that Python has not
	mapsWaiting int   // threads that wait for a result of a map
	closed      bool
	room        *sync.Cond // unread or mapsWaiting has changed, or closed
}

func (c *completions) init(mu *sync.Mutex) {
	c.reaper = -1
	c.room = sync.NewCond(mu)
}

// add has the reaper take one.
func (c *completions) add(x completion) {
	c.ready = append(c.ready, x)
	c.unread += int64(len(x.payload))
	if c.reaper >= 0 {
		wake(c.reaper)
		c.reaper = -1
	}
}

// reap hands completions to the thread that asks for them, or puts it to sleep until there are
// some. They are given again until they are reaped.
func (e *Engine) reap(t *cpython.Thread, s *session) cpython.Action {
	s.reaps = true
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
	a.completions.reaper = t.WakeFD()
	t.WaitFor(-1, false, -1)
	return cpython.Sleep
}

// reaped is told that Python has the completions given last. With the GIL held: it must not take
// long.
func (e *Engine) reaped() cpython.Action {
	a := &e.async
	a.mu.Lock()
	defer a.mu.Unlock()
	var cost int64
	for _, c := range a.ready[a.taken : a.taken+a.given] {
		cost += c.cost
		a.unread -= int64(len(c.payload))
	}
	clear(a.ready[a.taken : a.taken+a.given])
	if a.taken += a.given; 2*a.taken >= len(a.ready) {
		a.ready, a.taken = slices.Delete(a.ready, 0, a.taken), 0
	}
	a.given = 0
	a.budget.add(-cost)
	a.room.Signal()
	return cpython.Done
}

// batch lays out completions in the thread's frame as shim.h says.
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
	a.given = n
	return nil
}
