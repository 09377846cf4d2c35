//go:build linux

package beam_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/erlpy/erlpy/internal/beam"
)

// The test binary is also the program that is killed in TestParentIsKilled.
func TestMain(m *testing.M) {
	if dir := os.Getenv("BEAM_TEST_APP"); dir != "" {
		n, err := beam.Start(context.Background(), beam.Options{AppDir: dir, Erl: os.Getenv("BEAM_TEST_ERL")})
		fmt.Println(n, err)
		select {}
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		if compiled != "" {
			os.RemoveAll(compiled)
		}
		os.Exit(code)
	}))
}

var (
	compiled string // the directory that holds the application
	compile  = sync.OnceValue(func() error {
		if os.Getenv("ERLPY_LIB") != "" {
			return nil
		}
		dir, err := os.MkdirTemp("", "beam")
		if err != nil {
			return err
		}
		compiled = dir
		ebin := filepath.Join(dir, "erlang_python", "ebin")
		if err := os.MkdirAll(ebin, 0o755); err != nil {
			return err
		}
		sources, err := filepath.Glob("../../erlang/src/*.erl")
		if err != nil {
			return err
		}
		if out, err := exec.Command("erlc", append([]string{"-o", ebin}, sources...)...).CombinedOutput(); err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		app, err := os.ReadFile("../../erlang/src/erlang_python.app.src")
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(ebin, "erlang_python.app"), app, 0o644)
	})
)

// application returns the OTP application's directory: that of $ERLPY_LIB, or one compiled from the sources here.
func application(t *testing.T) string {
	t.Helper()
	needErlang(t)
	if err := compile(); err != nil {
		t.Fatal(err)
	}
	if compiled == "" {
		return filepath.Join(os.Getenv("ERLPY_LIB"), "erlang_python")
	}
	return filepath.Join(compiled, "erlang_python")
}

func needErlang(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("erl"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
}

func writeFile(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// fakeErl is a shell script in place of erl. Descriptor 3 is its line to us.
func fakeErl(t *testing.T, text string) string {
	t.Helper()
	return writeFile(t, "erl", "#!/bin/sh\n"+text+"\n")
}

// announcingErl is erl, but it tells its process id to a pipe before it starts.
func announcingErl(t *testing.T) (erl string, pid func() int) {
	t.Helper()
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := unix.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	return fakeErl(t, "echo $$ > "+pipe+`; exec erl "$@"`), func() int {
		t.Helper()
		text, err := os.ReadFile(pipe)
		if err != nil {
			t.Fatal(err)
		}
		var n int
		if _, err := fmt.Sscan(string(text), &n); err != nil {
			t.Fatal(err)
		}
		return n
	}
}

// expectEnd fails the test when a process has not ended within the time, and then ends it.
func expectEnd(t *testing.T, pid int, within time.Duration) {
	t.Helper()
	fd, err := unix.PidfdOpen(pid, 0)
	if err == unix.ESRCH {
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	for {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(within.Milliseconds()))
		if err == unix.EINTR {
			continue
		}
		if n != 1 {
			t.Errorf("process %d did not end within %v", pid, within)
			unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0)
		}
		return
	}
}

func contains(t *testing.T, err error, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("no %q in the error: %v", part, err)
		}
	}
}
