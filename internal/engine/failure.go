package engine

import (
	"errors"
	"fmt"
	"strings"
	"unsafe"

	"github.com/erlpy/erlpy/etf"
	"github.com/erlpy/erlpy/internal/channel"
	"github.com/erlpy/erlpy/internal/cpython"
	"github.com/erlpy/erlpy/internal/funcs"
	"github.com/erlpy/erlpy/internal/worker"
)

// notRegistered is a call of a name that nobody has registered.
type notRegistered struct{ name string }

func (e *notRegistered) Error() string { return "Function '" + e.name + "' not registered" }

// nestingError is a call too deep within others.
type nestingError struct{ max int }

func (e *nestingError) Error() string {
	return fmt.Sprintf("calls are nested deeper than %d (max_nesting)", e.max)
}

// badTerm is an argument of an operation that it cannot work with.
type badTerm struct{ err error }

func (e *badTerm) Error() string { return e.err.Error() }

// payload returns an error in the shape of PROTOCOL.md section 5: from there on it does not matter which side it is from.
func payload(err error) etf.Tuple {
	var unknown *notRegistered
	var limit *channel.LimitError
	var workers *worker.LimitError
	var nesting *etf.LimitError
	var refused *channel.RefusedError
	var panicked *funcs.PanicError
	var deep *nestingError
	var full *fullError
	var late *timedOut
	var bad *badTerm
	var result *funcs.ResultError
	text := err.Error()
	switch {
	case errors.As(err, &panicked): // first: the value of a panic may be any other error
		return raised(text, strings.Split(strings.TrimSpace(string(panicked.Stack)), "\n"))
	case errors.As(err, &unknown):
		return etf.Tuple{etf.Atom("not_registered"), unknown.name}
	case errors.As(err, &limit), errors.As(err, &workers), errors.As(err, &nesting), errors.As(err, &deep), errors.As(err, &full),
		errors.Is(err, cpython.ErrNoMemory):
		return etf.Tuple{etf.Atom("limit"), text}
	case errors.As(err, &late):
		return etf.Tuple{etf.Atom("timeout"), text}
	case errors.Is(err, errCancelled):
		return etf.Tuple{etf.Atom("cancelled"), text}
	case errors.As(err, &result), errors.As(err, &bad):
		return etf.Tuple{etf.Atom("bad_term"), text}
	case errors.As(err, &refused):
		return etf.Tuple{etf.Atom("refused"), text}
	case errors.Is(err, channel.ErrDisconnected), errors.Is(err, worker.ErrClosed):
		return etf.Tuple{etf.Atom("disconnected"), strings.TrimPrefix(text, channel.ErrDisconnected.Error()+": ")}
	default: // the function's own error
		return raised(text, nil)
	}
}

func raised(text string, stack []string) etf.Tuple {
	text = strings.ToValidUTF8(text, "\uFFFD")
	lines := make([]any, len(stack))
	for i, line := range stack {
		lines[i] = strings.ToValidUTF8(line, "\uFFFD")
	}
	return etf.Tuple{etf.Atom("raised"), etf.Atom("error"), text, text, lines}
}

// errorFrame is a frame with room for the header and err's payload.
func errorFrame(err error) []byte {
	b, encodeErr := etf.Append(make([]byte, cpython.HeaderSize, 256), payload(err))
	if encodeErr != nil { // only a text of gigabytes
		b, _ = etf.Append(make([]byte, cpython.HeaderSize), etf.Tuple{etf.Atom("disconnected"), "an error that cannot be described"})
	}
	return b
}

// fail answers that the call has failed with err.
func (e *Engine) fail(t *cpython.Thread, err error) cpython.Action {
	// Without memory even for this the frame still holds the call, and Python says that it is no error payload.
	_ = t.SetFrame(errorFrame(err))
	return cpython.Failed
}

// done answers that the call has the result v.
func (e *Engine) done(t *cpython.Thread, v any) cpython.Action {
	b, err := etf.Append(make([]byte, cpython.HeaderSize, 256), v)
	if err == nil {
		err = t.SetFrame(b)
	}
	if err != nil {
		return e.fail(t, err)
	}
	return cpython.Done
}

// result leaves what a Go function came to in the frame.
func (e *Engine) result(t *cpython.Thread, out []byte, err error) cpython.Action {
	if err == nil && len(out)-4 > e.options.MaxFrame {
		err = &channel.LimitError{Size: len(out) - 4, Limit: e.options.MaxFrame}
	}
	if err != nil {
		return e.fail(t, err)
	}
	if unsafe.SliceData(out) == unsafe.SliceData(t.Bytes()) {
		t.SetLen(len(out))
	} else if err := t.SetFrame(out); err != nil {
		return e.fail(t, err)
	}
	return cpython.Done
}
