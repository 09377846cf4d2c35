package engine

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/erlpy/erlpy/etf"
	"github.com/erlpy/erlpy/internal/cpython"
)

const (
	// The time until an interrupt is repeated: after it has missed a job not begun yet, and after a
	// hit. Both double each time. Exceptions get lost in destructors, and code may catch one; but it
	// may also be busy with its clean-up.
	missedPause = 10 * time.Millisecond
	hitPause    = 500 * time.Millisecond
)

// DefaultGrace is the time for an interrupted job to end; then its thread is given up, as on the
// node.
const DefaultGrace = 5 * time.Second

// Grace is how long this engine gives them.
func (e *Engine) Grace() time.Duration { return e.grace }

// SetGrace changes it, and patience with it, for tests, before the first call.
func (e *Engine) SetGrace(d time.Duration) { e.grace, e.jobs.patience = d, 2*d }

// Waiting is how many calls wait for a server, for tests.
func (e *Engine) Waiting() int {
	e.jobs.mu.Lock()
	defer e.jobs.mu.Unlock()
	return len(e.jobs.queue[onAny])
}

// interrupt ends a running job: raises erlang.Interrupted in its Python code, also in a wait for a
// function, and cancels its submitted calls. It returns at the end of the job, or after grace, and
// the job's server is overdue then.
func (e *Engine) interrupt(j *job) {
	overdue := time.NewTimer(e.grace)
	defer overdue.Stop()
	missed, hit := missedPause, hitPause
	again := time.After(0)
	var asked *job
	var answered chan struct{}
	for {
		select {
		case <-j.over:
			return
		case <-overdue.C:
			e.jobs.giveUp(j)
			return
		case <-again:
			asked = e.jobs.ask("interrupt_job", j.id)
			answered = asked.over
		case <-answered:
			answered = nil
			e.cancelSubmitted(j) // now, with the exception on its way, no more are coming
			pause := &missed
			if asked.outcome.isTrue() {
				pause = &hit
			}
			again = time.After(*pause)
			*pause *= 2
		}
	}
}

// ask queues a call of ours on the control thread.
func (q *jobs) ask(target string, args ...any) *job {
	j, err := newJob(context.Background(), onControl, 0, target, args)
	if err != nil {
		panic(err) // a number has a term
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.push(j)
	return j
}

// isTrue reports whether the call has returned True.
func (o outcome) isTrue() bool {
	var v bool
	return o.err == nil && !o.failed && etf.Unmarshal(o.payload, &v) == nil && v
}

// giveUp marks the server of an interrupted job as overdue.
func (q *jobs) giveUp(j *job) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if s := j.server; s != nil && s.job == j {
		s.overdue = true
		q.lose()
		q.grow()
		if busy, hopeless := q.stuck(j.place); hopeless {
			q.refuse(j.place, busy)
		}
	}
}

// cancelSubmitted cancels the submitted calls of a job. Its code may wait for them in a lock or a
// selector, beyond the reach of exceptions.
func (e *Engine) cancelSubmitted(j *job) {
	a := &e.async
	var own []*submission
	a.mu.Lock()
	for _, sub := range a.byToken {
		if sub.job == j {
			own = append(own, sub)
		}
	}
	a.mu.Unlock()
	for _, sub := range own {
		e.endSubmission(sub, errCancelled)
	}
}

// close refuses new jobs, and returns the running ones to interrupt.
func (q *jobs) close() []*job {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.end(ErrClosed)
	var list []*job
	for j := range q.running {
		if j.id != 0 && (j.server == nil || !j.server.overdue) {
			list = append(list, j)
		}
	}
	return list
}

// Close fails every call from now on, the waiting ones included, interrupts the Python code of Do,
// and makes ServeMain end Python. It waits for that code, at most for grace. An error means: some
// code goes on, and Python may never end.
func (e *Engine) Close() error {
	var ends sync.WaitGroup
	for _, j := range e.jobs.close() {
		ends.Add(1)
		go func() {
			defer ends.Done()
			e.interrupt(j)
		}()
	}
	ends.Wait()
	close(e.jobs.gone)
	cpython.Close()
	return e.jobs.left()
}

// left describes the jobs still running after Close.
func (q *jobs) left() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := 0
	for j := range q.running {
		if j.id != 0 {
			n++
		}
	}
	switch {
	case q.main != nil && q.main.job != nil:
		return fmt.Errorf("%w: Python's main thread is in code of RunFile that no interrupt ends", ErrNotEnded)
	case n > 0:
		return fmt.Errorf("%w: %d Python threads are in code that no interrupt ends", ErrNotEnded, n)
	}
	return nil
}
