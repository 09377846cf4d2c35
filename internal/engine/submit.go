package engine

import (
	"time"

	"github.com/erlpy/erlpy/internal/channel"
	"github.com/erlpy/erlpy/internal/cpython"
)

// submit starts the call in the frame; the thread waits until there is room for it.
func (e *Engine) submit(t *cpython.Thread) cpython.Action {
	if e.closing.Load() {
		return e.fail(t, errClosing)
	}
	a := &e.async
	sub := &submission{token: t.Token(), job: e.jobOf(t)}
	if a.enter(sub, callSize(t), 0) {
		return e.start(t, sub, t.Timeout())
	}
	s := e.session(t)
	if s.reaps {
		return e.fail(t, &fullError{a.budget.bound})
	}
	if err := makeWakeFD(t); err != nil {
		return e.fail(t, err)
	}
	fd := t.WakeFD()
	sub.wait.wake = func() { wake(fd) }
	a.mu.Lock()
	a.budget.waitThread(&sub.wait)
	a.mu.Unlock()
	s.push(entry{kind: submitting, line: &line{a: a, sub: sub, since: time.Now()}})
	s.begin()
	return e.resumeSubmit(t, s)
}

// callSize is what the call in the frame has in the budget.
func callSize(t *cpython.Thread) int64 { return int64(t.Size()) + callOverhead }

// enter counts the call if there is room for it; see budget.enter.
func (a *async) enter(sub *submission, size int64, handle uint64) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	sub.wait.size = size
	if !a.budget.enter(&sub.wait, handle) {
		return false
	}
	sub.size = size
	return true
}

// line is a thread's stay in the budget's queue.
type line struct {
	a     *async
	sub   *submission
	since time.Time
}

// abandon gives the place, or the room, to others.
func (l *line) abandon() {
	l.a.mu.Lock()
	defer l.a.mu.Unlock()
	l.a.budget.leave(&l.sub.wait)
}

// done reports whether there is room, which is then the call's.
func (l *line) done() bool {
	l.a.mu.Lock()
	defer l.a.mu.Unlock()
	w := &l.sub.wait
	if !w.got {
		return false
	}
	w.got = false
	l.sub.size = w.size
	return true
}

// resumeSubmit goes on with a call that has waited for room, if there is some now.
func (e *Engine) resumeSubmit(t *cpython.Thread, s *session) cpython.Action {
	l := s.top().line
	switch {
	case e.closing.Load():
		l.abandon()
		e.finish(s)
		return e.fail(t, errClosing)
	case !l.done():
		t.WaitFor(-1, false, -1)
		return cpython.Sleep
	}
	e.finish(s)
	left := t.Timeout()
	if left >= 0 {
		left = max(0, left-time.Since(l.since))
	}
	return e.start(t, l.sub, left)
}

// offer starts the call in the frame if there is room for it, and answers false if not: then a
// completion with its token says when to offer it again, or that its time is over.
func (e *Engine) offer(t *cpython.Thread) cpython.Action {
	if e.closing.Load() {
		return e.fail(t, errClosing)
	}
	a := &e.async
	a.mu.Lock()
	sub := a.byToken[t.Token()]
	a.mu.Unlock()
	if sub == nil {
		sub = &submission{token: t.Token(), job: e.jobOf(t)}
	}
	if a.enter(sub, callSize(t), t.Handle()) {
		return e.start(t, sub, t.Timeout())
	}
	s := e.session(t)
	a.mu.Lock()
	defer a.mu.Unlock()
	if s.reaps {
		a.withdraw(sub)
		return e.fail(t, &fullError{a.budget.bound})
	}
	if sub.wait.wake == nil {
		sub.wait.wake = func() { a.add(hint(sub.token)) }
		a.byToken[sub.token] = sub
		e.limit(sub, t.Timeout())
	} else if a.byToken[sub.token] != sub {
		return e.done(t, false) // it has ended: its completion says how
	}
	a.budget.waitCoroutine(&sub.wait, t.Handle())
	return e.done(t, false)
}

// limit ends a submission after so long a time, unless that is negative. With e.async.mu held.
func (e *Engine) limit(sub *submission, timeout time.Duration) {
	if timeout >= 0 && sub.timer == nil {
		sub.timer = time.AfterFunc(timeout, func() { e.endSubmission(sub, timeoutError(timeout)) })
	}
}

// start starts the call in the frame. Its size has been counted.
func (e *Engine) start(t *cpython.Thread, sub *submission, timeout time.Duration) cpython.Action {
	name, atom, args, err := splitCall(t.Frame())
	if err == nil {
		if f := e.funcs.Lookup(name); f != nil && !atom {
			err = e.submitGo(sub, f, ownArgs(t, args))
		} else {
			err = e.submitNode(sub, string(name), t)
		}
	}
	if err == nil && timeout < 0 && sub.timer == nil {
		return e.done(t, true)
	}
	a := &e.async
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case err == nil && !sub.over:
		e.limit(sub, timeout)
	case err == nil && sub.id != 0 && a.mux != nil:
		_ = a.mux.Send(channel.Cancel, sub.id) // its time may have run out before it was sent
	case err == errOver:
		a.withdraw(sub)
	case err != nil:
		a.withdraw(sub)
		return e.fail(t, err)
	}
	return e.done(t, true)
}

func (e *Engine) submitNode(sub *submission, name string, t *cpython.Thread) error {
	if e.channel == nil {
		return e.nobody(name)
	}
	a := &e.async
	a.mu.Lock()
	if err := a.register(sub); err != nil {
		a.mu.Unlock()
		return err
	}
	sub.id = a.nextID()
	a.byID[sub.id] = sub
	mux := e.muxLocked()
	a.mu.Unlock()
	var few [1][]byte
	pieces := t.AppendPieces(few[:0])
	pieces[0] = pieces[0][cpython.HeaderSize:]
	return mux.Send(channel.Call, sub.id, pieces...)
}

// withdraw forgets a submission that does not begin.
func (a *async) withdraw(sub *submission) {
	delete(a.byID, sub.id)
	if a.byToken[sub.token] == sub {
		delete(a.byToken, sub.token)
	}
	if sub.timer != nil {
		sub.timer.Stop()
	}
	a.budget.leave(&sub.wait)
	a.budget.add(-sub.size)
	sub.size = 0
}
