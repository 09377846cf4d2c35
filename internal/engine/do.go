package engine

import (
	"context"
	"errors"

	"github.com/erlpy/erlpy/internal/cpython"
)

// ErrGone is returned by Do for a call on a thread after its wait.
var ErrGone = errors.New("erlpy: the Python thread does not wait for this function any more")

// ErrNotEnded is returned by Close when Python code goes on in spite of it.
var ErrNotEnded = errors.New("erlpy: Python has not ended")

// Do runs a call on a Python thread and returns its payload, or the payload of its failure with
// failed set. It waits for a free thread and for the result. At the end of ctx it returns at once,
// and interrupts the call if it has begun.
func (e *Engine) Do(ctx context.Context, main bool, target string, args ...any) (payload []byte, failed bool, err error) {
	if err := ctx.Err(); err != nil {
		return nil, false, err
	}
	p := onAny
	if main {
		p = onMain
	}
	j, err := newJob(ctx, p, e.jobs.last.Add(1), target, args)
	if err != nil {
		return nil, false, err
	}
	forget := e.jobs.forget
	if g, ok := ctx.Value(taskKey{}).(*goTask); ok && !main && g.give(j) {
		forget = g.forget
	} else if err := e.jobs.add(j); err != nil {
		return nil, false, err
	}
	select {
	case <-j.over:
		return resultOf(e, j)
	case <-ctx.Done():
		if !forget(j) {
			go e.interrupt(j)
		}
		return nil, false, ctx.Err()
	case <-e.jobs.gone:
	}
	select {
	case <-j.over:
		return resultOf(e, j)
	default:
		return nil, false, ErrClosed
	}
}

// resultOf returns the results of Do for a finished job. Failures after Close count as its doing.
func resultOf(e *Engine, j *job) (payload []byte, failed bool, err error) {
	o := j.outcome
	if o.failed && e.jobs.closed() {
		return nil, false, ErrClosed
	}
	return o.payload, o.failed, o.err
}

func (q *jobs) closed() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return errors.Is(q.ended, ErrClosed)
}

// outcomeOf is the result of the nested call just ended.
func outcomeOf(t *cpython.Thread) outcome {
	return outcome{payload: t.Payload(), failed: !t.ReplyOK()}
}

// serveJobs makes the thread a server.
func (e *Engine) serveJobs(t *cpython.Thread, s *session, p place) cpython.Action {
	if err := makeWakeFD(t); err != nil {
		e.jobs.notJoined(p, err)
		return e.fail(t, err)
	}
	s.server = e.jobs.join(p, t.WakeFD())
	s.push(entry{kind: jobServer, server: s.server})
	return e.nextJob(t, s)
}

// nextJob runs the next call, or sleeps until there is one.
func (e *Engine) nextJob(t *cpython.Thread, s *session) cpython.Action {
	for !e.closing.Load() {
		j := e.jobs.take(s.server)
		if j == nil {
			t.WaitFor(-1, false, -1)
			return cpython.Sleep
		}
		err := t.SetFrame(j.frame)
		if err == nil {
			return cpython.Nested
		}
		e.jobs.done(s.server, outcome{err: err})
	}
	return s.leaveJobs()
}

// jobDone hands over the result in the frame.
func (e *Engine) jobDone(t *cpython.Thread, s *session) cpython.Action {
	if !e.jobs.done(s.server, outcomeOf(t)) {
		return s.leaveJobs()
	}
	return e.nextJob(t, s)
}

// leaveJobs ends the thread's serving.
func (s *session) leaveJobs() cpython.Action {
	s.server.abandon()
	s.server = nil
	s.pop()
	return cpython.Closed
}

// job is the innermost one on the thread; nil: none.
func (s *session) job() *job {
	for i := len(s.stack) - 1; i >= 0; i-- {
		switch x := s.stack[i]; {
		case x.task != nil && x.task.job != nil:
			return x.task.job
		case x.server != nil && x.server.job != nil:
			return x.server.job
		}
	}
	return nil
}

// jobOf is session.job, also for a state beside the thread's own.
func (e *Engine) jobOf(t *cpython.Thread) *job {
	for _, handle := range [2]uint64{t.Handle(), t.Outer()} {
		if s := e.sessions.get(handle); s != nil {
			if j := s.job(); j != nil {
				return j
			}
		}
	}
	return nil
}

// contextOf is the parent of a Go function's context: that of the thread's job, or the engine's.
func (e *Engine) contextOf(t *cpython.Thread) context.Context {
	if j := e.jobOf(t); j != nil && j.id != 0 {
		return j.ctx
	}
	return e.life
}
