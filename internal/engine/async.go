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
}

// async holds the submitted calls from their start until the reaper, a Python thread, has taken how they ended.
type async struct {
	slots chan struct{} // Go functions that may run at once: the others wait

	mu      sync.Mutex
	mux     *channel.Mux // nil until something is submitted to the node, and again when its connection is lost
	last    uint32       // id given out
	byToken map[uint64]*submission
	byID    map[uint32]*submission
	ended   uint64 // submissions so far
	in, out uint64 // bytes of connections that are lost
	batches map[uint32]*batch
	ready   []completion
	taken   int // of ready
	reaper  int // wake descriptor of the reaper while it sleeps; else -1
}

func (a *async) init(maxCalls int) {
	a.slots = make(chan struct{}, maxCalls)
	a.byToken = make(map[uint64]*submission)
	a.byID = make(map[uint32]*submission)
	a.batches = make(map[uint32]*batch)
	a.reaper = -1
}

// submit starts the call in the frame.
func (e *Engine) submit(t *cpython.Thread) cpython.Action {
	if e.closing.Load() {
		return e.fail(t, errClosing)
	}
	name, atom, args, err := splitCall(t.Frame())
	if err != nil {
		return e.fail(t, err)
	}
	sub := &submission{token: t.Token(), job: e.jobOf(t)}
	if f := e.funcs.Lookup(name); f != nil && !atom {
		e.submitGo(sub, f, ownArgs(t, args))
	} else if err := e.submitNode(sub, string(name), t); err != nil {
		return e.fail(t, err)
	}
	if d := t.Timeout(); d >= 0 {
		e.async.mu.Lock()
		if e.async.byToken[sub.token] == sub { // not over already
			sub.timer = time.AfterFunc(d, func() { e.endSubmission(sub, timeoutError(d)) })
		}
		e.async.mu.Unlock()
	}
	return e.done(t, nil)
}

func (e *Engine) submitNode(sub *submission, name string, t *cpython.Thread) error {
	if e.channel == nil {
		return e.nobody(name)
	}
	a := &e.async
	a.mu.Lock()
	defer a.mu.Unlock()
	sub.id = a.nextID()
	a.byToken[sub.token], a.byID[sub.id] = sub, sub
	var few [1][]byte
	pieces := t.AppendPieces(few[:0])
	pieces[0] = pieces[0][cpython.HeaderSize:]
	if err := e.muxLocked().Send(channel.Call, sub.id, pieces...); err != nil {
		delete(a.byToken, sub.token)
		delete(a.byID, sub.id)
		return err
	}
	return nil
}

func (a *async) nextID() uint32 {
	if a.last++; a.last == 0 {
		a.last = 1
	}
	return a.last
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
	if a.mux != nil {
		s.BytesIn += a.mux.BytesIn()
		s.BytesOut += a.mux.BytesOut()
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
	return nil
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
	if a.byToken[sub.token] != sub {
		return false
	}
	delete(a.byToken, sub.token)
	delete(a.byID, sub.id)
	a.ended++
	if sub.timer != nil {
		sub.timer.Stop()
	}
	a.ready = append(a.ready, completion{sub.token, ok, payload})
	if a.reaper >= 0 {
		wake(a.reaper)
		a.reaper = -1
	}
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
	} else if a.mux != nil {
		_ = a.mux.Send(channel.Cancel, sub.id, nil) // a channel that is lost has killed it
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
	e.async.mu.Lock()
	defer e.async.mu.Unlock()
	_ = e.muxLocked().Send(channel.Call, e.async.nextID(), call) // the answer is nobody's
}

// close fails every call that is under way; the reaper takes them, and then ends.
func (a *async) close() {
	failed, _ := etf.Marshal(payload(errClosing))
	a.mu.Lock()
	defer a.mu.Unlock()
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

var errCancelled = errors.New("the call was cancelled")

// timedOut is a call whose time has run out.
type timedOut struct{ after time.Duration }

func timeoutError(d time.Duration) error { return &timedOut{d} }

func (e *timedOut) Error() string { return fmt.Sprintf("no answer within %g s", e.after.Seconds()) }
