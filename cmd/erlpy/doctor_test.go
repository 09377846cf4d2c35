package main

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"
)

func TestPrintChecks(t *testing.T) {
	var out bytes.Buffer
	missing := printChecks(&out, []check{
		{"Python", "3.11.2  /usr/bin/python3", ""},
		{"libpython", "none", "apt install libpython3.11"},
	})
	want := `Python     ok       3.11.2  /usr/bin/python3
libpython  MISSING  none

To install what is missing:
  libpython: apt install libpython3.11
`
	if missing != 1 || out.String() != want {
		t.Errorf("%d missing, %s", missing, &out)
	}
}

func TestDoctor(t *testing.T) {
	needApplication(t)
	got := erlpy(t, "doctor")
	if got.status != 0 {
		t.Errorf("%+v", got)
	}
	for _, row := range []string{"Python ", "libpython ", "Erlang/OTP ", "application ", "host binary ", "socket "} {
		if !strings.Contains(got.stdout, row) {
			t.Errorf("no row %q in\n%s", row, got.stdout)
		}
	}
}

func TestDoctorNamesWhatIsMissing(t *testing.T) {
	python := filepath.Join(t.TempDir(), "python3")
	t.Setenv("PATH", t.TempDir())
	got := erlpy(t, "doctor", "--python", python)
	if got.status != 1 {
		t.Errorf("status %d, want 1", got.status)
	}
	for _, text := range []string{python + " does not exist", "no erl on the PATH", "apt install erlang-base", "apt install python3"} {
		if !strings.Contains(got.stdout, text) {
			t.Errorf("no %q in\n%s", text, got.stdout)
		}
	}
}
