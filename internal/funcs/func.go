package funcs

import (
	"context"
	"errors"
	"reflect"
	"runtime/debug"
	"strconv"

	"github.com/erlpy/erlpy/etf"
)

// Func is a registered function. Any goroutine may call its methods, several at once.
type Func struct {
	name     string
	params   int  // without the context; of a variadic function, without the last
	variadic bool // any number of arguments may follow
	context  bool
	call     caller

	ints     int // see Integers
	callInts func(a, b int) (int, error)
}

// caller decodes the arguments, runs the function and appends the result.
type caller func(f *Func, ctx context.Context, args, dst []byte) ([]byte, error)

// Name returns the name the function was registered under.
func (f *Func) Name() string { return f.name }

// WantsContext reports whether the function takes a context.Context.
func (f *Func) WantsContext() bool { return f.context }

// Call runs the function with args, a list in external term format without version byte, and appends the result, with the version
// byte, to dst. args may lie in dst's own memory beyond its end: arguments are copied before anything is appended.
//
// It fails with an *ArgError, a *PanicError, a *ResultError, the function's own error unchanged, or, for args that are no
// list of terms, an *etf.SyntaxError or *etf.LimitError; dst is then returned as it was. A nil ctx is context.Background().
func (f *Func) Call(ctx context.Context, args, dst []byte) (out []byte, err error) {
	defer func() {
		if v := recover(); v != nil {
			out, err = dst, &PanicError{Value: v, Stack: debug.Stack()}
		}
	}()
	if out, err = f.call(f, ctx, args, dst); err != nil {
		return dst, err
	}
	return out, nil
}

// open begins to decode a list of arguments, of which there must be the right number.
func (f *Func) open(args []byte) (n int, d etf.Decoder, err error) {
	d = etf.NewDecoder(args)
	if n, err = d.ListLen(); err != nil {
		return 0, d, f.argError("args", err)
	}
	if n < f.params || n > f.params && !f.variadic {
		return 0, d, f.wrongCount(n)
	}
	return n, d, nil
}

func (f *Func) wrongCount(n int) error {
	at := ""
	if f.variadic {
		at = "at least "
	}
	return &ArgError{Func: f.name, What: "takes " + at + arguments(f.params) + ", got " + strconv.Itoa(n)}
}

// argError says where the arguments went wrong.
func (f *Func) argError(path string, err error) error {
	if te := (*etf.TypeError)(nil); errors.As(err, &te) {
		return &ArgError{Func: f.name, Err: etf.At(path, err)}
	}
	return err
}

// end finishes decoding: the list has ended, and nothing follows it.
func (f *Func) end(d *etf.Decoder) error {
	if err := d.EndList(); err != nil {
		return f.argError("args", err)
	}
	return d.End()
}

func (f *Func) resultError(err error) error {
	return &ResultError{Func: f.name, Err: etf.At("result", err)}
}

// newFunc examines fn.
func newFunc(name string, fn any) (*Func, error) {
	v := reflect.ValueOf(fn)
	if v.Kind() != reflect.Func {
		if fn == nil {
			return nil, errors.New("nil is not a function")
		}
		return nil, errors.New(v.Type().String() + " is not a function")
	}
	if v.IsNil() {
		return nil, errors.New("the function is nil")
	}
	f, err := newReflected(name, v)
	if err != nil {
		return nil, err
	}
	if c := direct(fn); c != nil {
		f.call = c
	}
	f.ints, f.callInts = integers(fn)
	return f, nil
}
