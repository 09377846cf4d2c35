package funcs_test

import (
	"context"
	"testing"

	"github.com/erlpy/erlpy/internal/funcs"
)

var benchmarks = []struct {
	name string
	fn   any
	args []any
	free bool // must not allocate
}{
	{"func()", func() {}, nil, true},
	{"func(int)int", func(x int) int { return 2 * x }, []any{21000}, true},
	{"func(int,int)int", func(a, b int) int { return a + b }, []any{1, 1 << 40}, true},
	{"func(float64)float64", func(x float64) float64 { return x / 2 }, []any{1.5}, true},
	{"func(string)string", func(s string) string { return s }, []any{"hello, world"}, false},
	{"func(any)any", func(x any) any { return x }, []any{[]any{1, "x"}}, false},
	{"reflect/func(int8)int8", func(x int8) int8 { return x }, []any{5}, false},
	{"reflect/func([]int)int", func(xs []int) int { return len(xs) }, []any{[]any{1000, 2000, 3000}}, false},
}

func BenchmarkCall(b *testing.B) {
	for _, bm := range benchmarks {
		b.Run(bm.name, func(b *testing.B) {
			b.ReportAllocs()
			f, args, buf := register(b, bm.fn), encode(b, bm.args...), make([]byte, 0, 256)
			for b.Loop() {
				if _, err := f.Call(context.Background(), args, buf); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkLookup(b *testing.B) {
	b.ReportAllocs()
	var r funcs.Registry
	for _, name := range []string{"add_one", "double_it", "my_function"} {
		if err := r.Register(name, func() {}); err != nil {
			b.Fatal(err)
		}
	}
	name := []byte("double_it")
	for b.Loop() {
		if r.Lookup(name) == nil {
			b.Fatal("not found")
		}
	}
}

func TestNoAllocation(t *testing.T) {
	var r funcs.Registry
	name := []byte("f")
	for _, bm := range benchmarks {
		if !bm.free {
			continue
		}
		if err := r.Register("f", bm.fn); err != nil {
			t.Fatal(err)
		}
		args, buf := encode(t, bm.args...), make([]byte, 0, 256)
		n := testing.AllocsPerRun(100, func() {
			if _, err := r.Lookup(name).Call(context.Background(), args, buf); err != nil {
				t.Fatal(err)
			}
		})
		if n != 0 {
			t.Errorf("%s: %v allocations", bm.name, n)
		}
	}
}
