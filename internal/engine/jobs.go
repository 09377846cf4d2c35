package engine

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/erlpy/erlpy/etf"
	"github.com/erlpy/erlpy/internal/cpython"
)

// mainToken marks the job server that is Python's main thread. It takes only what must run there.
const mainToken = "main"

// job is one call of Python that the Go program makes.
type job struct {
	frame  []byte // {Target, Args}, with room for a header in front
	onMain bool
	done   chan outcome // buffered: the caller may have gone
}

type outcome struct {
	payload []byte // with its version byte
	failed  bool
	err     error // when it did not run
}

// server is a Python thread that waits for jobs.
type server struct {
	jobs     *jobs
	main     bool
	wake     int // descriptor; -1 when the thread is gone
	job      *job
	spawning bool         // runs the call that starts the next server
	inCall   atomic.Int32 // calls of Go or Erlang that its Python code waits for
}

// jobs matches calls and servers. There is always an idle server, or one on its way, until max are there: the last one to become
// busy first starts another.
type jobs struct {
	mu     sync.Mutex
	closed bool
	max    int
	alive  int // servers, those on their way included, but for the main thread's
	all    []*server
	idle   []*server
	queue  []*job
}

// ErrBusy is returned by Do when every thread that could take the call waits for a function, which may be waiting for this very call.
var ErrBusy = errors.New("erlpy: every context waits for a function that it has called (MaxContexts)")

// ErrGone is returned by Do for a call on a thread that does not wait any more.
var ErrGone = errors.New("erlpy: the Python thread does not wait for this function any more")

// Do runs a call on a Python thread and returns its payload, or the payload of its failure with failed set. It waits for a free thread
// and for the result, until ctx is done.
func (e *Engine) Do(ctx context.Context, onMain bool, target string, args ...any) (payload []byte, failed bool, err error) {
	frame, err := etf.Append(make([]byte, cpython.HeaderSize, 256), etf.Tuple{etf.Atom(target), args})
	if err != nil {
		return nil, false, err
	}
	j := &job{frame: frame, onMain: onMain, done: make(chan outcome, 1)}
	forget := e.jobs.forget
	if g, ok := ctx.Value(taskKey{}).(*goTask); ok && !onMain && g.give(j) {
		forget = g.forget
	} else if err := e.jobs.add(j); err != nil {
		return nil, false, err
	}
	select {
	case o := <-j.done:
		return o.payload, o.failed, o.err
	case <-ctx.Done():
		forget(j)
		return nil, false, ctx.Err()
	}
}

// outcomeOf is the result of the nested call that the thread has just ended.
func outcomeOf(t *cpython.Thread) outcome {
	return outcome{payload: t.Payload(), failed: !t.ReplyOK()}
}

func without[T comparable](list []T, x T) []T {
	if i := slices.Index(list, x); i >= 0 {
		return slices.Delete(list, i, i+1)
	}
	return list
}

func (q *jobs) add(j *job) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return ErrClosed
	}
	q.queue = append(q.queue, j)
	for i := len(q.idle) - 1; i >= 0; i-- {
		if s := q.idle[i]; s.main == j.onMain {
			q.idle = append(q.idle[:i], q.idle[i+1:]...)
			wake(s.wake)
			return nil
		}
	}
	if !j.onMain && q.stuck() {
		q.queue = without(q.queue, j)
		return ErrBusy
	}
	return nil
}

// stuck reports whether there is no server, nor may there be one, that does not wait for a function.
func (q *jobs) stuck() bool {
	if q.alive < q.max {
		return false
	}
	waiting := 0
	for _, s := range q.all {
		if s.inCall.Load() > 0 {
			waiting++
		}
	}
	return waiting >= q.alive
}

// forget takes a job out of the queue that nobody waits for. One that runs already runs to its end.
func (q *jobs) forget(j *job) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.queue = without(q.queue, j)
}

func (q *jobs) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	for _, j := range q.queue {
		j.done <- outcome{err: ErrClosed}
	}
	q.queue = nil
}

// take returns the next job for s; or nil, and s is idle then. spawn: s must start another server first.
func (q *jobs) take(s *server) (j *job, spawn bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i, x := range q.queue {
		if x.onMain != s.main {
			continue
		}
		q.queue = append(q.queue[:i], q.queue[i+1:]...)
		others := 0
		for _, o := range q.idle {
			if !o.main && o != s {
				others++
			}
		}
		spawn = !s.main && others == 0 && q.alive < q.max
		if spawn {
			q.alive++
		}
		q.setIdle(s, false)
		return x, spawn
	}
	q.setIdle(s, true)
	return nil, false
}

func (q *jobs) setIdle(s *server, idle bool) {
	q.idle = without(q.idle, s)
	if idle {
		q.idle = append(q.idle, s)
	}
}

// abandon takes a server out whose thread has ended.
func (s *server) abandon() {
	q := s.jobs
	q.mu.Lock()
	defer q.mu.Unlock()
	q.setIdle(s, false)
	q.all = without(q.all, s)
	s.wake = -1
	if !s.main {
		q.alive--
	}
	if s.job != nil {
		s.job.done <- outcome{err: ErrClosed}
		s.job = nil
	}
}

// serveJobs makes the thread a server. The main thread's first act is to start the first other one.
func (e *Engine) serveJobs(t *cpython.Thread, s *session, main bool) cpython.Action {
	if err := makeWakeFD(t); err != nil {
		return e.fail(t, err)
	}
	srv := &server{jobs: &e.jobs, main: main, wake: t.WakeFD()}
	s.push(entry{kind: jobServer, server: srv})
	s.server = srv
	if !main {
		e.jobs.mu.Lock()
		e.jobs.all = append(e.jobs.all, srv)
		e.jobs.mu.Unlock()
	}
	if main {
		e.jobs.mu.Lock()
		e.jobs.alive++
		e.jobs.mu.Unlock()
		return e.spawn(t, srv)
	}
	return e.nextJob(t, s)
}

// spawn has the thread start another server.
func (e *Engine) spawn(t *cpython.Thread, srv *server) cpython.Action {
	frame, err := etf.Append(make([]byte, cpython.HeaderSize), etf.Tuple{etf.Atom("start_context"), []any{"", "go"}})
	if err == nil {
		err = t.SetFrame(frame)
	}
	if err != nil {
		return e.fail(t, err)
	}
	srv.spawning = true
	return cpython.Nested
}

// nextJob runs the next call, or sleeps until there is one.
func (e *Engine) nextJob(t *cpython.Thread, s *session) cpython.Action {
	srv := s.top().server
	if e.closing.Load() {
		srv.abandon()
		s.pop()
		return cpython.Closed
	}
	if srv.job == nil {
		var spawn bool
		if srv.job, spawn = e.jobs.take(srv); spawn {
			return e.spawn(t, srv)
		}
	}
	if srv.job == nil {
		t.WaitFor(-1, false, -1)
		return cpython.Sleep
	}
	if err := t.SetFrame(srv.job.frame); err != nil {
		srv.job.done <- outcome{err: err}
		srv.job = nil
		return e.nextJob(t, s)
	}
	return cpython.Nested
}

// jobDone hands over the result in the frame.
func (e *Engine) jobDone(t *cpython.Thread, s *session) cpython.Action {
	srv := s.top().server
	switch {
	case srv.spawning:
		srv.spawning = false
		if !t.ReplyOK() { // no thread to be had: those that there are take its calls
			e.jobs.mu.Lock()
			e.jobs.alive--
			e.jobs.mu.Unlock()
		}
	case srv.job != nil:
		srv.job.done <- outcomeOf(t)
		srv.job = nil
	}
	return e.nextJob(t, s)
}
