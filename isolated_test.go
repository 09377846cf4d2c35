package erlpy_test

import (
	"context"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/erlpy/erlpy"
)

// childEnv names the test that this process has been started for.
const childEnv = "ERLPY_TEST_CHILD"

// isolated runs body in a process of its own, since CPython can be started only once in one: the test binary, executed again for
// this test alone.
func isolated(t *testing.T, body func(t *testing.T)) {
	t.Helper()
	if os.Getenv(childEnv) == t.Name() {
		body(t)
		return
	}
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), childEnv+"="+t.Name())
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("in a process of its own: %v\n%s", err, out)
	}
}

// withRuntime runs body in a process of its own with Python started, and ends that afterwards.
func withRuntime(t *testing.T, body func(t *testing.T, rt *erlpy.Runtime)) {
	t.Helper()
	withOptions(t, erlpy.Options{}, body)
}

// withOptions is withRuntime with options other than the Python.
func withOptions(t *testing.T, o erlpy.Options, body func(t *testing.T, rt *erlpy.Runtime)) {
	t.Helper()
	isolated(t, func(t *testing.T) {
		o.Python = os.Getenv("ERLPY_TEST_PYTHON")
		rt, err := erlpy.Start(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := rt.Close(); err != nil {
				t.Error(err)
			}
		}()
		body(t, rt)
	})
}

// must runs Python statements that have to succeed.
func must(t *testing.T, rt *erlpy.Runtime, code string) {
	t.Helper()
	if err := rt.Exec(t.Context(), code); err != nil {
		t.Fatalf("%v\n%s", err, traceback(err))
	}
}
