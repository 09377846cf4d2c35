package engine

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/erlpy/erlpy/etf"
	"github.com/erlpy/erlpy/internal/channel"
	"github.com/erlpy/erlpy/internal/cpython"
	"github.com/erlpy/erlpy/internal/funcs"
	"github.com/erlpy/erlpy/internal/worker"
)

func TestSplitCall(t *testing.T) {
	frame := func(v any) []byte {
		b, err := etf.Append(make([]byte, cpython.HeaderSize), v)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	for _, target := range []any{"double_it", "", "žluťoučký", etf.Atom("stats")} {
		got, atom, args, err := splitCall(frame(etf.Tuple{target, []any{1}}))
		if err != nil {
			t.Errorf("%v: %v", target, err)
			continue
		}
		if _, want := target.(etf.Atom); atom != want || string(got) != fmt.Sprint(target) {
			t.Errorf("target %q, atom %v; want %v", got, atom, target)
		}
		d := etf.NewDecoder(args)
		if v, err := d.Any(); err != nil || fmt.Sprint(v) != "[1]" {
			t.Errorf("args %v, %v; want [1]", v, err)
		}
	}
	whole := frame(etf.Tuple{"double_it", []any{}})
	for n := range len(whole) - 1 {
		if _, _, _, err := splitCall(whole[:n]); err == nil && n < len(whole)-1 {
			t.Errorf("the first %d bytes of a call are one", n)
		}
	}
}

// Every kind of error gets the shape that the Python side makes an exception of.
func TestPayload(t *testing.T) {
	for want, err := range map[string]error{
		"not_registered": &notRegistered{"f"},
		"limit":          &channel.LimitError{Size: 2, Limit: 1},
		"limit ":         &worker.LimitError{Max: 1},
		"limit  ":        fmt.Errorf("f: %w", &etf.LimitError{What: "x", Limit: 1}),
		"bad_term":       &funcs.ResultError{Err: errors.New("no term")},
		"refused":        &channel.RefusedError{},
		"disconnected":   fmt.Errorf("%w: gone", channel.ErrDisconnected),
		"raised":         errors.New("bad \xff byte"),
		"raised ":        &funcs.PanicError{Value: "boo", Stack: []byte("a\nb")},
	} {
		p := payload(err)
		if got := p[0].(etf.Atom); string(got) != strings.TrimRight(want, " ") {
			t.Errorf("%T: %v, want %s", err, got, want)
		}
		if _, err := etf.Marshal(p); err != nil {
			t.Errorf("%v cannot be sent: %v", p, err)
		}
	}
	if got := payload(errClosing)[1]; got != "the interpreter is shutting down" {
		t.Errorf("text %q", got)
	}
}

func TestSessionsReuseNumbers(t *testing.T) {
	var r sessions
	if r.get(0) != nil || r.get(1) != nil {
		t.Error("an empty registry has sessions")
	}
	a, b := &session{t: cpython.NewThread()}, &session{t: cpython.NewThread()}
	defer a.t.Free()
	defer b.t.Free()
	na, nb := r.add(a), r.add(b)
	if na == 0 || na == nb || r.get(na) != a || r.get(nb) != b {
		t.Fatalf("numbers %d, %d", na, nb)
	}
	r.remove(na)
	if r.get(na) != nil || r.get(nb) != b {
		t.Error("remove took the wrong one")
	}
	if n := r.add(a); n != na {
		t.Errorf("number %d, want %d again", n, na)
	}
}

// Only what the function takes is called without a frame.
func TestIntegersThatAreRefused(t *testing.T) {
	for _, tt := range []struct {
		name string
		args []int64
		want cpython.Action
	}{
		{"double_it", []int64{1}, cpython.Integer},
		{"double_it", []int64{1, 2}, cpython.Refused},
		{"half", []int64{1}, cpython.Refused},
		{"nope", []int64{1}, cpython.Refused},
	} {
		e, thread := newThread(t)
		if err := thread.HoldIntegers(tt.name, tt.args...); err != nil {
			t.Fatal(err)
		}
		if got := e.Step(thread, cpython.Integers); got != tt.want {
			t.Errorf("%s of %v: %d, want %d", tt.name, tt.args, got, tt.want)
		}
	}
	e, thread := newThread(t)
	e.Closing()
	if err := thread.HoldIntegers("double_it", 1); err != nil {
		t.Fatal(err)
	}
	if got := e.Step(thread, cpython.Integers); got != cpython.Failed || !strings.Contains(string(thread.Frame()), "shutting down") {
		t.Errorf("when the interpreter ends: %d, %q", got, thread.Frame())
	}
}
