package erlpy

import (
	"fmt"
	"strings"

	"github.com/erlpy/erlpy/etf"
	"github.com/erlpy/erlpy/internal/cpython"
	"github.com/erlpy/erlpy/internal/engine"
	"github.com/erlpy/erlpy/internal/pyfind"
)

// The errors of Start and of a closed runtime, for errors.Is.
var (
	ErrStarted     = cpython.ErrStarted    // this process has started a Python before
	ErrClosed      = engine.ErrClosed      // the runtime is closed
	ErrBusy        = engine.ErrBusy        // no Python thread is left to take the call: see Contexts
	ErrNotEnded    = engine.ErrNotEnded    // Close has not ended Python: it is in code that no interrupt ends
	ErrGone        = engine.ErrGone        // the Python thread does not wait any more for the function that calls it back
	ErrNoPython    = pyfind.ErrNoPython    // there is no such Python
	ErrNoLibrary   = pyfind.ErrNoLibrary   // it has no shared library to load
	ErrUnsupported = pyfind.ErrUnsupported // it is not CPython 3.9 or later
)

// PythonError is an exception that Python code raised.
type PythonError struct {
	Type      string   // the name of its class
	Message   string   // str() of it
	Traceback []string // as Python prints it, a line each
}

// Error returns what Python's last line would say.
func (e *PythonError) Error() string {
	if e.Message == "" {
		return e.Type
	}
	return e.Type + ": " + e.Message
}

// ErlangError is what a function registered in Erlang failed with.
type ErlangError struct {
	Class      string // error, exit or throw
	Reason     any    // the term
	Text       string // both on one line
	Stacktrace []string
}

// Error returns class and reason on one line.
func (e *ErlangError) Error() string { return e.Text }

// value decodes a result.
func value(payload []byte) (any, error) {
	var v any
	if err := etf.Unmarshal(payload, &v); err != nil {
		return nil, fmt.Errorf("erlpy: the result of a call of Python: %w", err)
	}
	return v, nil
}

// pythonError reads {python, Name, Message, Traceback}, PROTOCOL.md section 5.
func pythonError(payload []byte) error {
	v, err := value(payload)
	if err != nil {
		return err
	}
	if t, ok := v.(etf.Tuple); ok && len(t) == 4 && t[0] == etf.Atom("python") {
		e := &PythonError{}
		e.Type, _ = t[1].(string)
		e.Message, _ = t[2].(string)
		lines, _ := t[3].([]any)
		for _, line := range lines {
			if s, ok := line.(string); ok {
				e.Traceback = append(e.Traceback, strings.TrimRight(s, "\n"))
			}
		}
		return e
	}
	return fmt.Errorf("erlpy: a call of Python failed in an unknown way: %v", v)
}
