package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// asCommand makes the test binary be the command: Python starts once in a process, on its main thread.
const asCommand = "ERLPY_TEST_AS_COMMAND"

func TestMain(m *testing.M) {
	if os.Getenv(asCommand) != "" {
		os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

// command returns the command erlpy, to be started; it is killed after a minute, or with the test.
func command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, os.Args[0], args...)
	cmd.Env = append(os.Environ(), asCommand+"=1", "PYTHONDONTWRITEBYTECODE=1")
	return cmd
}

type result struct {
	status         int
	stdout, stderr string
}

func erlpy(t *testing.T, args ...string) result {
	t.Helper()
	return finish(t, command(t, args...))
}

func finish(t *testing.T, cmd *exec.Cmd) result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return result{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// file writes a file of the test's own.
func file(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestUsage(t *testing.T) {
	here := t.TempDir()
	tests := []struct {
		name   string
		args   []string
		status int
		stderr string
	}{
		{"no such subcommand", []string{"fly"}, 2, `erlpy: unknown command "fly"`},
		{"no such flag", []string{"run", "--fly", "x.py"}, 2, "erlpy: unknown flag: --fly"},
		{"no script", []string{"run"}, 2, "erlpy: run needs the path of a script"},
		{"script that does not exist", []string{"run", "nope.py"}, 2, "erlpy: can't open 'nope.py': no such file\n"},
		{"script that is a directory", []string{"run", here}, 2, "erlpy: can't open '" + here + "': is a directory\n"},
		{"two nodes", []string{"run", "--erl", "x.erl", "--beam", "s", "x.py"}, 2, "[beam erl]"},
		{"polls below none", []string{"run", "--poll", "-1", "x.py"}, 2, `"--poll" flag: must be an integer from 0`},
		{"host with bad polls", []string{"host", "--poll", "x"}, 2, `"--poll" flag: must be an integer from 0`},
		{"host without a token", []string{"host", "--beam", "s"}, 2, `required flag(s) "token"`},
		{"arguments to version", []string{"version", "x"}, 2, "erlpy: "},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			status := run(test.args, strings.NewReader(""), &stdout, &stderr)
			if status != test.status || !strings.Contains(stderr.String(), test.stderr) || stdout.Len() > 0 {
				t.Errorf("status %d, stdout %q, stderr %q; want status %d, stderr with %q", status, &stdout, &stderr, test.status, test.stderr)
			}
		})
	}
}

func TestNoPython(t *testing.T) {
	script := file(t, "script.py", "")
	missing := filepath.Join(t.TempDir(), "python3")
	var stderr bytes.Buffer
	if status := run([]string{"run", "--python", missing, script}, nil, io.Discard, &stderr); status != 127 {
		t.Errorf("status %d, want 127", status)
	}
	if text := stderr.String(); !strings.HasPrefix(text, "erlpy: "+missing+" does not exist") || !strings.Contains(text, "apt install") {
		t.Errorf("stderr %q names no Python and no way to get one", text)
	}
}

func TestVersion(t *testing.T) {
	var stdout bytes.Buffer
	if status := run([]string{"version"}, nil, &stdout, io.Discard); status != 0 || !strings.HasPrefix(stdout.String(), "erlpy "+version+" (go") {
		t.Errorf("status %d, stdout %q", status, &stdout)
	}
	app, err := os.ReadFile("../../erlang/src/erlang_python.app.src")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(app), `{vsn, "`+version+`"}`) {
		t.Errorf("the OTP application has another version than %s", version)
	}
}
