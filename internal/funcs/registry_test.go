package funcs_test

import (
	"errors"
	"fmt"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/erlpy/erlpy/etf"
	"github.com/erlpy/erlpy/internal/funcs"
)

func TestRegisterRefuses(t *testing.T) {
	tests := []struct {
		name string
		fn   any
		want string
	}{
		{"", func() {}, "register: the name is empty"},
		{"a\xff", func() {}, `register "a\xff": the name is not UTF-8`},
		{"f", nil, "register f: nil is not a function"},
		{"f", 5, "register f: int is not a function"},
		{"f", (func(int) int)(nil), "register f: the function is nil"},
		{"f", func(chan int) {}, "register f: parameter 1 (chan int): chan int has no Erlang term"},
		{"f", func(int, ...time.Time) {}, "register f: parameter 2 ([]time.Time): time.Time has no Erlang term"},
		{"f", func(fmt.Stringer) {}, "register f: parameter 1 (fmt.Stringer): fmt.Stringer has no Erlang term"},
		{"f", func([]struct{ F func() }) {}, "register f: parameter 1 ([]struct { F func() }): [].F: func() has no Erlang term"},
		{"f", func(map[*int]int) {}, "register f: parameter 1 (map[*int]int): [key]: *int has no Erlang term"},
		{"f", func() (int, complex128) { return 0, 0 }, "register f: result 2 (complex128): complex128 has no Erlang term"},
		//lint:ignore ST1008 that this is refused is what is tested
		{"f", func() (error, int) { return nil, 0 }, "register f: result 1: an error must be the last result"},
	}
	var r funcs.Registry
	for _, tt := range tests {
		if err := r.Register(tt.name, tt.fn); err == nil || err.Error() != tt.want {
			t.Errorf("%q, %T: got error %v, want %s", tt.name, tt.fn, err, tt.want)
		}
	}
	if names := r.Names(); len(names) != 0 {
		t.Errorf("registered all the same: %q", names)
	}
}

type tree struct {
	Value    int
	Children []tree
}

func TestRegisterAccepts(t *testing.T) {
	var r funcs.Registry
	for i, fn := range []any{
		func(tree) *tree { return nil }, func(map[string][]any) error { return nil }, func(etf.Pid, etf.Ref, etf.Term) {},
		func() fmt.Stringer { return nil }, func([4]byte, *string, struct{}) {},
	} {
		if err := r.Register(fmt.Sprint("f", i), fn); err != nil {
			t.Errorf("%T: %v", fn, err)
		}
	}
}

func TestRegistry(t *testing.T) {
	var r funcs.Registry
	if r.Lookup([]byte("a")) != nil || len(r.Names()) != 0 {
		t.Error("the zero Registry is not empty")
	}
	if err := r.Unregister("a"); !errors.Is(err, funcs.ErrUnknown) {
		t.Errorf("unregister: got %v", err)
	}
	for _, name := range []string{"b", "a", "čau"} {
		if err := r.Register(name, func() string { return name }); err != nil {
			t.Fatal(err)
		}
	}
	if got, want := r.Names(), []string{"a", "b", "čau"}; !reflect.DeepEqual(got, want) {
		t.Errorf("names: got %q, want %q", got, want)
	}
	old := r.Lookup([]byte("a"))
	if err := r.Register("a", func() string { return "new" }); err != nil {
		t.Fatal(err)
	}
	if got := call(t, old); got != "a" {
		t.Errorf("replaced: the old one gives %v", got)
	}
	if got := call(t, r.Lookup([]byte("a"))); got != "new" {
		t.Errorf("replaced: the new one gives %v", got)
	}
	if err := r.Unregister("a"); err != nil || r.Lookup([]byte("a")) != nil {
		t.Errorf("unregister: %v", err)
	}
}

// TestRegistryConcurrent looks up while others register; the race detector watches.
func TestRegistryConcurrent(t *testing.T) {
	var r funcs.Registry
	var wg sync.WaitGroup
	start := make(chan struct{})
	for g := range 4 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			<-start
			for i := range 100 {
				name := fmt.Sprintf("f%d_%d", g, i)
				if err := r.Register(name, func() int { return i }); err != nil {
					t.Error(err)
				}
				if f := r.Lookup([]byte(name)); f == nil || f.Name() != name {
					t.Errorf("%s is not found", name)
				}
				if i%2 == 0 {
					if err := r.Unregister(name); err != nil {
						t.Error(err)
					}
				}
			}
		}()
	}
	close(start)
	wg.Wait()
	if n := len(r.Names()); n != 200 {
		t.Errorf("%d names are left of 200", n)
	}
}

func TestLast(t *testing.T) {
	var r funcs.Registry
	var last funcs.Last
	if last.Lookup(&r, []byte("f")) != nil {
		t.Error("found in an empty registry")
	}
	for range 3 {
		if err := r.Register("f", func() {}); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"f", "f", "g", "f"} {
			if got, want := last.Lookup(&r, []byte(name)), r.Lookup([]byte(name)); got != want {
				t.Errorf("%s: got %p, want %p", name, got, want)
			}
		}
	}
	if err := r.Unregister("f"); err != nil {
		t.Fatal(err)
	}
	if last.Lookup(&r, []byte("f")) != nil {
		t.Error("found after it was unregistered")
	}
}
