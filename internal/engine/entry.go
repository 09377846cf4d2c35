package engine

import (
	"github.com/erlpy/erlpy/internal/channel"
	"github.com/erlpy/erlpy/internal/cpython"
	"github.com/erlpy/erlpy/internal/worker"
)

// kind says what an entry of a thread's stack is.
type kind uint8

const (
	outgoing  kind = iota // a call of an Erlang function
	task                  // a Go function on a goroutine of its own
	incoming              // a call of Python that came over the channel, and runs
	listening             // waits for calls from the node: a context, or the host's control channel
	jobServer             // waits for the Go program's own calls
)

// phase of an outgoing or listening entry.
type phase uint8

const (
	opening phase = iota
	sending
	receiving
)

// entry is one thing that is under way on a thread.
type entry struct {
	kind    kind
	phase   phase
	op      string           // of an outgoing call of ours: "registered", "self"
	retried bool             // its connection was stale once already
	id      uint32           // of the call, in its direction
	ch      *channel.Channel // that the call is bound to; when the worker's is another by now, the conversation is over
	task    *goTask
	server  *server
}

// abandon lets go of what would otherwise reach for a thread that is not there any more.
func (x *entry) abandon() {
	if x.task != nil {
		x.task.abandon()
	}
	if x.server != nil {
		x.server.abandon()
	}
}

// session is what a thread keeps with its worker. Only the thread itself touches it.
type session struct {
	w     *worker.Worker
	stack []entry
}

func sessionOf(w *worker.Worker) *session {
	if s, ok := w.Session.(*session); ok {
		return s
	}
	s := &session{w: w, stack: make([]entry, 0, 2)}
	w.Session = s
	return s
}

func (s *session) push(x entry) { s.stack = append(s.stack, x) }

func (s *session) top() *entry { return &s.stack[len(s.stack)-1] }

func (s *session) pop() {
	s.stack[len(s.stack)-1] = entry{}
	s.stack = s.stack[:len(s.stack)-1]
}

// bind returns the thread's session, with a worker from the pool when it has none yet.
func (e *Engine) bind(t *cpython.Thread) (*session, error) {
	if w := e.pool.ByID(t.Worker()); w != nil {
		return sessionOf(w), nil
	}
	w, err := e.pool.Acquire()
	if err != nil {
		return nil, err
	}
	w.Session = nil
	t.SetWorker(w.ID)
	return sessionOf(w), nil
}
