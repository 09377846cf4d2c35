package engine

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/erlpy/erlpy/internal/cpython"
	"github.com/erlpy/erlpy/internal/funcs"
)

// goTask is a Go function that runs on a goroutine of its own, while the Python thread that called it sleeps in C. What the function
// calls in Python with its context runs on that very thread, which is free to.
type goTask struct {
	cancel context.CancelFunc
	done   atomic.Bool
	out    []byte // with room for a frame's header in front; set before done
	err    error
	jobs   *jobs
	job    *job // that the thread runs; only the thread touches it

	mu    sync.Mutex
	wake  int // the thread's wake descriptor; -1 once the thread waits no more
	queue []*job
}

// taskKey is where a function's context holds its goTask.
type taskKey struct{}

// startTask runs a function on a goroutine, with arguments that are its own, and puts the thread to sleep.
func (e *Engine) startTask(t *cpython.Thread, s *session, f *funcs.Func, args []byte) cpython.Action {
	if err := makeWakeFD(t); err != nil {
		return e.fail(t, err)
	}
	ctx, cancel := context.WithCancel(e.contextOf(t))
	g := &goTask{cancel: cancel, jobs: &e.jobs, wake: t.WakeFD()}
	s.push(entry{kind: task, task: g})
	s.begin()
	go g.run(context.WithValue(ctx, taskKey{}, g), f, args)
	return e.resumeTask(t, s)
}

func (g *goTask) run(ctx context.Context, f *funcs.Func, args []byte) {
	defer g.cancel()
	// A function that ends its goroutine, as testing's FailNow does, must not leave the thread asleep for good.
	g.err = errGoexit
	defer func() {
		g.done.Store(true)
		g.mu.Lock()
		defer g.mu.Unlock()
		if g.wake >= 0 {
			wake(g.wake)
		}
	}()
	g.out, g.err = f.Call(ctx, args, make([]byte, cpython.HeaderSize, 256))
}

// give has the thread run a job. false: the thread does not wait for the function any more.
func (g *goTask) give(j *job) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.wake < 0 {
		return false
	}
	g.queue = append(g.queue, j)
	wake(g.wake)
	return true
}

// forget is jobs.forget for a job given to the function's thread.
func (g *goTask) forget(j *job) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	before := len(g.queue)
	g.queue = without(g.queue, j)
	return len(g.queue) < before
}

// next is the job to run now, or nil.
func (g *goTask) next() *job {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.queue) == 0 {
		return nil
	}
	j := g.queue[0]
	g.queue = g.queue[1:]
	return j
}

// leave lets go of the function: nothing more reaches the thread.
func (g *goTask) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.wake = -1
	for _, j := range g.queue {
		j.finish(outcome{err: ErrGone})
	}
	g.queue = nil
	if g.job != nil {
		g.end(outcome{err: ErrGone})
	}
}

func (g *goTask) abandon() {
	g.cancel()
	g.leave()
}

// end ends the thread's job.
func (g *goTask) end(o outcome) {
	j := g.job
	g.job = nil
	g.jobs.within(j, false)
	j.finish(o)
}

func (e *Engine) resumeTask(t *cpython.Thread, s *session) cpython.Action {
	g := s.top().task
	switch {
	case g.done.Load():
		g.leave()
		e.finish(s)
		return e.result(t, g.out, g.err)
	case e.closing.Load():
		g.abandon()
		e.finish(s)
		return e.fail(t, errClosing)
	}
	for j := g.next(); j != nil; j = g.next() {
		err := j.ctx.Err()
		if err == nil {
			err = t.SetFrame(j.frame)
		}
		if err != nil {
			j.finish(outcome{err: err})
			continue
		}
		g.job = j
		g.jobs.within(j, true)
		return cpython.Nested
	}
	t.WaitFor(-1, false, -1)
	return cpython.Sleep
}
