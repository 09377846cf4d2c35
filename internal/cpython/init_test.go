package cpython_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/erlpy/erlpy/internal/cpython"
)

// freeThreaded is a library with the symbols of a free-threaded CPython and nothing behind them:
// a call of one crashes.
const freeThreaded = `
#define PY_FUNC(ret, name, args, own, gil, since) char name[64];
#define PY_OPT PY_FUNC
#define PY_DATA(type, name) char name[64];
#define PY_EXC(name) char name[64];
#include "pyapi_slots.h"
`

func TestInitRefusesFreeThreadedBuilds(t *testing.T) {
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	source := filepath.Join(t.TempDir(), "python.c")
	library := filepath.Join(t.TempDir(), "libpython3.13t.so.1.0")
	if err := os.WriteFile(source, []byte(freeThreaded), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("cc", "-shared", "-fPIC", "-I", here, "-o", library, source).CombinedOutput(); err != nil {
		t.Fatalf("cc: %v\n%s", err, out)
	}
	err = cpython.Init(cpython.Config{Library: library, Executable: "/x/python3.13t", Version: "3.13.0 x"})
	if err == nil {
		t.Fatal("it was loaded")
	}
	for _, want := range []string{library, "free-threaded", "GIL", "name another Python"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in %q", want, err)
		}
	}
}
