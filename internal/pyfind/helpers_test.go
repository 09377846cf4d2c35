package pyfind_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// pyenvPython returns a Python of pyenv's, or skips: in CI all of them are there.
func pyenvPython(t *testing.T, version string) string {
	t.Helper()
	root, err := exec.Command("pyenv", "root").Output()
	path := filepath.Join(strings.TrimSpace(string(root)), "versions", version, "bin", "python")
	if err == nil {
		_, err = os.Stat(path)
	}
	missing(t, err)
	return path
}

// missing ends a test whose tool is not there: as a failure in CI, elsewhere as a skip.
func missing(t *testing.T, err error) {
	t.Helper()
	switch {
	case err == nil:
	case os.Getenv("CI") != "":
		t.Fatal(err)
	default:
		t.Skip(err)
	}
}

func script(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "python")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// fake is a Python whose answer is the given one.
func fake(t *testing.T, answer string) string {
	t.Helper()
	if strings.ContainsRune(answer, '\'') {
		t.Fatal(errors.New("the answer has a quote in it"))
	}
	return script(t, "echo noise; echo 'erlpy-probe:"+answer+"'\n")
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o755)); err != nil {
		t.Fatal(err)
	}
}
