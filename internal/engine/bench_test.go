package engine

import (
	"testing"

	"github.com/erlpy/erlpy/etf"
	"github.com/erlpy/erlpy/internal/cpython"
	"github.com/erlpy/erlpy/internal/funcs"
)

// newThread returns an engine with the Go functions double_it and half, and the state of a thread that calls them.
func newThread(tb testing.TB) (*Engine, *cpython.Thread) {
	var r funcs.Registry
	for name, fn := range map[string]any{
		"double_it": func(x int) int { return 2 * x },
		"half":      func(x float64) float64 { return x / 2 },
	} {
		if err := r.Register(name, fn); err != nil {
			tb.Fatal(err)
		}
	}
	e, err := New(Options{Funcs: &r})
	if err != nil {
		tb.Fatal(err)
	}
	t := cpython.NewThread()
	tb.Cleanup(func() {
		e.Exit(t)
		t.Free()
	})
	return e, t
}

// callStep returns what begins a call of half on a thread, and does all of it: the function is Go's. It stands for the shim.
func callStep(tb testing.TB) func() {
	e, t := newThread(tb)
	call, err := etf.Append(make([]byte, cpython.HeaderSize), etf.Tuple{"half", []any{21000.5}})
	if err != nil {
		tb.Fatal(err)
	}
	return func() {
		if err := t.SetFrame(call); err != nil {
			tb.Fatal(err)
		}
		if a := e.Step(t, cpython.Call); a != cpython.Done {
			tb.Fatalf("the step is answered with %d", a)
		}
	}
}

// integersStep is callStep for a call that needs no frame.
func integersStep(tb testing.TB) func() {
	e, t := newThread(tb)
	return func() {
		if err := t.HoldIntegers("double_it", 21000); err != nil {
			tb.Fatal(err)
		}
		if a := e.Step(t, cpython.Integers); a != cpython.Integer || t.Integer() != 42000 {
			tb.Fatalf("the step is answered with %d, %d", a, t.Integer())
		}
	}
}

// BenchmarkStep is the part of a Go function's call that is Go's own.
func BenchmarkStep(b *testing.B) {
	benchmark(b, callStep(b))
}

// BenchmarkIntegers is the same of a call without a frame.
func BenchmarkIntegers(b *testing.B) {
	benchmark(b, integersStep(b))
}

func benchmark(b *testing.B, step func()) {
	b.ReportAllocs()
	for b.Loop() {
		step()
	}
}

func TestStepDoesNotAllocate(t *testing.T) {
	for name, step := range map[string]func(){"a call": callStep(t), "one of integers": integersStep(t)} {
		step() // the session, and the frame
		if n := testing.AllocsPerRun(100, step); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}
