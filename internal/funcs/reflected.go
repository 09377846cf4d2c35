package funcs

import (
	"context"
	"fmt"
	"reflect"
	"strconv"

	"github.com/erlpy/erlpy/etf"
)

var (
	contextType = reflect.TypeFor[context.Context]()
	errorType   = reflect.TypeFor[error]()
)

// signature is a function of any type, taken apart.
type signature struct {
	fn      reflect.Value
	params  []reflect.Type // without the context; of a variadic function the last is that of one argument
	first   int            // 1 when a context comes first
	results int            // without the error
	fails   bool           // the last result is an error
}

// newReflected makes the Func for a function of any type.
func newReflected(name string, fn reflect.Value) (*Func, error) {
	t := fn.Type()
	s := &signature{fn: fn, results: t.NumOut()}
	if t.NumIn() > 0 && t.In(0) == contextType {
		s.first = 1
	}
	for i := s.first; i < t.NumIn(); i++ {
		p := t.In(i)
		if t.IsVariadic() && i == t.NumIn()-1 {
			p = p.Elem()
		}
		if err := etf.CanDecode(p); err != nil {
			return nil, fmt.Errorf("parameter %d (%s): %w", i+1, t.In(i), err)
		}
		s.params = append(s.params, p)
	}
	if s.results > 0 && t.Out(s.results-1) == errorType {
		s.fails = true
		s.results--
	}
	for i := range s.results {
		if t.Out(i) == errorType {
			return nil, fmt.Errorf("result %d: an error must be the last result", i+1)
		}
		if err := etf.CanEncode(t.Out(i)); err != nil {
			return nil, fmt.Errorf("result %d (%s): %w", i+1, t.Out(i), err)
		}
	}
	f := &Func{name: name, params: len(s.params), variadic: t.IsVariadic(), context: s.first == 1, call: s.call}
	if f.variadic {
		f.params--
	}
	return f, nil
}

func (s *signature) call(f *Func, ctx context.Context, args, dst []byte) ([]byte, error) {
	n, d, err := f.open(args)
	if err != nil {
		return nil, err
	}
	in := make([]reflect.Value, 0, s.first+min(n, 1024)) // a list's header alone does not justify more
	if s.first == 1 {
		if ctx == nil {
			ctx = context.Background()
		}
		in = append(in, reflect.ValueOf(ctx))
	}
	for i := range n {
		arg := reflect.New(s.params[min(i, len(s.params)-1)]).Elem()
		if err := d.Into(arg); err != nil {
			return nil, f.argError("args["+strconv.Itoa(i)+"]", err)
		}
		in = append(in, arg)
	}
	if err := f.end(&d); err != nil {
		return nil, err
	}
	out := s.fn.Call(in)
	if s.fails {
		if err, _ := out[s.results].Interface().(error); err != nil {
			return nil, err
		}
	}
	return s.encode(f, out[:s.results], dst)
}

// encode appends the results: none, the only one, or a tuple of several.
func (s *signature) encode(f *Func, out []reflect.Value, dst []byte) ([]byte, error) {
	dst = etf.AppendVersion(dst)
	var err error
	switch len(out) {
	case 0:
		return etf.AppendNone(dst), nil
	case 1:
		if dst, err = etf.AppendTerm(dst, out[0].Interface()); err != nil {
			return nil, f.resultError(err)
		}
		return dst, nil
	}
	if dst, err = etf.AppendTuple(dst, len(out)); err != nil {
		return nil, f.resultError(err)
	}
	for i, v := range out {
		if dst, err = etf.AppendTerm(dst, v.Interface()); err != nil {
			return nil, f.resultError(etf.At("["+strconv.Itoa(i)+"]", err))
		}
	}
	return dst, nil
}
