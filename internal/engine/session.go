package engine

import (
	"slices"
	"sync"
	"sync/atomic"

	"github.com/erlpy/erlpy/internal/channel"
	"github.com/erlpy/erlpy/internal/cpython"
	"github.com/erlpy/erlpy/internal/funcs"
	"github.com/erlpy/erlpy/internal/worker"
)

// session is what Go keeps of a Python thread, from its first call to its end. Only the thread itself touches it.
type session struct {
	t      *cpython.Thread
	w      *worker.Worker // nil until the thread calls something, or serves the node
	server *server        // when the thread serves the Go program's calls
	stack  []entry
	casts  casts
	streak int // see takeTurn
	last   funcs.Last

	pieces    [][]byte // of a frame with parts, while it is being sent
	forgotten []uint32 // calls on the worker's channel whose answers nobody waits for any more
}

func (s *session) push(x entry) { s.stack = append(s.stack, x) }

func (s *session) top() *entry { return &s.stack[len(s.stack)-1] }

func (s *session) pop() {
	s.stack[len(s.stack)-1] = entry{}
	s.stack = s.stack[:len(s.stack)-1]
}

// drop closes the worker's channel.
func (s *session) drop() {
	s.w.Drop()
	s.forgotten = nil
}

// unsaid takes off the stack a nested call whose answer was still being written when the wait for that ended; the channel cannot be used any
// more.
func (s *session) unsaid() {
	for s.top().kind == incoming {
		if s.w.Channel() == s.top().ch {
			s.drop()
		}
		s.pop()
	}
}

// forget reports whether an answer is one that is to be passed over.
func (s *session) forget(id uint32) bool {
	before := len(s.forgotten)
	s.forgotten = without(s.forgotten, id)
	return len(s.forgotten) < before
}

// outer returns the call with that id below the youngest entry, or nil. After the thread has given up on a function, a nested call of that function
// and the thread's next call may cross: then the thread serves the one within the other, the node the other within the one.
func (s *session) outer(id uint32, ch *channel.Channel) *entry {
	for i := range s.stack[:len(s.stack)-1] {
		if x := &s.stack[i]; x.kind == outgoing && x.phase == receiving && x.id == id && x.ch == ch && x.early == nil {
			return x
		}
	}
	return nil
}

// nesting is how many calls of Python, and Go functions that may make some, the thread is in the middle of.
func (s *session) nesting() int {
	n := 0
	for i := range s.stack {
		if k := s.stack[i].kind; k == incoming || k == task {
			n++
		}
	}
	return n
}

// begin and end say when a server waits for a function: from its start to its end, and not for the GIL, or to get into Go.
func (s *session) begin() {
	if s.server != nil {
		s.server.inCall.Add(1)
	}
}

func (s *session) end() {
	if s.server != nil {
		s.server.inCall.Add(-1)
	}
}

// alone reports whether nothing below the youngest entry is on the same channel.
func (s *session) alone() bool {
	top := len(s.stack) - 1
	for _, x := range s.stack[:top] {
		if x.ch == s.stack[top].ch {
			return false
		}
	}
	return true
}

// sessions gives each session a small number, which is what C keeps: no Go pointer ever does. Numbers are reused.
type sessions struct {
	mu    sync.Mutex
	slots atomic.Pointer[[]*session] // by number - 1; replaced, never changed, so that get needs no lock
	free  []int
	past  cpython.Counts // of the threads that have ended
}

func (r *sessions) get(handle uint64) *session {
	slots := r.slots.Load()
	if slots == nil || handle == 0 || handle > uint64(len(*slots)) {
		return nil
	}
	return (*slots)[handle-1]
}

func (r *sessions) add(s *session) (handle uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var slots []*session
	if old := r.slots.Load(); old != nil {
		slots = slices.Clone(*old)
	}
	n := len(r.free)
	if n == 0 {
		r.free = append(r.free, len(slots))
		slots = append(slots, nil)
		n = 1
	}
	i := r.free[n-1]
	r.free = r.free[:n-1]
	slots[i] = s
	r.slots.Store(&slots)
	return uint64(i + 1)
}

func (r *sessions) remove(handle uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	slots := slices.Clone(*r.slots.Load())
	r.past = r.past.Plus(slots[handle-1].t.Counts())
	r.past.InFlight = 0 // whatever a thread waited for when it was cut off, it waits no more
	slots[handle-1] = nil
	r.free = append(r.free, int(handle-1))
	r.slots.Store(&slots)
}

// count adds what all threads have called themselves.
func (r *sessions) count(s *Stats) {
	r.mu.Lock()
	defer r.mu.Unlock()
	sum := r.past
	if slots := r.slots.Load(); slots != nil {
		for _, x := range *slots {
			if x != nil {
				sum = sum.Plus(x.t.Counts())
			}
		}
	}
	s.Calls += sum.Calls
	s.Lent += sum.Lent
	s.InFlight += int(sum.InFlight)
	s.BytesIn += sum.BytesIn
	s.BytesOut += sum.BytesOut
}

// session returns the thread's session, made on its first step.
func (e *Engine) session(t *cpython.Thread) *session {
	if s := e.sessions.get(t.Handle()); s != nil {
		return s
	}
	s := &session{t: t, stack: make([]entry, 0, 2)}
	t.SetHandle(e.sessions.add(s))
	return s
}

// bind returns the thread's session with a worker, which comes from the pool when the thread has none yet.
func (e *Engine) bind(t *cpython.Thread) (*session, error) {
	s := e.session(t)
	if s.w == nil {
		w, err := e.pool.Acquire()
		if err != nil {
			return nil, err
		}
		s.w = w
	}
	return s, nil
}

// Exit implements cpython.Stepper: the thread is at its end.
func (e *Engine) Exit(t *cpython.Thread) {
	s := e.sessions.get(t.Handle())
	if s == nil {
		return
	}
	e.takeBack(t)
	e.sessions.remove(t.Handle())
	unfinished := len(s.stack) > 0
	for len(s.stack) > 0 { // the interpreter ended the thread in the middle of a call
		s.top().abandon()
		s.pop()
	}
	switch {
	case s.w == nil:
	case unfinished:
		e.pool.Retire(s.w)
	default:
		e.pool.Release(s.w)
	}
}
