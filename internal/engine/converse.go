package engine

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/erlpy/erlpy/internal/channel"
	"github.com/erlpy/erlpy/internal/cpython"
)

// converse drives the youngest entry of the stack, an outgoing call or a listener, as far as it goes without waiting.
func (e *Engine) converse(t *cpython.Thread, s *session) cpython.Action {
	for {
		if e.closing.Load() {
			return e.end(t, s, errClosing)
		}
		x := s.top()
		var status channel.Status
		var err error
		switch x.phase {
		case opening:
			status, err = e.open(t, s, x)
		case sending:
			if s.w.Channel() != x.ch {
				return e.end(t, s, errLost)
			}
			status, err = s.send(t, x.ch)
			if err == nil && status == channel.Done {
				if x.kind == incoming { // the answer is out: back to whoever waited before
					s.pop()
					continue
				}
				if x.cast {
					e.finish(s)
					return e.done(t, nil)
				}
				x.phase = receiving
			}
		case receiving:
			if x.early != nil {
				return e.takeEarly(t, s, x)
			}
			if s.w.Channel() != x.ch {
				return e.end(t, s, errLost)
			}
			var h channel.Header
			h, status, err = x.ch.Receive(t)
			if err == nil && status == channel.Done {
				if action := e.received(t, s, h); action != 0 {
					return action
				}
				continue
			}
		}
		switch {
		case err != nil:
			if action := e.failed(t, s, err); action != 0 {
				return action
			}
		case status == channel.Pause:
			t.WaitFor(-1, false, channel.PauseFor)
			return cpython.Sleep
		case status == channel.WantRead || status == channel.WantWrite:
			wait := time.Duration(-1) // no limit
			if x.phase == opening {
				wait = max(0, x.ch.Remaining())
			}
			t.WaitFor(x.ch.FD(), status == channel.WantWrite, wait)
			return cpython.Sleep
		case x.phase == receiving && x.op == "self":
			handler := x.ch.Handler()
			e.finish(s)
			return e.done(t, handler)
		}
	}
}

// send sends the frame, and lets go of it once it is out.
func (s *session) send(t *cpython.Thread, ch *channel.Channel) (status channel.Status, err error) {
	if t.Apart() {
		s.pieces = t.AppendPieces(s.pieces[:0])
		status, err = ch.SendPieces(s.pieces)
		clear(s.pieces)
	} else {
		status, err = ch.Send(t.Frame())
	}
	if err == nil && status == channel.Done {
		t.Sent()
	}
	return status, err
}

func putHeader(t *cpython.Thread, k channel.Kind, id uint32) {
	channel.PutHeader(t.Frame(), t.Size()-channel.HeaderSize, k, id)
}

var errLost = fmt.Errorf("%w: the conversation ended during a nested call", channel.ErrDisconnected)

// open connects an entry, and readies it for its next phase.
func (e *Engine) open(t *cpython.Thread, s *session, x *entry) (channel.Status, error) {
	if x.ch == nil {
		if x.ch = s.w.Channel(); x.ch == nil {
			x.ch = s.w.Connect()
		}
	}
	status, err := x.ch.Open()
	if err != nil || status != channel.Done {
		return status, err
	}
	if x.kind == listening || x.op == "self" {
		x.phase = receiving
		return status, nil
	}
	x.id = x.ch.NextID()
	kind := channel.Call
	if x.cast {
		kind = channel.Cast
	}
	putHeader(t, kind, x.id)
	x.phase = sending
	return status, nil
}

// received takes up a frame that has come for the youngest entry. 0 means: go on.
func (e *Engine) received(t *cpython.Thread, s *session, h channel.Header) cpython.Action {
	x := s.top()
	switch h.Kind {
	case channel.OK, channel.Error:
		if s.forget(h.ID) {
			return 0
		}
		if x.kind != outgoing || h.ID != x.id {
			if y := s.outer(h.ID, x.ch); y != nil {
				t.SetLen(channel.HeaderSize + h.Size)
				y.early, y.earlyOK = slices.Clone(t.Bytes()[:channel.HeaderSize+h.Size]), h.Kind == channel.OK
				return 0
			}
			return e.end(t, s, fmt.Errorf("%w: the node answered call %d, which nobody has made", channel.ErrDisconnected, h.ID))
		}
		t.SetLen(channel.HeaderSize + h.Size)
		ch := x.ch
		e.finish(s)
		e.lend(t, s, ch)
		if h.Kind == channel.OK {
			return cpython.Done
		}
		return cpython.Failed
	case channel.Call:
		if x.kind == listening {
			s.forgotten = nil // the node asks for more: whatever it had to say of the call before, it has said
		}
		s.push(entry{kind: incoming, id: h.ID, ch: x.ch})
		if s.nesting() > e.options.MaxNesting {
			return e.refuse(t, s, &nestingError{e.options.MaxNesting})
		}
		t.SetLen(channel.HeaderSize + h.Size)
		return cpython.Nested
	case channel.Bye:
		return e.end(t, s, fmt.Errorf("%w: the node said goodbye", channel.ErrDisconnected))
	}
	return e.end(t, s, fmt.Errorf("%w: the node sent a frame of %v, which has no place here", channel.ErrDisconnected, h.Kind))
}

// takeEarly ends the youngest call, whose answer came while the thread was in a call within it.
func (e *Engine) takeEarly(t *cpython.Thread, s *session, x *entry) cpython.Action {
	answer, ok := x.early, x.earlyOK
	e.finish(s)
	if err := t.SetFrame(answer); err != nil {
		return e.fail(t, err)
	}
	if ok {
		return cpython.Done
	}
	return cpython.Failed
}

// reply sends the result of a call of Python that the frame holds.
func (e *Engine) reply(t *cpython.Thread, s *session) cpython.Action {
	x := s.top()
	switch x.kind {
	case jobServer:
		return e.jobDone(t, s)
	case task:
		x.task.jobDone(t)
		return e.resumeTask(t, s)
	}
	kind := channel.OK
	if !t.ReplyOK() {
		kind = channel.Error
	}
	putHeader(t, kind, x.id)
	x.phase = sending
	return e.converse(t, s)
}

// failed decides what an error of the channel means for the youngest entry. 0 means: go on.
func (e *Engine) failed(t *cpython.Thread, s *session, err error) cpython.Action {
	x := s.top()
	var limit *channel.LimitError
	switch {
	case errors.As(err, &limit) && x.kind == incoming: // the result is too large for the node: that is what it is told
		return e.refuse(t, s, err)
	case errors.As(err, &limit): // nothing was sent, the channel is good
		e.finish(s)
		return e.fail(t, err)
	case errors.Is(err, channel.ErrStale) && x.kind == outgoing && !x.retried && s.alone():
		// The handler had gone while this worker was idle. It has seen nothing of the call: a new one may.
		s.drop()
		x.ch, x.phase, x.retried = nil, opening, true
		return 0
	}
	return e.end(t, s, err)
}

// refuse answers an incoming call with err. 0 means: go on.
func (e *Engine) refuse(t *cpython.Thread, s *session, err error) cpython.Action {
	x := s.top()
	if err := t.SetFrame(errorFrame(err)); err != nil {
		return e.end(t, s, err)
	}
	putHeader(t, channel.Error, x.id)
	x.phase = sending
	return 0
}

// end fails the youngest entry with err, and breaks the channel that it was on.
func (e *Engine) end(t *cpython.Thread, s *session, err error) cpython.Action {
	x := *s.top()
	if x.ch != nil && s.w.Channel() == x.ch {
		s.drop()
	}
	if x.kind == incoming {
		// Its answer has no way back. The call below it, in whose wait it ran, cannot end well either.
		s.pop()
		return e.end(t, s, err)
	}
	e.finish(s)
	switch {
	case x.kind == listening && (x.phase == receiving || e.closing.Load()):
		return cpython.Closed
	case x.op == "registered":
		return e.done(t, false)
	}
	return e.fail(t, err)
}
