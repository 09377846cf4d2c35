package bench

import (
	"context"
	"errors"
	"os"
	"testing"

	"github.com/erlpy/erlpy/internal/pyfind"
)

// What is compared is measured in turn, so that no moment of the machine's favours one.
func TestRoundsInterleave(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var order string
	mark := func(name string) func() error {
		return func() error { order += name; return nil }
	}
	l := &lab{plan: plan{rounds: 3}}
	if err := l.rounds(ctx, mark("a"), mark("b"), mark("c")); err != nil || order != "abcabcabc" {
		t.Errorf("%q, %v; want abcabcabc", order, err)
	}
	order = ""
	broken := errors.New("broken")
	if err := l.rounds(ctx, mark("a"), func() error { return broken }, mark("c")); err != broken || order != "a" {
		t.Errorf("%q, %v; want an end at the error", order, err)
	}
	order = ""
	err := l.rounds(ctx, mark("a"), func() error { cancel(); return nil }, mark("c"))
	if !errors.Is(err, context.Canceled) || order != "a" {
		t.Errorf("%q, %v; want an end with the context", order, err)
	}
}

func TestLabLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	l, err := newLab(&pyfind.Install{}, quickPlan, os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"worker.py", "floor.erl"} {
		if _, err := os.Stat(l.dir + "/" + name); err != nil {
			t.Error(err)
		}
	}
	if err := l.close(); err != nil {
		t.Error(err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
