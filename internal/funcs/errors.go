package funcs

import (
	"fmt"
	"strconv"
)

// ArgError reports arguments that do not suit a function: a wrong number, or one of a wrong type.
type ArgError struct {
	Func string // the name the function is registered under
	What string // of a wrong number: "takes 1 argument, got 2"
	Err  error  // of a wrong type: an *etf.TypeError that names the argument
}

func (e *ArgError) Error() string {
	if e.Err != nil {
		return e.Func + ": " + e.Err.Error()
	}
	return e.Func + " " + e.What
}

// Unwrap returns the *etf.TypeError, if any.
func (e *ArgError) Unwrap() error { return e.Err }

// PanicError is what a panic in a function becomes.
type PanicError struct {
	Value any    // what was given to panic
	Stack []byte // as debug.Stack returns it
}

func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v", e.Value) }

// Unwrap returns the panic's value when it is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// ResultError reports a result that has no Erlang term.
type ResultError struct {
	Func string // the name the function is registered under
	Err  error  // an *etf.UnsupportedError that names the place, or an *etf.LimitError
}

func (e *ResultError) Error() string { return e.Func + ": " + e.Err.Error() }

// Unwrap returns the error of the encoder.
func (e *ResultError) Unwrap() error { return e.Err }

// arguments says "1 argument" or "2 arguments".
func arguments(n int) string {
	if n == 1 {
		return "1 argument"
	}
	return strconv.Itoa(n) + " arguments"
}
