package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A port's descriptors 3 and 4, as a host has them that a node started.
func hostOfANode(t *testing.T, args ...string) (fromHost io.Reader, nodeGone func(), wait func() result) {
	t.Helper()
	cmd := command(t, append([]string{"host"}, args...)...)
	in, ours3, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	ours4, out, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.ExtraFiles = []*os.File{in, out}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	in.Close()
	out.Close()
	t.Cleanup(func() { ours3.Close(); ours4.Close() })
	return ours4, func() { ours3.Close() }, func() result {
		_ = cmd.Wait()
		return result{status: cmd.ProcessState.ExitCode()}
	}
}

func TestHostTellsItsNodeWhyItCannotStart(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "python3")
	said, _, wait := hostOfANode(t, "--beam", "s", "--token", "t", "--python", missing)
	text, err := io.ReadAll(said)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(string(text), missing+" does not exist") || strings.Count(string(text), "\n") != 1 {
		t.Errorf("said %q, want one line that names %s", text, missing)
	}
	if got := wait(); got.status != 127 {
		t.Errorf("status %d, want 127", got.status)
	}
}

func TestHostEndsWhenNobodyListens(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "nobody")
	got := erlpy(t, "host", "--beam", socket, "--token", "t")
	if got.status != 1 || !strings.Contains(got.stderr, socket) {
		t.Errorf("%+v, want status 1 and the socket named", got)
	}
}

// The node is gone, and Python is busy with something that does not end: the host ends all the same.
func TestHostEndsWithItsNode(t *testing.T) {
	// A Python that hangs at its start stands for any that does not come back.
	hang := file(t, "python3", "#!/bin/sh\nexec sleep 30\n")
	if err := os.Chmod(hang, 0o755); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	_, nodeGone, wait := hostOfANode(t, "--beam", "s", "--token", "t", "--python", hang)
	nodeGone()
	if got := wait(); got.status != 1 {
		t.Errorf("status %d, want 1", got.status)
	}
	if took := time.Since(start); took > grace+5*time.Second {
		t.Errorf("ended after %v", took)
	}
}
