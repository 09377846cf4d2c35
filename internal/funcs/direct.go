package funcs

import (
	"context"
	"strconv"

	"github.com/erlpy/erlpy/etf"
)

// direct returns the caller without reflection for a function of one of the commonest types, else nil.
func direct(fn any) caller {
	switch fn := fn.(type) {
	case func():
		return call0(func() (any, error) { fn(); return nil, nil }, etf.AppendTerm)
	case func() error:
		return call0(func() (any, error) { return nil, fn() }, etf.AppendTerm)
	case func() int:
		return call0(sure0(fn), writeInt)
	case func() float64:
		return call0(sure0(fn), writeFloat)
	case func() string:
		return call0(sure0(fn), etf.AppendString)
	case func() any:
		return call0(sure0(fn), etf.AppendTerm)
	case func() (any, error):
		return call0(fn, etf.AppendTerm)
	case func(int) int:
		return call1(oneInt, sure1(fn), writeInt)
	case func(int) (int, error):
		return call1(oneInt, fn, writeInt)
	case func(int, int) int:
		return call2(oneInt, sure2(fn), writeInt)
	case func(int, int) (int, error):
		return call2(oneInt, fn, writeInt)
	case func(float64) float64:
		return call1(oneFloat, sure1(fn), writeFloat)
	case func(float64, float64) float64:
		return call2(oneFloat, sure2(fn), writeFloat)
	case func(string) string:
		return call1(oneString, sure1(fn), etf.AppendString)
	case func(string) (string, error):
		return call1(oneString, fn, etf.AppendString)
	case func(any) any:
		return call1(oneAny, sure1(fn), etf.AppendTerm)
	case func(any) (any, error):
		return call1(oneAny, fn, etf.AppendTerm)
	case func(...any) any:
		return callMany(func(args []any) (any, error) { return fn(args...), nil })
	case func(...any) (any, error):
		return callMany(func(args []any) (any, error) { return fn(args...) })
	}
	return nil
}

// An argument is read by cut when it has the common form, and else, or when there is no cut, by read. The decoder travels by value: handed to an
// unknown function by pointer, it would have to live on the heap.
type (
	argument[T any] struct {
		cut  func([]byte) (T, []byte, bool)
		read func(etf.Decoder) (T, etf.Decoder, error)
	}
	writer[T any] func([]byte, T) ([]byte, error)
)

// They are named for the Go type.
var (
	oneInt = argument[int]{etf.CutInt, func(d etf.Decoder) (int, etf.Decoder, error) {
		n, err := d.Int()
		return int(n), d, err
	}}
	oneFloat = argument[float64]{etf.CutFloat, func(d etf.Decoder) (float64, etf.Decoder, error) {
		x, err := d.Float()
		return x, d, err
	}}
	oneString = argument[string]{nil, func(d etf.Decoder) (string, etf.Decoder, error) {
		s, err := d.Text()
		return s, d, err
	}}
	oneAny = argument[any]{nil, func(d etf.Decoder) (any, etf.Decoder, error) {
		v, err := d.Any()
		return v, d, err
	}}
)

func writeInt(dst []byte, n int) ([]byte, error) { return etf.AppendInt(dst, int64(n)), nil }

func writeFloat(dst []byte, x float64) ([]byte, error) { return etf.AppendFloat(dst, x), nil }

func call0[R any](fn func() (R, error), write writer[R]) caller {
	return func(f *Func, _ context.Context, args, dst []byte) ([]byte, error) {
		if !etf.IsNil(args) {
			_, d, err := f.open(args)
			if err != nil {
				return nil, err
			}
			if err := f.end(&d); err != nil {
				return nil, err
			}
		}
		r, err := fn()
		return finish(f, dst, r, err, write)
	}
}

func call1[A, R any](arg argument[A], fn func(A) (R, error), write writer[R]) caller {
	return func(f *Func, _ context.Context, args, dst []byte) ([]byte, error) {
		a, ok := cut1(args, arg)
		if !ok {
			_, d, err := f.open(args)
			if err != nil {
				return nil, err
			}
			if a, d, err = arg.read(d); err != nil {
				return nil, f.argError("args[0]", err)
			}
			if err := f.end(&d); err != nil {
				return nil, err
			}
		}
		r, err := fn(a)
		return finish(f, dst, r, err, write)
	}
}

func cut1[A any](args []byte, arg argument[A]) (a A, ok bool) {
	if n, rest, ok := etf.CutList(args); ok && n == 1 && arg.cut != nil {
		if a, rest, ok = arg.cut(rest); ok {
			return a, etf.IsNil(rest)
		}
	}
	return a, false
}

func call2[A, R any](arg argument[A], fn func(A, A) (R, error), write writer[R]) caller {
	return func(f *Func, _ context.Context, args, dst []byte) ([]byte, error) {
		a, b, ok := cut2(args, arg)
		if !ok {
			_, d, err := f.open(args)
			if err != nil {
				return nil, err
			}
			if a, d, err = arg.read(d); err != nil {
				return nil, f.argError("args[0]", err)
			}
			if b, d, err = arg.read(d); err != nil {
				return nil, f.argError("args[1]", err)
			}
			if err := f.end(&d); err != nil {
				return nil, err
			}
		}
		r, err := fn(a, b)
		return finish(f, dst, r, err, write)
	}
}

func cut2[A any](args []byte, arg argument[A]) (a, b A, ok bool) {
	if n, rest, ok := etf.CutList(args); ok && n == 2 && arg.cut != nil {
		if a, rest, ok = arg.cut(rest); ok {
			if b, rest, ok = arg.cut(rest); ok {
				return a, b, etf.IsNil(rest)
			}
		}
	}
	return a, b, false
}

func callMany(fn func([]any) (any, error)) caller {
	return func(f *Func, _ context.Context, list, dst []byte) ([]byte, error) {
		n, d, err := f.open(list)
		if err != nil {
			return nil, err
		}
		args := make([]any, 0, min(n, 1024)) // a list's header alone does not justify more
		for i := range n {
			v, err := d.Any()
			if err != nil {
				return nil, f.argError("args["+strconv.Itoa(i)+"]", err)
			}
			args = append(args, v)
		}
		if err := f.end(&d); err != nil {
			return nil, err
		}
		r, err := fn(args)
		return finish(f, dst, r, err, etf.AppendTerm)
	}
}

// finish appends the result r, unless the function failed with err.
func finish[R any](f *Func, dst []byte, r R, err error, write writer[R]) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	out, err := write(etf.AppendVersion(dst), r)
	if err != nil {
		return nil, f.resultError(err)
	}
	return out, nil
}

// sure0, sure1 and sure2 give a function that cannot fail an error to return.

func sure0[R any](fn func() R) func() (R, error) {
	return func() (R, error) { return fn(), nil }
}

func sure1[A, R any](fn func(A) R) func(A) (R, error) {
	return func(a A) (R, error) { return fn(a), nil }
}

func sure2[A, R any](fn func(A, A) R) func(A, A) (R, error) {
	return func(a, b A) (R, error) { return fn(a, b), nil }
}
