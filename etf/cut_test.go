package etf_test

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/erlpy/erlpy/etf"
)

// checkCut compares what is cut off b with what a Decoder reads.
func checkCut(t *testing.T, b []byte) (anything bool) {
	t.Helper()
	if n, rest, ok := etf.CutInt(b); ok {
		anything = true
		d := etf.NewDecoder(b)
		if want, err := d.Int(); err != nil || int64(n) != want || string(rest) != string(d.Rest()) {
			t.Errorf("%v: CutInt gives %d, and %d bytes; the decoder %d, %v", b, n, len(rest), want, err)
		}
	}
	if x, rest, ok := etf.CutFloat(b); ok {
		anything = true
		d := etf.NewDecoder(b)
		if want, err := d.Float(); err != nil || math.Float64bits(x) != math.Float64bits(want) || string(rest) != string(d.Rest()) {
			t.Errorf("%v: CutFloat gives %v, and %d bytes; the decoder %v, %v", b, x, len(rest), want, err)
		}
	}
	return anything
}

func TestCut(t *testing.T) {
	ints := []int{0, 1, 255, 256, -1, math.MaxInt32, math.MinInt32, math.MaxInt32 + 1, math.MinInt32 - 1, math.MaxInt, math.MinInt + 1}
	for range 1000 {
		ints = append(ints, int(rand.Uint64()>>rand.IntN(64)), -int(rand.Uint64()>>(1+rand.IntN(63))))
	}
	for _, n := range ints {
		b := append(etf.AppendInt(nil, int64(n)), 'x', 'y')
		if got, rest, ok := etf.CutInt(b); !ok || got != n || string(rest) != "xy" {
			t.Errorf("%d comes back as %d, %q, %v", n, got, rest, ok)
		}
		for end := range len(b) - 2 {
			if _, _, ok := etf.CutInt(b[:end:end]); ok {
				t.Errorf("%d is complete in %d bytes", n, end)
			}
		}
	}
	for _, x := range []float64{0, math.Copysign(0, -1), 1.5, -math.MaxFloat64, math.SmallestNonzeroFloat64} {
		b := append(etf.AppendFloat(nil, x), 'x')
		if got, rest, ok := etf.CutFloat(b); !ok || math.Float64bits(got) != math.Float64bits(x) || string(rest) != "x" {
			t.Errorf("%v comes back as %v, %q, %v", x, got, rest, ok)
		}
	}
	// What only a decoder may judge.
	for _, b := range []string{
		"n\x08\x00\x00\x00\x00\x00\x00\x00\x00\x80", "n\x09\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01", "F\x7f\xf0\x00\x00\x00\x00\x00\x00",
		"F\x7f\xf8\x00\x00\x00\x00\x00\x00", "m\x00\x00\x00\x01x", "j", "",
	} {
		if checkCut(t, []byte(b)) {
			t.Errorf("%q is cut", b)
		}
	}
}

func TestCutList(t *testing.T) {
	b, err := etf.AppendList(nil, 3)
	if err != nil {
		t.Fatal(err)
	}
	if n, rest, ok := etf.CutList(append(b, 'x')); !ok || n != 3 || string(rest) != "x" {
		t.Errorf("got %d, %q, %v", n, rest, ok)
	}
	for _, b := range []string{"", "l\x00\x00\x00", "j", "k\x00\x01x"} {
		if _, _, ok := etf.CutList([]byte(b)); ok {
			t.Errorf("%q is cut", b)
		}
	}
	if !etf.IsNil([]byte("j")) || etf.IsNil([]byte("jj")) || etf.IsNil(nil) || etf.IsNil([]byte("k")) {
		t.Error("IsNil is wrong")
	}
}
