package engine

import (
	"context"
	"errors"
	"strings"
	"testing"
)

// nobody is the wake descriptor of a server without a thread: writing to it fails, and that is ignored.
const nobody = -1

// newJobs returns jobs without threads; the test plays them.
func newJobs(limit int) *jobs {
	q := new(jobs)
	q.init(limit)
	return q
}

// started plays the control thread's start of a server, and its join. nil: no start is queued.
func (q *jobs) started(t *testing.T) *server {
	t.Helper()
	if len(q.queue[onControl]) == 0 {
		return nil
	}
	control := &server{jobs: q, place: onControl, wake: nobody}
	if j := q.take(control); j == nil || j.failed == nil {
		t.Fatalf("the control thread got %+v, want a call that starts a thread", j)
	}
	q.done(control, outcome{})
	q.setIdle(control, false)
	return q.join(onAny, nobody)
}

func callOf(t *testing.T, p place) *job {
	t.Helper()
	j, err := newJob(context.Background(), p, 1, "exec", []any{nil, "pass"})
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// mustAdd queues n calls for any thread.
func mustAdd(t *testing.T, q *jobs, n int) []*job {
	t.Helper()
	list := make([]*job, n)
	for i := range list {
		list[i] = callOf(t, onAny)
		if err := q.add(list[i]); err != nil {
			t.Fatal(err)
		}
	}
	return list
}

// mustEnd checks for the end of a job, and returns its outcome.
func mustEnd(t *testing.T, j *job) outcome {
	t.Helper()
	select {
	case <-j.over:
		return j.outcome
	default:
		t.Fatal("the job is not over")
		return outcome{}
	}
}

func TestJobsGoOutInOrder(t *testing.T) {
	q := newJobs(1)
	s := q.started(t)
	list := mustAdd(t, q, 2)
	for _, want := range append(list, nil) {
		if got := q.take(s); got != want {
			t.Errorf("take = %p, want %p", got, want)
		}
		if want != nil {
			q.done(s, outcome{payload: []byte{131}})
			if o := mustEnd(t, want); len(o.payload) != 1 {
				t.Errorf("the job ended with %+v", o)
			}
		}
	}
	if len(q.idle) != 1 || len(q.running) != 0 {
		t.Errorf("%d idle servers, %d jobs run; want the one that found nothing", len(q.idle), len(q.running))
	}
}

func TestPlaces(t *testing.T) {
	q := newJobs(1)
	main := q.join(onMain, nobody)
	if j := q.take(main); j == nil || j.failed == nil {
		t.Error("the main thread does not start the control thread first")
	}
	q.done(main, outcome{})
	other := q.started(t)
	a := mustAdd(t, q, 1)[0]
	b := callOf(t, onMain)
	if err := q.add(b); err != nil {
		t.Fatal(err)
	}
	if got := q.take(main); got != b {
		t.Errorf("main took %p, want %p", got, b)
	}
	if got := q.take(other); got != a {
		t.Errorf("the other took %p, want %p", got, a)
	}
}

// The last server to become busy has another started, until there are max.
func TestServersGrow(t *testing.T) {
	q := newJobs(3)
	first := q.started(t)
	if q.started(t) != nil {
		t.Error("a second server before the first has anything to do")
	}
	mustAdd(t, q, 2)
	q.take(first)
	second := q.started(t)
	if second == nil || q.alive != 2 {
		t.Fatalf("second = %v, alive = %d; want one, 2", second, q.alive)
	}
	q.take(second)
	third := q.started(t)
	if third == nil || q.take(third) != nil {
		t.Fatal("no third, or something for it to do")
	}
	q.done(first, outcome{})
	mustAdd(t, q, 1) // for the third, which is idle
	if q.take(first) == nil || q.started(t) != nil || q.alive != 3 {
		t.Errorf("alive = %d, want 3", q.alive)
	}
}

// Without new threads the servers take the calls; without servers the calls fail, and the next one
// tries again.
func TestNoThreads(t *testing.T) {
	q := newJobs(2)
	a := mustAdd(t, q, 1)[0]
	control := &server{jobs: q, place: onControl, wake: nobody}
	q.take(control)
	q.done(control, outcome{err: errors.New("no more threads")})
	if o := mustEnd(t, a); o.err == nil || !strings.Contains(o.err.Error(), "no more threads") {
		t.Errorf("the call ended with %v", o.err)
	}
	mustAdd(t, q, 1)
	s := q.started(t)
	if s == nil || q.take(s) == nil {
		t.Error("the next call does not have a thread started")
	}
	q.take(control)
	q.done(control, outcome{err: errors.New("no more threads")})
	b := mustAdd(t, q, 1)[0]
	q.done(s, outcome{})
	if q.take(s) != b {
		t.Error("the one server does not take the call")
	}
}

func TestForget(t *testing.T) {
	q := newJobs(1)
	s := q.started(t)
	list := mustAdd(t, q, 2)
	if !q.forget(list[0]) || q.forget(list[0]) {
		t.Error("forget finds a job that waits, and finds it once")
	}
	if got := q.take(s); got != list[1] {
		t.Errorf("take = %p, want %p", got, list[1])
	}
	if q.forget(list[1]) {
		t.Error("forget of a job that runs")
	}
	ctx, cancel := context.WithCancel(context.Background())
	late := callOf(t, onAny)
	late.ctx = ctx
	if err := q.add(late); err != nil {
		t.Fatal(err)
	}
	cancel()
	q.done(s, outcome{})
	if got := q.take(s); got != nil {
		t.Error("a job whose context has ended is begun")
	}
	if o := mustEnd(t, late); !errors.Is(o.err, context.Canceled) {
		t.Errorf("it ended with %v", o.err)
	}
}

func TestJobsClose(t *testing.T) {
	q := newJobs(1)
	s := q.started(t)
	list := mustAdd(t, q, 2)
	q.take(s)
	for range 2 {
		if got := q.close(); len(got) != 1 || got[0] != list[0] {
			t.Errorf("close returns %v, want the one that runs", got)
		}
	}
	if o := mustEnd(t, list[1]); !errors.Is(o.err, ErrClosed) {
		t.Errorf("a waiting job got %v, want ErrClosed", o.err)
	}
	if err := q.add(callOf(t, onAny)); !errors.Is(err, ErrClosed) {
		t.Errorf("add after close: %v, want ErrClosed", err)
	}
	if err := q.left(); !errors.Is(err, ErrNotEnded) {
		t.Errorf("left = %v, want ErrNotEnded", err)
	}
	q.done(s, outcome{})
	if err := q.left(); err != nil {
		t.Errorf("left = %v", err)
	}
}

// A server whose thread ends in the middle of a job does not leave its caller waiting.
func TestAbandon(t *testing.T) {
	q := newJobs(1)
	s := q.started(t)
	j := mustAdd(t, q, 1)[0]
	q.take(s)
	s.abandon()
	if o := mustEnd(t, j); o.err == nil {
		t.Error("the job of a server that is gone succeeded")
	}
	if len(q.idle) != 0 || q.alive != 0 || len(q.all) != 0 {
		t.Errorf("%d idle, %d alive, %d in all; want none", len(q.idle), q.alive, len(q.all))
	}
}

// Overdue servers are replaced, up to max of them; then callers are told.
func TestLostServers(t *testing.T) {
	q := newJobs(1)
	first := q.started(t)
	a := mustAdd(t, q, 1)[0]
	q.take(first)
	b := mustAdd(t, q, 1)[0]
	q.giveUp(a)
	second := q.started(t)
	if second == nil || q.take(second) != b || q.lost != 1 || q.alive != 1 {
		t.Fatalf("second = %v, %d lost, %d alive; want one in the place of the first", second, q.lost, q.alive)
	}
	c := mustAdd(t, q, 1)[0]
	q.giveUp(b) // no room for a third
	if o := mustEnd(t, c); !errors.Is(o.err, ErrBusy) || !strings.Contains(o.err.Error(), "2 are in code") {
		t.Errorf("who waited for a server was told %v", o.err)
	}
	if err := q.add(callOf(t, onAny)); !errors.Is(err, ErrBusy) {
		t.Errorf("add = %v, want ErrBusy", err)
	}
	// The first comes back: it takes the place of the second.
	if !q.done(first, outcome{}) || q.lost != 1 || q.alive != 1 {
		t.Fatalf("%d lost, %d alive; want the first back in place of the second", q.lost, q.alive)
	}
	d := mustAdd(t, q, 1)[0]
	if q.take(first) != d {
		t.Error("the first takes no call")
	}
	// The second comes back: there is no room for it any more.
	if q.done(second, outcome{}) {
		t.Error("more servers than max")
	}
	second.abandon()
	if q.lost != 0 || q.alive != 1 || len(q.all) != 1 {
		t.Errorf("%d lost, %d alive, %d in all; want the first alone", q.lost, q.alive, len(q.all))
	}
}

func TestBusyMainThread(t *testing.T) {
	q := newJobs(1)
	main := q.join(onMain, nobody)
	q.take(main)
	q.done(main, outcome{})
	a, b := callOf(t, onMain), callOf(t, onMain)
	for _, j := range []*job{a, b} {
		if err := q.add(j); err != nil {
			t.Fatal(err)
		}
	}
	q.take(main)
	q.giveUp(a)
	if o := mustEnd(t, b); !errors.Is(o.err, ErrBusy) {
		t.Errorf("who waited was told %v, want ErrBusy", o.err)
	}
	if err := q.add(callOf(t, onMain)); !errors.Is(err, ErrBusy) {
		t.Errorf("add = %v, want ErrBusy", err)
	}
	q.done(main, outcome{})
	if err := q.add(callOf(t, onMain)); err != nil {
		t.Errorf("once it is back: %v", err)
	}
}

// Servers waiting for functions count as stuck, unless their jobs are being interrupted.
func TestStuck(t *testing.T) {
	q := newJobs(2)
	first := q.started(t)
	list := mustAdd(t, q, 2)
	ctx, cancel := context.WithCancel(context.Background())
	list[0].ctx = ctx
	q.take(first)
	second := q.started(t)
	q.take(second)
	waits := mustAdd(t, q, 1)[0]
	look := func(ends bool, why string) {
		t.Helper()
		q.watch(q.progress())()
		if over := waits.outcome.err != nil; over != ends {
			t.Errorf("%s: the call that waits has ended with %v", why, waits.outcome.err)
		}
	}
	first.calls.begin()
	look(false, "one computes")
	second.calls.begin()
	second.calls.end()
	look(false, "one computes again")
	q.watch(q.progress() - 1)()
	look(false, "something has happened since")
	second.calls.begin()
	look(true, "both wait")
	if err := waits.outcome.err; !errors.Is(err, ErrBusy) || !strings.Contains(err.Error(), "2 wait for functions") {
		t.Errorf("it ended with %v, want ErrBusy", err)
	}
	waits = mustAdd(t, q, 1)[0]
	cancel()
	look(false, "one is being interrupted")
}
