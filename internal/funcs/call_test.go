package funcs_test

import (
	"bytes"
	"context"
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/erlpy/erlpy/etf"
	"github.com/erlpy/erlpy/internal/funcs"
)

// register returns the Func of fn, named f.
func register(t testing.TB, fn any) *funcs.Func {
	t.Helper()
	var r funcs.Registry
	if err := r.Register("f", fn); err != nil {
		t.Fatal(err)
	}
	return r.Lookup([]byte("f"))
}

func encode(t testing.TB, args ...any) []byte {
	t.Helper()
	b, err := etf.AppendTerm(nil, args)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func call(t testing.TB, f *funcs.Func, args ...any) any {
	t.Helper()
	out, err := f.Call(t.Context(), encode(t, args...), nil)
	if err != nil {
		t.Fatalf("%v: %v", args, err)
	}
	var v any
	if err := etf.Unmarshal(out, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

type options struct {
	Name string `etf:"name"`
	Size *int
}

type celsius float64

// TestCall runs each function, through whatever path its type has.
func TestCall(t *testing.T) {
	type args = []any
	tests := []struct {
		name string
		fn   any
		args args
		want any
	}{
		{"func()", func() {}, nil, nil},
		{"func() error", func() error { return nil }, nil, nil},
		{"func() int", func() int { return 1 }, nil, 1},
		{"func() float64", func() float64 { return 1.5 }, nil, 1.5},
		{"func() string", func() string { return "x" }, nil, "x"},
		{"func() any", func() any { return []int{1} }, nil, args{1}},
		{"func() (any, error)", func() (any, error) { return 1, nil }, nil, 1},
		{"func(int) int", func(x int) int { return 2 * x }, args{21}, 42},
		{"func(int) (int, error)", func(x int) (int, error) { return 2 * x, nil }, args{math.MinInt64 / 2}, math.MinInt64},
		{"func(int, int) int", func(a, b int) int { return a - b }, args{1, 2}, -1},
		{"func(int, int) (int, error)", func(a, b int) (int, error) { return a - b, nil }, args{1, 2}, -1},
		{"func(float64) float64", math.Sqrt, args{16}, 4.0},
		{"func(float64, float64) float64", math.Pow, args{2, 0.5}, math.Sqrt2},
		{"func(string) string", strings.ToUpper, args{"žluť"}, "ŽLUŤ"},
		{"func(string) (string, error)", func(s string) (string, error) { return s + s, nil }, args{"ab"}, "abab"},
		{"func(any) any", func(x any) any { return x }, args{map[string]any{"a": args{nil}}}, map[string]any{"a": args{nil}}},
		{"func(any) (any, error)", func(x any) (any, error) { return x, nil }, args{nil}, nil},
		{"func(...any) any", func(xs ...any) any { return xs }, args{1, "x"}, args{1, "x"}},
		{"func(...any) any, none", func(xs ...any) any { return len(xs) }, nil, 0},
		{"func(...any) (any, error)", func(xs ...any) (any, error) { return xs, nil }, args{true}, args{true}},
		{"[]int", func(xs []int) []int { return append(xs, len(xs)) }, args{args{7, 8}}, args{7, 8, 2}},
		{"a list of bytes", func(xs []int) int { return len(xs) }, args{etf.Tuple{1, 2}}, 2},
		{"map[string]float64", func(m map[string]float64) float64 { return m["x"] }, args{map[string]any{"x": 1}}, 1.0},
		{"struct", func(o options) options { o.Name += "!"; return o }, args{map[string]any{"name": "n", "Size": 3}},
			map[string]any{"name": "n!", "Size": 3}},
		{"pointer", func(p *int) bool { return p == nil }, args{nil}, true},
		{"named types", func(c celsius) celsius { return c + 1 }, args{1}, 2.0},
		{"uint8", func(n uint8) int8 { return -int8(n) }, args{5}, -5},
		{"bytes", func(b []byte) int { return len(b) }, args{"abc"}, 3},
		{"atom", func(a etf.Atom) etf.Atom { return a }, args{etf.Atom("ok")}, etf.Atom("ok")},
		{"variadic", func(sep string, parts ...string) string { return strings.Join(parts, sep) }, args{"-", "a", "b"}, "a-b"},
		{"variadic, none", func(sep string, parts ...string) int { return len(parts) }, args{"-"}, 0},
		{"several results", func(a int) (int, string) { return a, "x" }, args{1}, etf.Tuple{1, "x"}},
		{"several results and error", func(a int) (int, string, error) { return a, "x", nil }, args{1}, etf.Tuple{1, "x"}},
		{"context", func(ctx context.Context, a int) bool { return ctx != nil && a == 1 }, args{1}, true},
		{"context only", func(ctx context.Context) error { return ctx.Err() }, nil, nil},
	}
	for _, tt := range tests {
		f := register(t, tt.fn)
		if got := call(t, f, tt.args...); !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: got %#v, want %#v", tt.name, got, tt.want)
		}
		// One argument more must be refused, and one fewer, unless any number will do.
		if reflect.TypeOf(tt.fn).IsVariadic() {
			continue
		}
		_, err := f.Call(t.Context(), encode(t, append(args{1}, tt.args...)...), nil)
		if ae := (*funcs.ArgError)(nil); !errors.As(err, &ae) {
			t.Errorf("%s: one argument more gives %v", tt.name, err)
		}
	}
}

func TestCallArgErrors(t *testing.T) {
	tests := []struct {
		fn   any
		args []any
		want string
	}{
		{func(x int) int { return x }, []any{1, 2}, "f takes 1 argument, got 2"},
		{func(x int) int { return x }, nil, "f takes 1 argument, got 0"},
		{func(x, y int) int { return x }, []any{1}, "f takes 2 arguments, got 1"},
		{func() {}, []any{1}, "f takes 0 arguments, got 1"},
		{func(string, ...int) {}, nil, "f takes at least 1 argument, got 0"},
		{func(context.Context, int) {}, nil, "f takes 1 argument, got 0"},
		{func(x int) int { return x }, []any{"x"}, "f: args[0]: str cannot be passed as int"},
		{func(x, y int) int { return x }, []any{1, nil}, "f: args[1]: NoneType cannot be passed as int"},
		{func(x string) string { return x }, []any{1}, "f: args[0]: int cannot be passed as string"},
		{func(x float64) float64 { return x }, []any{"1"}, "f: args[0]: str cannot be passed as float64"},
		{func(x int8) {}, []any{200}, "f: args[0]: int 200 cannot be passed as int8"},
		{func(string, ...int) {}, []any{"", 1, "x"}, "f: args[2]: str cannot be passed as int"},
		{func(context.Context, []map[string]int) {}, []any{[]any{map[string]any{"k": 1.5}}},
			"f: args[0][0]['k']: float cannot be passed as int"},
	}
	for _, tt := range tests {
		_, err := register(t, tt.fn).Call(t.Context(), encode(t, tt.args...), nil)
		if ae := (*funcs.ArgError)(nil); !errors.As(err, &ae) || err.Error() != tt.want {
			t.Errorf("%T%v: got %v, want %s", tt.fn, tt.args, err, tt.want)
		}
	}
}

func TestCallMalformed(t *testing.T) {
	for name, args := range map[string]string{
		"nothing": "", "half a list": "l\x00\x00\x00\x01", "no end": "l\x00\x00\x00\x01a\x05", "rest": "l\x00\x00\x00\x01a\x05ja",
	} {
		for _, fn := range []any{func(x int) int { return x }, func(x int8) {}, func(...any) any { return 0 }} {
			_, err := register(t, fn).Call(t.Context(), []byte(args), nil)
			if se := (*etf.SyntaxError)(nil); !errors.As(err, &se) {
				t.Errorf("%s to %T: got %v", name, fn, err)
			}
		}
	}
	_, err := register(t, func(x int) int { return x }).Call(t.Context(), []byte("l\x00\x00\x00\x01a\x05a\x06"), nil)
	if err == nil || err.Error() != "f: args: Term cannot be passed as list" {
		t.Errorf("improper list: got %v", err)
	}
}

func TestCallFailures(t *testing.T) {
	broken := errors.New("broken: žluť")
	for _, fn := range []any{
		func() error { return broken }, func() (any, error) { return 1, broken }, func() (int, string, error) { return 1, "", broken },
	} {
		out, err := register(t, fn).Call(t.Context(), encode(t), []byte("before"))
		if err != broken || string(out) != "before" {
			t.Errorf("%T: got %q, %v", fn, out, err)
		}
	}
	for _, fn := range []any{func() { panic(broken) }, func() (a, b int) { panic(broken) }} {
		out, err := register(t, fn).Call(t.Context(), encode(t), []byte("before"))
		var pe *funcs.PanicError
		if !errors.As(err, &pe) || !errors.Is(err, broken) || err.Error() != "panic: broken: žluť" || string(out) != "before" {
			t.Errorf("%T: got %q, %v", fn, out, err)
		} else if !bytes.Contains(pe.Stack, []byte("TestCallFailures")) {
			t.Errorf("%T: the stack does not lead to the panic:\n%s", fn, pe.Stack)
		}
	}
	for _, fn := range []any{func() any { return []any{1i} }, func() ([]any, error) { return []any{1i}, nil }} {
		_, err := register(t, fn).Call(t.Context(), encode(t), nil)
		var re *funcs.ResultError
		if !errors.As(err, &re) || err.Error() != "f: result[0]: complex128 has no Erlang term" {
			t.Errorf("%T: got %v", fn, err)
		}
	}
}

func TestContext(t *testing.T) {
	type key struct{}
	f := register(t, func(ctx context.Context) any { return ctx.Value(key{}) })
	if !f.WantsContext() || register(t, func(any) {}).WantsContext() {
		t.Error("WantsContext is wrong")
	}
	out, err := f.Call(context.WithValue(t.Context(), key{}, 5), encode(t), nil)
	if err != nil || !bytes.Equal(out, []byte{131, 97, 5}) {
		t.Errorf("got %x, %v", out, err)
	}
	//lint:ignore SA1012 that this is allowed is documented
	if _, err := f.Call(nil, encode(t), nil); err != nil {
		t.Errorf("without a context: %v", err)
	}
}

// TestCallAliased: arguments and result share one piece of memory, as in the engine's buffers.
func TestCallAliased(t *testing.T) {
	for _, fn := range []any{
		func(s string) string { return s + s }, func(s any) any { return []any{s, s} },
		func(s ...string) []string { return append(s, s...) },
		func(b []byte) []byte { return append(b, b...) }, func(p etf.Term) []etf.Term { return []etf.Term{p, p} },
	} {
		f := register(t, fn)
		memory := make([]byte, 200)
		args := memory[:copy(memory, encode(t, "some text"))]
		want, err := f.Call(t.Context(), bytes.Clone(args), nil)
		if err != nil {
			t.Fatal(err)
		}
		got, err := f.Call(t.Context(), args, memory[:0])
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%T: got %q, want %q, %v", fn, got, want, err)
		}
	}
}

func TestCallIntegers(t *testing.T) {
	failed := errors.New("failed")
	for _, tt := range []struct {
		name  string
		fn    any
		count int
		want  int64
		err   error
	}{
		{"func(int) int", func(a int) int { return -a }, 1, -7, nil},
		{"func(int) (int, error)", func(a int) (int, error) { return a + 1, nil }, 1, 8, nil},
		{"func(int, int) int", func(a, b int) int { return a - b }, 2, 7 - math.MinInt64/2, nil},
		{"func(int, int) (int, error)", func(a, b int) (int, error) { return b, nil }, 2, math.MinInt64 / 2, nil},
		{"one that fails", func(int) (int, error) { return 1, failed }, 1, 1, failed},
		{"func(int)", func(int) {}, 0, 0, nil},
		{"func() int", func() int { return 1 }, 0, 0, nil},
		{"func(int32) int", func(int32) int { return 1 }, 0, 0, nil},
		{"func(...any) any", func(...any) any { return 1 }, 0, 0, nil},
	} {
		f := register(t, tt.fn)
		if f.Integers() != tt.count {
			t.Errorf("%s takes %d integers, want %d", tt.name, f.Integers(), tt.count)
		}
		if tt.count == 0 {
			continue
		}
		if got, err := f.CallIntegers(7, math.MinInt64/2); got != tt.want || !errors.Is(err, tt.err) {
			t.Errorf("%s: got %d, %v; want %d, %v", tt.name, got, err, tt.want, tt.err)
		}
	}
	_, err := register(t, func(int) int { panic("on purpose") }).CallIntegers(1, 0)
	if pe := (*funcs.PanicError)(nil); !errors.As(err, &pe) || pe.Value != "on purpose" || len(pe.Stack) == 0 {
		t.Errorf("a panic gives %v", err)
	}
}
