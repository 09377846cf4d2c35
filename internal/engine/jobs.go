package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/erlpy/erlpy/etf"
	"github.com/erlpy/erlpy/internal/cpython"
)

// place is the kind of thread a job runs on.
type place uint8

const (
	onAny     place = iota // any of the servers of Do
	onMain                 // Python's main thread
	onControl              // starts and interrupts the others; runs no code of the program
	places
)

// tokens are sent by threads to get their places; names are their names in Python.
var (
	tokens = [places]string{"", "main", "control"}
	names  = [places]string{"erlang-context", "", "erlang-control"}
)

// job is one call of Python by the Go program.
type job struct {
	id      uint64          // 0: a call of ours, on the control thread or to start it
	ctx     context.Context // the caller's, and parent of the contexts of its Go functions
	frame   []byte          // {Target, Args}, with room for a header in front
	place   place
	failed  func(outcome) // of a call of ours; called with jobs.mu held
	over    chan struct{} // closed at its end
	outcome outcome       // set before
	server  *server       // nil within a Go function's call. Guarded by jobs.mu
}

type outcome struct {
	payload []byte // with its version byte
	failed  bool
	err     error // when it did not run, or not to its end
}

// newJob returns a call of Python. With a number it can be interrupted.
func newJob(ctx context.Context, p place, id uint64, target string, args []any) (*job, error) {
	call := etf.Tuple{etf.Atom(target), args}
	if id != 0 {
		call = etf.Tuple{etf.Atom("job"), []any{id, etf.Atom(target), args}}
	}
	frame, err := etf.Append(make([]byte, cpython.HeaderSize, 256), call)
	if err != nil {
		return nil, err
	}
	return &job{id: id, ctx: ctx, frame: frame, place: p, over: make(chan struct{})}, nil
}

// finish tells the caller how it has ended.
func (j *job) finish(o outcome) {
	j.outcome = o
	close(j.over)
}

// server is a Python thread waiting for jobs.
type server struct {
	jobs    *jobs
	place   place
	wake    int  // descriptor; -1 when the thread is gone
	job     *job // guarded by jobs.mu; read without it by the thread itself
	calls   calls
	used    bool // it has had a job
	overdue bool // its job was interrupted, and has not ended within grace
	lost    bool // is overdue, and does not count any more
}

// calls counts a server's calls of Go or Erlang: those under way in the lower half, and all so far.
type calls struct{ n atomic.Uint64 }

func (c *calls) begin()        { c.n.Add(1<<32 + 1) }
func (c *calls) end()          { c.n.Add(^uint64(0)) }
func (c *calls) waiting() bool { return uint32(c.n.Load()) > 0 }
func (c *calls) begun() uint64 { return c.n.Load() >> 32 }

// jobs matches calls and servers. The control thread starts a server when the last idle one becomes
// busy, until there are max.
type jobs struct {
	last atomic.Uint64 // number given out
	gone chan struct{} // closed when Close waits no more

	mu      sync.Mutex
	ended   error // why no more are taken; nil: they are
	max     int
	alive   int       // servers of onAny, the coming one included, but not the lost ones
	coming  bool      // a server is being started
	lost    int       // max and one that ends, at most
	all     []*server // of onAny, but the lost ones
	main    *server
	idle    []*server
	queue   [places][]*job
	running map[*job]struct{}
	taken   uint64 // jobs so far

	patience time.Duration // see DefaultPatience
	watched  bool          // someone looks whether calls wait in vain
}

// DefaultPatience is the longest standstill: all servers wait for functions, and nothing happens in
// any. Queued calls then fail, since those functions may be waiting for them.
const DefaultPatience = 10 * time.Second

// init queues the start of the control thread, and of the first server.
func (q *jobs) init(maxContexts int) {
	q.max = maxContexts
	q.gone = make(chan struct{})
	q.running = make(map[*job]struct{})
	q.patience = DefaultPatience
	q.mu.Lock()
	defer q.mu.Unlock()
	q.start(onMain, onControl, func(o outcome) { q.end(startError(o)) })
	q.grow()
}

// start queues the start of a thread.
func (q *jobs) start(on, what place, failed func(outcome)) {
	j, err := newJob(context.Background(), on, 0, "start_context", []any{tokens[what], "go", names[what]})
	if err != nil {
		failed(outcome{err: err})
		return
	}
	j.failed = failed
	q.push(j)
}

// startError is why a thread was not started.
func startError(o outcome) error {
	if o.err != nil {
		return o.err
	}
	return fmt.Errorf("erlpy: Python cannot start a thread to serve calls: %s", failureText(o.payload))
}

// failureText is the message in {python, Name, Message, Traceback}.
func failureText(payload []byte) string {
	var v etf.Tuple
	if err := etf.Unmarshal(payload, &v); err != nil || len(v) != 4 {
		return "an unknown failure"
	}
	return fmt.Sprintf("%v: %v", v[1], v[2])
}

// grow starts a server when none is idle or coming, and max allows it.
func (q *jobs) grow() {
	if q.ended != nil || q.coming || q.alive >= q.max || slices.ContainsFunc(q.idle, func(s *server) bool { return s.place == onAny }) {
		return
	}
	q.coming = true
	q.alive++
	q.start(onControl, onAny, q.notStarted)
}

// notStarted takes back a start. The other servers take its calls; without others, queued calls
// fail.
func (q *jobs) notStarted(o outcome) {
	q.coming = false
	if q.alive--; q.alive == 0 {
		q.refuse(onAny, startError(o))
	}
}

// refuse fails all queued jobs of a place.
func (q *jobs) refuse(p place, why error) {
	for _, j := range q.queue[p] {
		j.finish(outcome{err: why})
	}
	q.queue[p] = nil
}

// end refuses new jobs, and fails those not yet begun.
func (q *jobs) end(why error) {
	if q.ended == nil {
		q.ended = why
	}
	q.refuse(onAny, q.ended)
	q.refuse(onMain, q.ended)
}

// notJoined takes back a thread without the means to serve.
func (q *jobs) notJoined(p place, why error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if p == onAny {
		q.notStarted(outcome{err: why})
	} else {
		q.end(why)
	}
}

// join makes a thread a server.
func (q *jobs) join(p place, wake int) *server {
	q.mu.Lock()
	defer q.mu.Unlock()
	s := &server{jobs: q, place: p, wake: wake}
	switch p {
	case onAny:
		q.coming = false
		q.all = append(q.all, s)
	case onMain:
		q.main = s
	}
	return s
}

// abandon removes a server at the end of its thread.
func (s *server) abandon() {
	q := s.jobs
	q.mu.Lock()
	defer q.mu.Unlock()
	q.setIdle(s, false)
	q.all = without(q.all, s)
	s.wake = -1
	switch {
	case s.place != onAny:
	case s.lost:
		q.lost--
	default:
		q.alive--
	}
	if j := s.job; j != nil {
		s.job = nil
		delete(q.running, j)
		j.finish(outcome{err: ErrClosed})
	}
}

// add puts a job into its queue.
func (q *jobs) add(j *job) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.ended != nil {
		return q.ended
	}
	if q.push(j) {
		return nil
	}
	q.grow()
	busy, hopeless := q.stuck(j.place)
	switch {
	case hopeless:
		q.queue[j.place] = without(q.queue[j.place], j)
		return busy
	case busy != nil && !q.watched:
		q.watched = true
		time.AfterFunc(q.patience, q.watch(q.progress()))
	}
	return nil
}

// watch returns a timer's function: it fails queued jobs if there is no progress since seen.
func (q *jobs) watch(seen uint64) func() {
	return func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		busy, _ := q.stuck(onAny)
		now := q.progress()
		if busy != nil && now == seen {
			q.refuse(onAny, busy)
		}
		if q.watched = busy != nil && len(q.queue[onAny]) > 0; q.watched {
			time.AfterFunc(q.patience, q.watch(now))
		}
	}
}

// progress changes with every event in a server.
func (q *jobs) progress() uint64 {
	sum := q.taken
	for _, s := range q.all {
		sum += s.calls.begun()
	}
	return sum
}

// push reports whether there was an idle server to wake.
func (q *jobs) push(j *job) bool {
	q.queue[j.place] = append(q.queue[j.place], j)
	for i := len(q.idle) - 1; i >= 0; i-- {
		if s := q.idle[i]; s.place == j.place {
			q.idle = slices.Delete(q.idle, i, i+1)
			wake(s.wake)
			return true
		}
	}
	return false
}

// take returns the next job for s; or nil, and s is idle then.
func (q *jobs) take(s *server) *job {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.queue[s.place]) > 0 {
		j := q.queue[s.place][0]
		q.queue[s.place][0] = nil
		q.queue[s.place] = q.queue[s.place][1:]
		if err := j.ctx.Err(); err != nil {
			j.finish(outcome{err: err})
			continue
		}
		q.setIdle(s, false)
		s.job, j.server, s.used = j, s, true
		q.running[j] = struct{}{}
		if s.place == onAny {
			q.taken++
			q.grow()
		}
		return j
	}
	q.setIdle(s, true)
	return nil
}

// setIdle puts a server at the end of the list, to be woken first: one call after the other finds
// the same thread. A new server is woken last.
func (q *jobs) setIdle(s *server, idle bool) {
	q.idle = without(q.idle, s)
	switch {
	case !idle:
	case s.used:
		q.idle = append(q.idle, s)
	default:
		q.idle = slices.Insert(q.idle, 0, s)
	}
}

// done ends the job of a server, and reports whether the server goes on. A lost one needs room
// again.
func (q *jobs) done(s *server, o outcome) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	j := s.job
	s.job, s.overdue = nil, false
	delete(q.running, j)
	if j.failed != nil && (o.failed || o.err != nil) {
		j.failed(o)
	}
	j.finish(o)
	if !s.lost {
		return true
	}
	q.lost--
	q.lose() // another may have waited for that
	if q.alive >= q.max {
		q.lost++ // until its thread has ended
		return false
	}
	s.lost = false
	q.alive++
	q.all = append(q.all, s)
	return true
}

// within notes the begin and the end of a job in a Go function's call.
func (q *jobs) within(j *job, runs bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if runs {
		q.running[j] = struct{}{}
	} else {
		delete(q.running, j)
	}
}

// forget removes a job from its queue, and reports whether it was there, hence never begins.
func (q *jobs) forget(j *job) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	before := len(q.queue[j.place])
	q.queue[j.place] = without(q.queue[j.place], j)
	return len(q.queue[j.place]) < before
}

func without[T comparable](list []T, x T) []T {
	if i := slices.Index(list, x); i >= 0 {
		return slices.Delete(list, i, i+1)
	}
	return list
}

// ErrBusy is returned by Do when no thread will take the call: each has waited long for a function,
// which may be waiting for this very call, or is in code beyond interrupts.
var ErrBusy = errors.New("erlpy: no Python thread is left to take the call")

// lose stops counting overdue servers, up to max of them, to make room for new ones.
func (q *jobs) lose() {
	for _, s := range slices.Clone(q.all) {
		if s.overdue && q.lost < q.max {
			s.lost = true
			q.lost++
			q.alive--
			q.all = without(q.all, s)
		}
	}
}

// stuck returns why a place has no free server, nil if it has or soon will, and whether all hope is
// gone. A server counts as soon free while its job is being interrupted.
func (q *jobs) stuck(p place) (busy error, hopeless bool) {
	if p == onMain {
		if q.main != nil && q.main.overdue {
			return fmt.Errorf("%w: the main thread is still in code of an earlier RunFile that no interrupt ends", ErrBusy), true
		}
		return nil, false
	}
	if q.alive < q.max {
		return nil, false
	}
	waiting, overdue := 0, 0
	for _, s := range q.all {
		switch {
		case s.overdue:
			overdue++
		case s.calls.waiting() && (s.job == nil || s.job.ctx.Err() == nil):
			waiting++
		}
	}
	if waiting+overdue < q.alive {
		return nil, false
	}
	return fmt.Errorf("%w: %d wait for functions that they have called, %d are in code that no interrupt ends (MaxContexts %d)",
		ErrBusy, waiting, q.lost+overdue, q.max), waiting == 0
}
