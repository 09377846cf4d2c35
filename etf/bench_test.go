package etf_test

import (
	"testing"

	"github.com/erlpy/erlpy/etf"
)

var samples = []struct {
	name string
	v    any
}{
	{"int", 42},
	{"string", "hello, world"},
	{"call", etf.Tuple{"double_it", []any{21}}},
	{"record", map[string]any{"name": "x", "size": 1234, "tags": []any{"a", "b"}, "at": 1.5}},
	{"ints", make([]int, 1000)},
}

func BenchmarkAppend(b *testing.B) {
	for _, s := range samples {
		b.Run(s.name, func(b *testing.B) {
			b.ReportAllocs()
			buf := make([]byte, 0, 1<<16)
			for b.Loop() {
				if _, err := etf.Append(buf, s.v); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkAny(b *testing.B) {
	for _, s := range samples {
		b.Run(s.name, func(b *testing.B) {
			b.ReportAllocs()
			in := marshal(b, s.v)[1:]
			for b.Loop() {
				d := etf.NewDecoder(in)
				if _, err := d.Any(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkInto(b *testing.B) {
	b.ReportAllocs()
	in := marshal(b, make([]int, 1000))
	for b.Loop() {
		var out []int
		if err := etf.Unmarshal(in, &out); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkArgs(b *testing.B) {
	b.ReportAllocs()
	in := marshal(b, []any{21, 1.5})[1:]
	for b.Loop() {
		if err := readArgs(in); err != nil {
			b.Fatal(err)
		}
	}
}

func readArgs(in []byte) error {
	d := etf.NewDecoder(in)
	if _, err := d.ListLen(); err != nil {
		return err
	}
	if _, err := d.Int(); err != nil {
		return err
	}
	if _, err := d.Float(); err != nil {
		return err
	}
	return d.EndList()
}

// TestNoAllocation: the steps of a small call must leave nothing to the garbage collector.
func TestNoAllocation(t *testing.T) {
	in := marshal(t, []any{21, 1.5})[1:]
	buf := make([]byte, 0, 64)
	var args any = 42
	for name, f := range map[string]func(){
		"decode": func() {
			if err := readArgs(in); err != nil {
				t.Fatal(err)
			}
		},
		"append": func() {
			if _, err := etf.Append(buf, args); err != nil {
				t.Fatal(err)
			}
		},
	} {
		if n := testing.AllocsPerRun(100, f); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}
