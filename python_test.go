package erlpy_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/erlpy/erlpy"
)

// The Python tests, run by every Python that `make venvs` has prepared, against Go functions and against Erlang functions.

// pythons are the virtual environments with pytest in them.
func pythons(t *testing.T) []string {
	t.Helper()
	found, err := filepath.Glob("build/venv/*/bin/python")
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, python := range found {
		if filepath.Base(filepath.Dir(filepath.Dir(python))) != "lint" {
			out = append(out, python)
		}
	}
	if len(out) == 0 {
		missing(t, "no Python with pytest in build/venv: run `make test`")
	}
	return out
}

// missing skips a test for want of a tool, but not in CI.
func missing(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatal(what)
	}
	t.Skip(what)
}

func TestPython(t *testing.T) {
	if os.Getenv(childEnv) != "" {
		t.Skip("the tests of a child run elsewhere")
	}
	if _, err := os.Stat("build/erlpy"); err != nil {
		missing(t, "no build/erlpy: run `make build`")
	}
	for _, python := range pythons(t) {
		tag := filepath.Base(filepath.Dir(filepath.Dir(python)))
		t.Run(tag+"/go", func(t *testing.T) {
			t.Parallel()
			runPytest(t, "go", python, os.Args[0], "-test.run=^TestPythonChild$")
		})
		t.Run(tag+"/beam", func(t *testing.T) {
			t.Parallel()
			runPytest(t, "beam", python, "build/erlpy", "run", "--python", python, "--erl", "erlang/test/py_peer.erl", "python/tests/run.py")
		})
	}
}

func runPytest(t *testing.T, peer, python, program string, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = append(os.Environ(), "ERLPY_PEER="+peer, "ERLPY_TEST_PYTHON="+python, childEnv+"=TestPythonChild")
	out, err := cmd.CombinedOutput()
	text := strings.TrimSpace(string(out))
	// pytest's closing line, so that the log says how many tests ran where.
	fmt.Printf("%s: %s\n", t.Name(), text[strings.LastIndex(text, "\n")+1:])
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestPythonChild is the process in which Go functions answer the Python tests.
func TestPythonChild(t *testing.T) {
	if os.Getenv(childEnv) != "TestPythonChild" {
		t.Skip("started by TestPython")
	}
	rt, err := erlpy.Start(t.Context(), erlpy.Options{Python: os.Getenv("ERLPY_TEST_PYTHON")})
	if err != nil {
		t.Fatal(err)
	}
	if err := registerPeer(rt); err != nil {
		t.Fatal(err)
	}
	err = rt.RunFile(t.Context(), "python/tests/run.py", strings.Fields(os.Getenv("ERLPY_PYTEST_ARGS"))...)
	var exit *erlpy.PythonError
	if err != nil && (!errors.As(err, &exit) || exit.Type != "SystemExit" || exit.Message != "0") {
		fmt.Println(err)
		os.Exit(1)
	}
	if err := rt.Close(); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	os.Exit(0) // without the test framework's own closing lines
}
