package etf_test

import (
	"bytes"
	"reflect"
	"testing"

	"github.com/erlpy/erlpy/etf"
)

// targets are the types that FuzzDecode decodes into.
var targets = []reflect.Type{
	reflect.TypeFor[[]int](), reflect.TypeFor[map[any]any](), reflect.TypeFor[map[string][]string](), reflect.TypeFor[point](),
	reflect.TypeFor[[3]any](), reflect.TypeFor[float64](), reflect.TypeFor[etf.Tuple](), reflect.TypeFor[**string](),
	reflect.TypeFor[map[[1]any]struct{}](), reflect.TypeFor[etf.Pid](),
}

// FuzzDecode feeds arbitrary bytes: nothing may panic, Any and Skip must agree on what is a term, and what Any accepts must come
// back as the same after another round.
func FuzzDecode(f *testing.F) {
	for _, v := range readVectors(f) {
		for _, b := range v.encodings(f) {
			if len(b) < 1000 {
				f.Add(b)
			}
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 0 {
			checkCut(t, b[1:])
		}
		for _, typ := range targets {
			_ = etf.Unmarshal(b, reflect.New(typ).Interface())
		}
		var term etf.Term
		termErr := etf.Unmarshal(b, &term)
		_ = term.String()
		var v any
		if err := etf.Unmarshal(b, &v); (err == nil) != (termErr == nil) {
			t.Fatalf("Any: %v, Skip: %v", err, termErr)
		} else if err != nil {
			return
		}
		_ = sprint(v)
		once, err := etf.Marshal(v)
		if err != nil {
			t.Fatalf("%#v: %v", v, err)
		}
		var again any
		if err := etf.Unmarshal(once, &again); err != nil {
			t.Fatalf("%x: %v", once, err)
		}
		// {bytes, Binary} goes back as a mere binary, so it may come again as a string.
		if !bytes.Contains(b, []byte("bytes")) && !reflect.DeepEqual(again, v) {
			t.Fatalf("got %#v, want %#v", again, v)
		}
		if back, err := etf.Marshal(term); err != nil || !bytes.Equal(back, b) {
			t.Fatalf("as a Term: %x, %v", back, err)
		}
	})
}
