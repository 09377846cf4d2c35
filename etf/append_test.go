package etf_test

import (
	"bytes"
	"errors"
	"math"
	"math/big"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/erlpy/erlpy/etf"
)

type color string

type point struct {
	X      int
	Y      float64 `etf:"y"`
	Hidden string  `etf:"-"`
	Next   *point
	secret int
}

// TestMarshalTypes checks that Go types beyond those that decoding gives are encoded as their plain counterparts.
func TestMarshalTypes(t *testing.T) {
	seven := 7
	next := &point{X: 2}
	tests := []struct {
		name string
		v    any
		same any // encodes to the same bytes
	}{
		{"int8", int8(-7), -7},
		{"uint16", uint16(700), 700},
		{"int64", int64(math.MinInt64), math.MinInt64},
		{"uint64", uint64(math.MaxUint64), bigInt("18446744073709551615")},
		{"big.Int by value", *big.NewInt(7), 7},
		{"small *big.Int", big.NewInt(-1), -1},
		{"float32", float32(0.5), 0.5},
		{"NaN", math.NaN(), etf.Atom("nan")},
		{"+Inf", math.Inf(1), etf.Atom("infinity")},
		{"-Inf", math.Inf(-1), etf.Atom("neg_infinity")},
		{"named string", color("red"), "red"},
		{"duration", 3 * time.Nanosecond, 3},
		{"pointer", &seven, 7},
		{"nil pointer", (*int)(nil), nil},
		{"nil *big.Int", (*big.Int)(nil), nil},
		{"none", etf.Atom("none"), nil},
		{"[]int", []int{1, 2}, []any{1, 2}},
		{"[0]int", [0]int{}, []any{}},
		{"nil slice", []string(nil), []any{}},
		{"nil bytes", []byte(nil), ""},
		{"byte array", [3]byte{97, 98, 99}, "abc"},
		{"named byte slice", []color{"a"}, []any{"a"}},
		{"nil map", map[string]int(nil), map[string]any{}},
		{"map of int", map[int]bool{1: true}, map[any]any{1: true}},
		{"any in slice", [2]any{nil, "x"}, []any{nil, "x"}},
		{"tuple pointer", &etf.Tuple{1}, etf.Tuple{1}},
		{"empty struct", struct{}{}, map[string]any{}},
	}
	for _, tt := range tests {
		got, err := etf.Marshal(tt.v)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		if want, _ := etf.Marshal(tt.same); !bytes.Equal(got, want) {
			t.Errorf("%s: got %x, want %x", tt.name, got, want)
		}
	}
	var got any
	b, err := etf.Marshal([]point{{X: 1, Y: 1.5, Hidden: "h", Next: next, secret: 1}})
	if err != nil {
		t.Fatal(err)
	}
	if err := etf.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	equal(t, "struct", got, []any{map[string]any{"X": 1, "y": 1.5,
		"Next": map[string]any{"X": 2, "y": 0.0, "Next": nil}}})
}

func TestMarshalUnsupported(t *testing.T) {
	tests := []struct {
		v    any
		want string
	}{
		{time.Now(), "time.Time has no Erlang term"},
		{func() {}, "func() has no Erlang term"},
		{1i, "complex128 has no Erlang term"},
		{&sync.Mutex{}, "sync.Mutex has no Erlang term"},
		{errors.New("x"), "errors.errorString has no Erlang term"},
		{uintptr(1), "uintptr has no Erlang term"},
		{[]any{1, make(chan int)}, "[1]: chan int has no Erlang term"},
		{etf.Tuple{1, []func(){nil}}, "[1][0]: func() has no Erlang term"},
		{map[string]any{"when": time.Now()}, `["when"]: time.Time has no Erlang term`},
		{map[int]any{3: []any{1i}}, "[3][0]: complex128 has no Erlang term"},
		{struct{ A []time.Time }{make([]time.Time, 1)}, ".A[0]: time.Time has no Erlang term"},
		{etf.Pid{}, "the zero etf.Pid has no Erlang term"},
		{etf.Atom("\xff"), "an etf.Atom that is not UTF-8 has no Erlang term"},
	}
	for _, tt := range tests {
		b, err := etf.Append([]byte("before"), tt.v)
		var ue *etf.UnsupportedError
		if !errors.As(err, &ue) || err.Error() != tt.want {
			t.Errorf("%T: got error %v, want %s", tt.v, err, tt.want)
		}
		if string(b) != "before" {
			t.Errorf("%T: dst came back as %q", tt.v, b)
		}
	}
}

func TestMarshalLimits(t *testing.T) {
	var loop any
	loop = &loop
	type node struct{ Next *node }
	ring := &node{}
	ring.Next = ring
	list := make([]any, 1)
	list[0] = list
	nested := func(n int) any {
		var v any = 1
		for range n {
			v = []any{v}
		}
		return v
	}
	for name, v := range map[string]any{
		"loop": loop, "ring": ring, "list": list, "too deep": nested(etf.MaxDepth + 1), "atom": etf.Atom(strings.Repeat("é", 256)),
	} {
		var le *etf.LimitError
		if _, err := etf.Marshal(v); !errors.As(err, &le) {
			t.Errorf("%s: got %v, want a *LimitError", name, err)
		}
	}
	b, err := etf.Marshal(nested(etf.MaxDepth))
	if err != nil {
		t.Fatal(err)
	}
	var got any
	if err := etf.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	equal(t, "deepest", got, nested(etf.MaxDepth))
	// One deeper, by hand.
	b = append([]byte{131, 108, 0, 0, 0, 1}, b[1:]...)
	b = append(b, 106)
	var le *etf.LimitError
	if err := etf.Unmarshal(b, &got); !errors.As(err, &le) {
		t.Errorf("decoding: got %v, want a *LimitError", err)
	}
	var term etf.Term
	if err := etf.Unmarshal(b, &term); !errors.As(err, &le) {
		t.Errorf("skipping: got %v, want a *LimitError", err)
	}
}
