package engine

import (
	"testing"

	"github.com/erlpy/erlpy/etf"
	"github.com/erlpy/erlpy/internal/cpython"
	"github.com/erlpy/erlpy/internal/funcs"
)

// callStep returns what begins a call of double_it on a thread, and does all of it: the function is Go's. It stands for the shim.
func callStep(tb testing.TB) func() {
	var r funcs.Registry
	if err := r.Register("double_it", func(x int) int { return 2 * x }); err != nil {
		tb.Fatal(err)
	}
	e, err := New(Options{Funcs: &r})
	if err != nil {
		tb.Fatal(err)
	}
	call, err := etf.Append(make([]byte, cpython.HeaderSize), etf.Tuple{"double_it", []any{21000}})
	if err != nil {
		tb.Fatal(err)
	}
	t := cpython.NewThread()
	tb.Cleanup(func() {
		e.Exit(t)
		t.Free()
	})
	return func() {
		if err := t.SetFrame(call); err != nil {
			tb.Fatal(err)
		}
		if a := e.Step(t, cpython.Call); a != cpython.Done {
			tb.Fatalf("the step is answered with %d", a)
		}
	}
}

// BenchmarkStep is the part of a Go function's call that is Go's own.
func BenchmarkStep(b *testing.B) {
	step := callStep(b)
	b.ReportAllocs()
	for b.Loop() {
		step()
	}
}

func TestStepDoesNotAllocate(t *testing.T) {
	step := callStep(t)
	step() // the session, and the frame
	if n := testing.AllocsPerRun(100, step); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
