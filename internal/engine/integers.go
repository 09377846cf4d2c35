package engine

import "github.com/erlpy/erlpy/internal/cpython"

// integers makes a call of one or two integers, which the thread holds and no frame. Unless it is one of a Go function that takes as many: then the
// shim makes it anew, in a frame.
func (e *Engine) integers(t *cpython.Thread) cpython.Action {
	if e.closing.Load() {
		return e.fail(t, errClosing)
	}
	s, err := e.bind(t)
	if err != nil {
		return e.fail(t, err)
	}
	if n := s.nesting(); n >= e.options.MaxNesting {
		return e.fail(t, &nestingError{e.options.MaxNesting})
	}
	name, a, b, count := t.Integers()
	f := s.last.Lookup(e.funcs, name)
	if f == nil || f.Integers() != count {
		return cpython.Refused
	}
	s.begin()
	result, err := f.CallIntegers(a, b)
	s.end()
	if err != nil {
		return e.fail(t, err)
	}
	t.SetInteger(result)
	return cpython.Integer
}
