package etf_test

import (
	"fmt"
	"math/big"
	"reflect"
	"testing"

	"github.com/erlpy/erlpy/etf"
	"pgregory.net/rapid"
)

func sprint(v any) string { return fmt.Sprint(v) }

// values draws values in the form that decoding gives them.
func values(depth int) *rapid.Generator[any] {
	scalars := []*rapid.Generator[any]{
		rapid.Just[any](nil),
		rapid.Bool().AsAny(),
		rapid.Int().AsAny(),
		rapid.Map(rapid.SliceOfN(rapid.Byte(), 9, 300), bignum).AsAny(),
		rapid.Float64().Filter(func(f float64) bool { return f-f == 0 }).AsAny(),
		rapid.String().AsAny(),
		rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) []byte { return append(b, 0xff) }).AsAny(),
		rapid.Map(rapid.StringN(0, 250, -1), func(s string) etf.Atom { return etf.Atom("a" + s) }).AsAny(),
	}
	if depth == 0 {
		return rapid.OneOf(scalars...)
	}
	inner := values(depth - 1)
	elements := rapid.SliceOfN(inner, 0, 6)
	return rapid.OneOf(append(scalars,
		elements.AsAny(),
		rapid.Map(elements, func(s []any) etf.Tuple { return s }).Filter(notWrapped).AsAny(),
		rapid.MapOfN(rapid.String(), inner, 0, 6).AsAny(),
		rapid.Map(rapid.MapOfN(rapid.Int(), inner, 1, 6), anyKeys).AsAny(),
	)...)
}

func bignum(b []byte) *big.Int {
	b[0] |= 1 // so that it is beyond 64 bits
	n := new(big.Int).SetBytes(b)
	if b[1]&1 == 1 {
		n.Neg(n)
	}
	return n
}

func anyKeys(m map[int]any) map[any]any {
	out := make(map[any]any)
	for k, v := range m {
		out[k] = v
	}
	return out
}

func notWrapped(t etf.Tuple) bool { return len(t) != 2 || t[0] != any(etf.Atom("bytes")) }

func TestRoundTripProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := values(3).Draw(t, "v")
		b, err := etf.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		var got any
		if err := etf.Unmarshal(b, &got); err != nil {
			t.Fatalf("%x: %v", b, err)
		}
		if !reflect.DeepEqual(got, v) {
			t.Fatalf("got %#v, want %#v", got, v)
		}
		d := etf.NewDecoder(b[1:])
		if raw, err := d.Skip(); err != nil || len(raw) != len(b)-1 {
			t.Fatalf("skip: %d of %d bytes, %v", len(raw), len(b)-1, err)
		}
	})
}
