//go:build linux

package beam_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/erlpy/erlpy/internal/beam"
)

// appAt makes what FindApp takes for the application.
func appAt(t *testing.T, dir string) {
	t.Helper()
	ebin := filepath.Join(dir, "ebin")
	if err := errors.Join(os.MkdirAll(ebin, 0o755), os.WriteFile(filepath.Join(ebin, "erlang_python.app"), nil, 0o644)); err != nil {
		t.Fatal(err)
	}
}

func TestFindApp(t *testing.T) {
	needErlang(t)
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
	t.Setenv("ERLPY_LIB", "")
	t.Setenv("ERL_LIBS", "")
	find := func() (string, error) { return beam.FindApp(context.Background(), "erl") }

	_, err = find()
	if !errors.Is(err, beam.ErrNoApp) {
		t.Errorf("FindApp with none: %v", err)
	}
	contains(t, err, "make build", filepath.Join(dir, "build", "lib", "erlang_python"))

	// Each place is preferred to the ones before.
	libs := filepath.Join(dir, "libs")
	build := filepath.Join(dir, "build", "lib")
	own := filepath.Join(dir, "own")
	for _, step := range []struct{ variable, lib string }{{"ERL_LIBS", libs}, {"", build}, {"ERLPY_LIB", own}} {
		want := filepath.Join(step.lib, "erlang_python")
		appAt(t, want)
		if step.variable != "" {
			t.Setenv(step.variable, step.lib)
		}
		if got, err := find(); got != want || err != nil {
			t.Errorf("FindApp = %s, %v; want %s", got, err, want)
		}
	}
}
