package engine

import (
	"fmt"
	"testing"

	"github.com/erlpy/erlpy/etf"
)

// perform does one operation as the shim asks for it, and returns the result as text.
func perform(t *testing.T, s *state, op string, args ...any) (string, bool, error) {
	t.Helper()
	if args == nil {
		args = []any{}
	}
	raw, err := etf.AppendTerm(nil, args)
	if err != nil {
		t.Fatal(err)
	}
	v, known, err := s.do(op, raw)
	if err != nil || !known {
		return "", known, err
	}
	encoded, err := etf.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	var out any
	if err := etf.Unmarshal(encoded, &out); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(out), known, nil
}

func TestState(t *testing.T) {
	var s state
	key := []any{1, "compound"}
	for _, step := range []struct {
		op   string
		args []any
		want string
	}{
		{"state_get", []any{key}, "<nil>"},
		{"state_set", []any{key, map[string]any{"x": 1}}, "ok"},
		{"state_get", []any{key}, "map[x:1]"},
		{"state_keys", nil, "[[1 compound]]"},
		{"state_incr", []any{"n", 5}, "5"},
		{"state_decr", []any{"n", 7}, "-2"},
		{"state_get", []any{"n"}, "-2"},
		{"state_incr", []any{"big", 1<<63 - 1}, "9223372036854775807"},
		{"state_incr", []any{"big", 1}, "9223372036854775808"},
		{"state_delete", []any{"big"}, "ok"},
		{"state_delete", []any{key}, "ok"},
		{"state_get", []any{key}, "<nil>"},
		{"state_delete", []any{key}, "ok"},
		{"state_clear", nil, "ok"},
		{"state_keys", nil, "[]"},
	} {
		if got, _, err := perform(t, &s, step.op, step.args...); err != nil || got != step.want {
			t.Errorf("%s%v = %s, %v; want %s", step.op, step.args, got, err, step.want)
		}
	}
}

func TestStateErrors(t *testing.T) {
	var s state
	if _, _, err := perform(t, &s, "state_set", "text", "no number"); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]any{{"text", 1}, {"n", "one"}, {"n"}} {
		if _, _, err := perform(t, &s, "state_incr", args...); err == nil {
			t.Errorf("state_incr%v succeeded", args)
		}
	}
	if got, _, _ := perform(t, &s, "state_get", "text"); got != "no number" {
		t.Errorf("a failed state_incr changed the value to %s", got)
	}
	if _, known, _ := perform(t, &s, "send"); known {
		t.Error("send is no operation of the table's")
	}
}

// A full table takes no new key by any operation; its keys change, and a deleted one makes room.
func TestStateLimit(t *testing.T) {
	s := state{max: 2}
	full := `the shared table holds 2 keys, as many as it may (MaxState)`
	for _, step := range []struct {
		op   string
		args []any
		want string
	}{
		{"state_set", []any{"a", 1}, "ok"},
		{"state_incr", []any{"b", 5}, "5"},
		{"state_set", []any{"c", 1}, full},
		{"state_incr", []any{"c", 1}, full},
		{"state_decr", []any{"c", 1}, full},
		{"state_set", []any{"a", 2}, "ok"},
		{"state_incr", []any{"a", 1}, "3"},
		{"state_delete", []any{"none"}, "ok"},
		{"state_set", []any{"c", 1}, full},
		{"state_delete", []any{"b"}, "ok"},
		{"state_decr", []any{"c", 1}, "-1"},
		{"state_set", []any{"d", 1}, full},
		{"state_clear", nil, "ok"},
		{"state_set", []any{"d", 1}, "ok"},
	} {
		got, _, err := perform(t, &s, step.op, step.args...)
		if err != nil {
			got = err.Error()
		}
		if got != step.want {
			t.Errorf("%s %v = %s, want %s", step.op, step.args, got, step.want)
		}
	}
}
