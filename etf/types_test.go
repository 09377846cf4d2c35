package etf_test

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/erlpy/erlpy/etf"
)

func TestCheckTypes(t *testing.T) {
	type list struct {
		Value any
		Next  *list
	}
	tests := []struct {
		t              reflect.Type
		decode, encode string
	}{
		{reflect.TypeFor[list](), "", ""},
		{reflect.TypeFor[map[string][]etf.Pid](), "", ""},
		{reflect.TypeFor[error](), "error has no Erlang term", ""},
		{reflect.TypeFor[map[*int]int](), "[key]: *int has no Erlang term", ""},
		{reflect.TypeFor[[]time.Time](), "[]: time.Time has no Erlang term", "[]: time.Time has no Erlang term"},
		{reflect.TypeFor[struct{ C []chan int }](), ".C[]: chan int has no Erlang term", ".C[]: chan int has no Erlang term"},
	}
	for _, tt := range tests {
		for _, c := range []struct {
			err  error
			want string
		}{{etf.CanDecode(tt.t), tt.decode}, {etf.CanEncode(tt.t), tt.encode}} {
			got := ""
			if c.err != nil {
				got = c.err.Error()
			}
			if got != c.want {
				t.Errorf("%v: got %q, want %q", tt.t, got, c.want)
			}
		}
	}
}

func TestTermAny(t *testing.T) {
	want := []any{1, etf.Tuple{"x"}}
	var term etf.Term
	if err := etf.Unmarshal(marshal(t, want), &term); err != nil {
		t.Fatal(err)
	}
	got, err := term.Any()
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "term", got, want)
}

// TestFunSize: a fun says how long it is, and must mean it.
func TestFunSize(t *testing.T) {
	for _, v := range readVectors(t) {
		if v.Name != "local fun" {
			continue
		}
		for _, b := range v.encodings(t) {
			b = bytes.Clone(b)
			b[5]++
			var got any
			if se := (*etf.SyntaxError)(nil); !errors.As(etf.Unmarshal(b, &got), &se) {
				t.Errorf("got %v", got)
			}
		}
		return
	}
	t.Error("no vector of a local fun")
}

// TestErrorsAreShort: the place in an error is one line, however long or odd the keys.
func TestErrorsAreShort(t *testing.T) {
	key := strings.Repeat("a\nž", 1000)
	_, encode := etf.Marshal(map[string]any{key: 1i})
	decode := etf.Unmarshal(marshal(t, map[string]any{key: "x"}), new(map[string]int))
	for _, err := range []error{encode, decode} {
		if text := fmt.Sprint(err); len(text) > 150 || strings.Contains(text, "\n") || !strings.Contains(text, `a\nža\nž`) {
			t.Errorf("got %s", text)
		}
	}
}
