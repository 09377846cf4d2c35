package engine

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/erlpy/erlpy/etf"
	"github.com/erlpy/erlpy/internal/channel"
	"github.com/erlpy/erlpy/internal/cpython"
)

// payloadAt is where a payload's first tag stands in a frame: behind the header and the version byte.
const payloadAt = cpython.HeaderSize + 1

// Tags of the external term format that a call's payload begins with.
const (
	tagVersion       = 131
	tagBinary        = 109
	tagSmallAtomUTF8 = 119
)

var (
	errClosing = fmt.Errorf("%w: the interpreter is shutting down", channel.ErrDisconnected)
	errNoNode  = fmt.Errorf("%w: no node is attached, and no Go function is registered", channel.ErrDisconnected)
)

// Step implements cpython.Stepper.
func (e *Engine) Step(t *cpython.Thread, ev cpython.Event) cpython.Action {
	returned := e.takeBack(t)
	switch ev {
	case cpython.Integers:
		return e.integers(t)
	case cpython.Call:
		return e.begin(t, false)
	case cpython.Cast:
		return e.begin(t, true)
	case cpython.Submit:
		return e.submit(t)
	case cpython.Cancel:
		return e.cancelToken(t)
	case cpython.MapItem:
		return e.mapItem(t)
	case cpython.MapResults:
		return e.mapResults(t)
	case cpython.MapBegin:
		return e.mapBegin(t)
	case cpython.MapEnd:
		return e.mapEnd(t)
	}
	s := e.session(t)
	switch ev {
	case cpython.Lent:
		return e.continueLent(t, s, returned)
	case cpython.Reap:
		return e.reap(t, s)
	case cpython.Timeout:
		return e.timeout(t, s)
	case cpython.Serve:
		return e.serve(t, s)
	case cpython.Resume:
		return e.resume(t, s)
	case cpython.Reply:
		return e.reply(t, s)
	case cpython.Abort:
		return e.abort(s)
	}
	return e.fail(t, fmt.Errorf("erlpy: unknown event %d", ev))
}

// begin starts the call, or the cast, whose {Target, Args} the frame holds.
func (e *Engine) begin(t *cpython.Thread, cast bool) cpython.Action {
	if e.closing.Load() {
		return e.fail(t, errClosing)
	}
	target, atom, args, err := splitCall(t.Frame())
	if err != nil {
		return e.fail(t, err)
	}
	if atom && !cast {
		return e.operation(t, string(target), args)
	}
	s, err := e.bind(t)
	if err != nil {
		return e.fail(t, err)
	}
	if n := s.nesting(); n >= e.options.MaxNesting {
		return e.fail(t, &nestingError{e.options.MaxNesting})
	}
	if f := s.last.Lookup(e.funcs, target); f != nil && !atom {
		switch {
		case cast:
			s.casts.add(f, ownArgs(t, args))
			return e.done(t, nil)
		case f.WantsContext() || t.Timeout() >= 0:
			return e.startTask(t, s, f, ownArgs(t, args))
		}
		if args, err = joinedArgs(t, args); err != nil {
			return e.fail(t, err)
		}
		// The fast way, right here, on the calling thread's own goroutine, and in no function of its own: see ONE_FRAME in steps.c. The result is
		// written over the arguments, which have been decoded by then, in the same memory.
		s.begin()
		out, err := f.Call(context.Background(), args, t.Bytes()[:cpython.HeaderSize])
		s.end()
		return e.result(t, out, err)
	}
	if e.channel == nil {
		if atom { // a notice to a node that is not there
			return e.done(t, nil)
		}
		return e.fail(t, e.nobody(string(target)))
	}
	e.takeTurn(t, s)
	s.push(entry{kind: outgoing, cast: cast})
	s.begin()
	return e.converse(t, s)
}

// nobody is why a name that is no Go function's cannot be called without a node.
func (e *Engine) nobody(name string) error {
	if len(e.funcs.Names()) == 0 {
		return errNoNode
	}
	return &notRegistered{name}
}

// splitCall finds the parts of {Target, Args} in a frame that the shim has written.
func splitCall(frame []byte) (target []byte, atom bool, args []byte, err error) {
	p := frame[min(payloadAt, len(frame)):]
	if len(p) >= 7 && p[2] == tagBinary {
		if n := int(binary.BigEndian.Uint32(p[3:])); len(p) >= 7+n {
			return p[7 : 7+n], false, p[7+n:], nil
		}
	}
	if len(p) >= 4 && p[2] == tagSmallAtomUTF8 {
		if n := int(p[3]); len(p) >= 4+n {
			return p[4 : 4+n], true, p[4+n:], nil
		}
	}
	return nil, false, nil, errors.New("erlpy: the shim's frame holds no call")
}

// joinedArgs are the arguments of the call in the frame, in one piece.
func joinedArgs(t *cpython.Thread, args []byte) ([]byte, error) {
	if !t.Apart() {
		return args, nil
	}
	if err := t.Join(); err != nil {
		return nil, err
	}
	_, _, args, err := splitCall(t.Frame())
	return args, err
}

// ownArgs is a copy of them, in one piece: the frame is the thread's, and after an abort it is used anew.
func ownArgs(t *cpython.Thread, args []byte) []byte {
	if !t.Apart() {
		return slices.Clone(args)
	}
	payload := t.Payload()
	return payload[len(t.Frame())-cpython.HeaderSize-len(args):]
}

// resume goes on with the youngest entry, whose sleep has ended.
func (e *Engine) resume(t *cpython.Thread, s *session) cpython.Action {
	switch s.top().kind {
	case task:
		return e.resumeTask(t, s)
	case jobServer:
		return e.nextJob(t, s)
	case reaper:
		return e.reap(t, s)
	case mapping:
		return e.mapResults(t)
	default:
		return e.converse(t, s)
	}
}

// abort forgets the youngest call: an exception has ended the wait for it.
func (e *Engine) abort(s *session) cpython.Action {
	s.unsaid()
	x := s.top()
	x.abandon()
	switch {
	case x.early != nil: // answered already
	case x.kind == outgoing && x.phase == receiving && !s.alone():
		// The handler that runs the function also waits for the call of Python that we are in: it goes on, and its answer to us is passed over.
		s.forgotten = append(s.forgotten, x.id)
	case x.kind == outgoing && x.ch != nil:
		e.kill(x.ch.Handler())
		s.drop()
	case x.kind == listening:
		s.drop()
	}
	e.finish(s)
	return cpython.Failed
}

// timeout ends the youngest call, whose time has run out, and its function.
func (e *Engine) timeout(t *cpython.Thread, s *session) cpython.Action {
	s.unsaid()
	x := s.top()
	x.abandon()
	if x.kind == outgoing && x.ch != nil {
		e.kill(x.ch.Handler())
		if s.w.Channel() == x.ch {
			s.drop() // a late reply must never be seen
		}
	}
	e.finish(s)
	return e.fail(t, timeoutError(t.Timeout()))
}

// finish takes the youngest entry off the stack.
func (e *Engine) finish(s *session) {
	if k := s.top().kind; k == outgoing || k == task {
		s.end()
	}
	s.pop()
}

// operation serves the shim's own questions. Only those that need the node bind a worker.
func (e *Engine) operation(t *cpython.Thread, op string, args []byte) cpython.Action {
	switch op {
	case "stats":
		return e.done(t, e.statsTerm(t))
	case "registered":
		if e.knows(args) {
			return e.done(t, true)
		}
		if e.channel == nil {
			return e.done(t, false)
		}
	case "self":
		if e.channel == nil {
			return e.done(t, nil)
		}
	case "whereis":
		if e.channel == nil {
			return e.done(t, nil)
		}
	default:
		if e.channel != nil {
			break
		}
		args, err := joinedArgs(t, args)
		if err != nil {
			return e.fail(t, err)
		}
		result, known, err := e.state.do(op, args)
		switch {
		case err != nil:
			return e.fail(t, &badTerm{err})
		case known:
			return e.done(t, result)
		}
		return e.fail(t, errNoNode)
	}
	s, err := e.bind(t)
	if err != nil {
		return e.fail(t, err)
	}
	s.push(entry{kind: outgoing, op: op})
	s.begin()
	return e.converse(t, s)
}

// knows reports whether [Name] names a Go function.
func (e *Engine) knows(args []byte) bool {
	d := etf.NewDecoder(args)
	if n, err := d.ListLen(); err != nil || n != 1 {
		return false
	}
	name, err := d.Bytes()
	return err == nil && e.funcs.Lookup(name) != nil
}

func (e *Engine) statsTerm(t *cpython.Thread) map[string]any {
	st := e.Stats()
	m := map[string]any{
		"idle": st.Idle, "bound": st.Bound, "retired": st.Retired, "in_flight": st.InFlight, "calls": st.Calls,
		"bytes_in": st.BytesIn, "bytes_out": st.BytesOut, "reconnects": st.Reconnects, "worker": nil, "handler": nil,
	}
	if s := e.sessions.get(t.Handle()); s != nil && s.w != nil {
		m["worker"] = s.w.ID
		if ch := s.w.Channel(); ch != nil && ch.Handler() != (etf.Pid{}) {
			m["handler"] = ch.Handler()
		}
	}
	return m
}
