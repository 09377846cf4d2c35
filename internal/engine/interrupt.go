package engine

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/erlpy/erlpy/internal/cpython"
)

const (
	// Until a job that has not ended is interrupted again: at first, and at most. It doubles each time. Exceptions get lost in destructors, and
	// code may catch one.
	interruptSoon = 20 * time.Millisecond
	interruptLate = 640 * time.Millisecond
)

// DefaultGrace is how long an interrupted job may take to end before its thread is given up; as on the node.
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

// interrupt ends a job that has begun: its Python code, by erlang.Interrupted, which ends the calls that this waits in; and what it has
// submitted. A job that does not end within grace leaves its server overdue. Returns then, or when the job is over.
func (e *Engine) interrupt(j *job) {
	overdue := time.NewTimer(e.grace)
	defer overdue.Stop()
	for pause := interruptSoon; ; pause = min(2*pause, interruptLate) {
		e.cancelSubmitted(j)
		asked := e.jobs.ask("interrupt_job", j.id)
		again := time.NewTimer(pause)
		for waits := 2; waits > 0; waits-- { // for the pause, and for Python to have been asked
			select {
			case <-asked:
				asked = nil
			case <-again.C:
			case <-j.over:
				again.Stop()
				return
			case <-overdue.C:
				again.Stop()
				e.jobs.giveUp(j)
				return
			}
		}
	}
}

// ask puts a call of ours into the control thread's queue, and returns what is closed when it has run. Its result tells nothing: a job that it has
// missed has not begun, and is asked for again.
func (q *jobs) ask(target string, args ...any) <-chan struct{} {
	j, err := newJob(context.Background(), onControl, 0, target, args)
	if err != nil {
		panic(err) // a number has a term
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.push(j)
	return j.over
}

// giveUp is told of a job that interrupts do not end.
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

// cancelSubmitted takes back the submitted calls of a job. Its code may wait for them in a lock or a selector, where no exception reaches it.
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

// close takes no more jobs, and returns those that run and can be interrupted.
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

// Close fails every call from now on, the waiting ones included, interrupts the Python code that runs for Do, and has ServeMain end Python. It
// waits for that code, but no longer than grace. Its error says that some is left: Python may never end.
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

// left says which jobs run after Close.
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
