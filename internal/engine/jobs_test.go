package engine

import (
	"errors"
	"testing"
)

// nobody is the wake descriptor of a server without a thread: writing to it fails, and that is ignored.
const nobody = -1

func newJob(onMain bool) *job { return &job{onMain: onMain, done: make(chan outcome, 1)} }

func mustAdd(t *testing.T, q *jobs, list ...*job) {
	t.Helper()
	for _, j := range list {
		if err := q.add(j); err != nil {
			t.Fatal(err)
		}
	}
}

func TestJobsGoOutInOrder(t *testing.T) {
	q := &jobs{max: 1, alive: 1}
	s := &server{jobs: q, wake: nobody}
	a, b := newJob(false), newJob(false)
	mustAdd(t, q, a, b)
	for _, want := range []*job{a, b, nil} {
		if got, _ := q.take(s); got != want {
			t.Errorf("take = %p, want %p", got, want)
		}
	}
	if len(q.idle) != 1 {
		t.Errorf("%d idle servers, want the one that found nothing", len(q.idle))
	}
}

func TestMainTakesOnlyItsOwn(t *testing.T) {
	q := &jobs{max: 1, alive: 1}
	other, main := &server{jobs: q, wake: nobody}, &server{jobs: q, wake: nobody, main: true}
	a, b := newJob(false), newJob(true)
	mustAdd(t, q, a, b)
	if got, spawn := q.take(main); got != b || spawn {
		t.Errorf("main took %p (spawn %v), want %p", got, spawn, b)
	}
	if got, _ := q.take(other); got != a {
		t.Errorf("the other took %p, want %p", got, a)
	}
}

// The last server that becomes busy starts another, until there are max.
func TestServersGrow(t *testing.T) {
	q := &jobs{max: 2, alive: 1}
	first, second := &server{jobs: q, wake: nobody}, &server{jobs: q, wake: nobody}
	mustAdd(t, q, newJob(false), newJob(false))
	if _, spawn := q.take(first); !spawn || q.alive != 2 {
		t.Errorf("spawn = %v, alive = %d; want true, 2", spawn, q.alive)
	}
	if _, spawn := q.take(second); spawn || q.alive != 2 {
		t.Errorf("at the limit: spawn = %v, alive = %d; want false, 2", spawn, q.alive)
	}
	// With another one idle there is no need for more.
	q.max = 3
	q.take(first)
	q.take(second)
	mustAdd(t, q, newJob(false)) // wakes one of the two
	if j, spawn := q.take(second); j == nil || spawn {
		t.Errorf("with an idle one: job %p, spawn %v", j, spawn)
	}
}

func TestForget(t *testing.T) {
	q := &jobs{max: 1, alive: 1}
	a, b := newJob(false), newJob(false)
	mustAdd(t, q, a, b)
	q.forget(a)
	q.forget(a)
	if got, _ := q.take(&server{jobs: q, wake: nobody}); got != b {
		t.Errorf("take = %p, want %p", got, b)
	}
}

func TestJobsClose(t *testing.T) {
	q := &jobs{max: 1, alive: 1}
	j := newJob(false)
	mustAdd(t, q, j)
	q.close()
	q.close()
	if o := <-j.done; !errors.Is(o.err, ErrClosed) {
		t.Errorf("a waiting job got %v, want ErrClosed", o.err)
	}
	if err := q.add(newJob(false)); !errors.Is(err, ErrClosed) {
		t.Errorf("add after close: %v, want ErrClosed", err)
	}
}

// A server whose thread ends in the middle of a job does not leave its caller waiting.
func TestAbandon(t *testing.T) {
	q := &jobs{max: 2, alive: 2}
	s := &server{jobs: q, wake: nobody}
	j := newJob(false)
	mustAdd(t, q, j)
	s.job, _ = q.take(s)
	s.abandon()
	if o := <-j.done; o.err == nil {
		t.Error("the job of a server that is gone succeeded")
	}
	if len(q.idle) != 0 || q.alive != 1 {
		t.Errorf("%d idle, %d alive; want 0, 1", len(q.idle), q.alive)
	}
}
