package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/erlpy/erlpy/etf"
	"github.com/erlpy/erlpy/internal/channel"
	"github.com/erlpy/erlpy/internal/cpython"
)

// submission is a call that no thread waits for.
type submission struct {
	token uint64
	job   *job               // that the thread's Python code ran for; nil: none
	id    uint32             // on the node's channel; 0: it is a Go function's
	stop  context.CancelFunc // of a Go function
	timer *time.Timer        // nil: no timeout
	size  int64              // what it has in the budget; 0: it has not begun
	wait  waiter
	over  bool
}

// async holds the submitted calls from their start until the reaper, a Python thread, has taken how they ended.
type async struct {
	slots chan struct{} // Go functions that may run at once: the others wait

	mu      sync.Mutex
	budget  budget
	mux     *channel.Mux // nil until something is submitted to the node, and again when its connection is lost
	last    uint32       // id given out
	byToken map[uint64]*submission
	byID    map[uint32]*submission
	ended   uint64 // submissions so far
	in, out uint64 // bytes of connections that are lost
	batches map[uint32]*batch
	completions
}

func (a *async) init(maxCalls int, maxBytes int64) {
	a.slots = make(chan struct{}, maxCalls)
	a.budget.bound = maxBytes
	a.byToken = make(map[uint64]*submission)
	a.byID = make(map[uint32]*submission)
	a.batches = make(map[uint32]*batch)
	a.completions.init(&a.mu)
}

// register makes a call known that is about to begin.
func (a *async) register(sub *submission) error {
	switch {
	case a.closed:
		return errClosing
	case sub.over:
		return errOver
	}
	a.byToken[sub.token] = sub
	return nil
}

// nextID returns a number that no call on the node's channel has: after 2^32 calls they come again.
func (a *async) nextID() uint32 {
	for {
		a.last++
		_, call := a.byID[a.last]
		_, batch := a.batches[a.last]
		if a.last != 0 && !call && !batch {
			return a.last
		}
	}
}

// muxLocked returns the node's async channel, which connects in the background. With e.async.mu held.
func (e *Engine) muxLocked() *channel.Mux {
	a := &e.async
	if a.mux == nil {
		a.mux = channel.OpenMux(e.asyncOptions, a.answered, a.lost)
	}
	return a.mux
}

// count adds the submitted calls, and what has gone over the node's channel.
func (a *async) count(s *Stats) {
	a.mu.Lock()
	defer a.mu.Unlock()
	s.Calls += a.ended
	s.InFlight += len(a.byToken)
	s.BytesIn += a.in
	s.BytesOut += a.out
	s.SubmittedBytes = int(a.budget.used.Load())
	s.MaxSubmittedBytes = int(a.budget.bound)
	s.Waiting = int(a.budget.queued.Load())
	if a.mux != nil {
		s.BytesIn += a.mux.BytesIn()
		s.BytesOut += a.mux.BytesOut()
	}
}

// countBytes counts bytes of a map's call of a Go function that come or go.
func (a *async) countBytes(n int64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.budget.add(n)
}

// mapWaits notes that one thread more, or less, waits for a result of a map.
func (a *async) mapWaits(waits bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !waits {
		a.mapsWaiting--
		return
	}
	a.mapsWaiting++
	a.room.Signal()
}

// exit is told that a thread has ended.
func (a *async) exit(handle uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if l := a.budget.loops[handle]; l != nil {
		a.budget.forget(l)
	}
}

// underWay reports whether the node has calls to answer.
func (a *async) underWay() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.byID)+len(a.batches) > 0
}

// answered is what the node's channel calls with the answers that have come.
func (a *async) answered(answers []channel.Answer) error {
	rest := answers[:0]
	a.mu.Lock()
	for _, answer := range answers {
		if sub := a.byID[answer.ID]; sub != nil {
			a.completeLocked(sub, answer.OK, answer.Payload)
		} else {
			rest = append(rest, answer)
		}
	}
	a.mu.Unlock()
	for _, answer := range rest {
		a.mu.Lock()
		b := a.batches[answer.ID]
		a.mu.Unlock()
		if b == nil {
			continue // cancelled: nobody wants to know
		}
		if err := b.answered(answer.OK, answer.Payload); err != nil {
			return err
		}
	}
	a.hold()
	return nil
}

// hold keeps the channel from reading on while Python has as many bytes of answers to take as the
// bound allows.
func (a *async) hold() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for a.unread > a.budget.bound && a.mapsWaiting == 0 && !a.closed {
		a.room.Wait()
	}
}

// lost fails whatever was on the node's channel.
func (a *async) lost(mux *channel.Mux, err error) {
	failed, _ := etf.Marshal(payload(err))
	a.mu.Lock()
	if a.mux == mux {
		a.mux = nil
		a.in += mux.BytesIn()
		a.out += mux.BytesOut()
	}
	for _, sub := range a.byID {
		a.completeLocked(sub, false, failed)
	}
	batches := slices.Collect(maps.Values(a.batches))
	a.mu.Unlock()
	for _, b := range batches {
		b.fail(failed)
	}
}

func (a *async) complete(sub *submission, ok bool, payload []byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.completeLocked(sub, ok, payload)
}

// completeLocked hands over how a call has ended, once. It reports whether this was the time.
func (a *async) completeLocked(sub *submission, ok bool, payload []byte) bool {
	delete(a.byID, sub.id)
	if a.byToken[sub.token] != sub {
		return false
	}
	delete(a.byToken, sub.token)
	sub.over = true
	a.ended++
	if sub.timer != nil {
		sub.timer.Stop()
	}
	a.budget.leave(&sub.wait)
	c := completion{sub.token, ok, payload, int64(len(payload)) + callOverhead}
	a.add(c)
	a.budget.add(c.cost - sub.size)
	sub.size = 0
	return true
}

// endSubmission ends a call from this side, and stops its function.
func (e *Engine) endSubmission(sub *submission, why error) {
	a := &e.async
	failed, _ := etf.Marshal(payload(why))
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.completeLocked(sub, false, failed) {
		return
	}
	if sub.stop != nil {
		sub.stop()
	} else if sub.id != 0 && a.mux != nil {
		_ = a.mux.Send(channel.Cancel, sub.id) // a channel that is lost has killed it
	}
}

// cancelToken takes the call back that the thread names. One that is over, or never was, is let be.
func (e *Engine) cancelToken(t *cpython.Thread) cpython.Action {
	e.async.mu.Lock()
	sub := e.async.byToken[t.Token()]
	e.async.mu.Unlock()
	if sub != nil {
		e.endSubmission(sub, errCancelled)
	}
	return e.done(t, nil)
}

// kill ends the function that a handler runs, for a thread that has given up waiting for it.
func (e *Engine) kill(handler etf.Pid) {
	call, err := etf.Marshal(etf.Tuple{etf.Atom("cancel"), []any{handler}})
	if err != nil {
		return // the zero Pid: the channel was not open yet
	}
	a := &e.async
	a.mu.Lock()
	defer a.mu.Unlock()
	sub := &submission{id: a.nextID()} // of no token: the answer is nobody's
	if e.muxLocked().Send(channel.Call, sub.id, call) == nil {
		a.byID[sub.id] = sub
	}
}

// close fails every call that is under way; the reaper takes them, and then ends.
func (a *async) close() {
	failed, _ := etf.Marshal(payload(errClosing))
	a.mu.Lock()
	defer a.mu.Unlock()
	a.closed = true
	a.room.Broadcast()
	for _, sub := range a.byToken {
		a.completeLocked(sub, false, failed)
		if sub.stop != nil {
			sub.stop()
		}
	}
	if a.mux != nil {
		a.mux.Close()
	}
}

// errOver is why a call does not begin whose time ran out while it waited for room: its completion
// is on its way.
var errOver = errors.New("erlpy: the call is over")

var errCancelled = errors.New("the call was cancelled")

// timedOut is a call whose time has run out.
type timedOut struct{ after time.Duration }

func timeoutError(d time.Duration) error { return &timedOut{d} }

func (e *timedOut) Error() string { return fmt.Sprintf("no answer within %g s", e.after.Seconds()) }
