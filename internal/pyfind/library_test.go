package pyfind_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/erlpy/erlpy/internal/pyfind"
)

// answer is that of a Python 3.11.7 in prefix, which says its library is in libdir under the name library.
func answer(version, prefix, libdir, library string) string {
	return fmt.Sprintf(`{"version": "%s (main)", "version_info": [3, 11, 7], "implementation": "CPython", "executable": "%[2]s/bin/python",
"base_executable": "%[2]s/bin/python", "prefix": "%[2]s", "base_prefix": "%[2]s", "base_exec_prefix": "%[2]s", "bits": 64,
"config": {"LIBDIR": "%[3]s", "LDLIBRARY": "%[4]s", "INSTSONAME": "%[4]s", "LDVERSION": "3.11", "MULTIARCH": "x86_64-linux-gnu"}}`,
		version, prefix, libdir, library)
}

func oneLine(s string) string { return strings.ReplaceAll(s, "\n", " ") }

func TestNoLibrary(t *testing.T) {
	dir := t.TempDir()
	lib := filepath.Join(dir, "lib")
	writeFile(t, filepath.Join(lib, "libpython3.11.so.1.0"), "no ELF file")
	if err := os.Symlink("/nowhere", filepath.Join(lib, "libpython3.11.so")); err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(lib, "libpython3.11.a"), "!<arch>\n")
	// No 3.11.99 exists, so what the dynamic linker knows does not serve either.
	i, err := pyfind.Find(context.Background(), fake(t, oneLine(answer("3.11.99", dir, lib, "libpython3.11.a"))))
	if !errors.Is(err, pyfind.ErrNoLibrary) {
		t.Fatalf("Find: %v", err)
	}
	for _, want := range []string{dir + "/bin/python", "3.11.7", lib, "apt install libpython3.11", "PYTHON_CONFIGURE_OPTS=--enable-shared"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in: %v", want, err)
		}
	}
	if i == nil || i.Library != "" || i.Executable != dir+"/bin/python" {
		t.Fatalf("found %+v", i)
	}
	if !slices.Contains(i.Searched, filepath.Join(lib, "libpython3.11.so.1.0")) {
		t.Errorf("searched %q", i.Searched)
	}
	for _, path := range i.Searched {
		if strings.HasSuffix(path, ".a") {
			t.Errorf("searched %s", path)
		}
	}
}

func TestLibraryFixes(t *testing.T) {
	for prefix, want := range map[string]string{
		"/home/x/.pyenv/versions/3.11.7": "python (Python 3.11.7) is built without a shared libpython",
		"/opt/python":                    "your own build: ./configure --enable-shared",
	} {
		_, err := pyfind.Find(context.Background(), fake(t, oneLine(answer("3.11.99", prefix, "/install/lib", "libpython3.11.so.1.0"))))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", prefix, err)
		}
		if strings.Contains(prefix, ".pyenv") && strings.Contains(err.Error(), "apt") {
			t.Errorf("%s: %v", prefix, err)
		}
	}
}

// The library is found where sysconfig does not say it is: in a build that was moved, and beside a static one.
func TestLibraryElsewhere(t *testing.T) {
	real := find(t, pyenvPython(t, "3.11.7")).Library
	for name, test := range map[string]struct{ libdir, library, at string }{
		"moved":           {"/install/lib", "libpython3.11.so.1.0", "lib/libpython3.11.so.1.0"},
		"static named":    {"/install/lib", "libpython3.11.a", "lib/libpython3.11.so"},
		"lib64":           {"/install/lib", "libpython3.11.so", "lib64/libpython3.11.so.1.0"},
		"stub named":      {"/install/lib", "libpython3.so", "lib/libpython3.11.so.1.0"},
		"nothing is said": {"", "", "lib/libpython3.11.so.1.0"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			at := filepath.Join(dir, test.at)
			if err := errors.Join(os.MkdirAll(filepath.Dir(at), 0o755), os.Symlink(real, at)); err != nil {
				t.Fatal(err)
			}
			i := find(t, fake(t, oneLine(answer("3.11.7", dir, test.libdir, test.library))))
			if i.Library != at {
				t.Errorf("Library is %s, want %s", i.Library, at)
			}
		})
	}
}

// An executable, the stub libpython3.so, and whatever else has the name of a library are passed over.
func TestLibraryImpostors(t *testing.T) {
	python := pyenvPython(t, "3.11.7")
	real := find(t, python).Library
	// A position-independent executable has the type of a library, and may define all of its symbols.
	pie := filepath.Join(t.TempDir(), "pie")
	writeFile(t, pie+".c", "int Py_InitializeFromConfig(void) { return 0; } int main(void) { return 0; }")
	_, err := exec.LookPath("cc")
	missing(t, err)
	if out, err := exec.Command("cc", "-pie", "-fPIE", "-rdynamic", "-o", pie, pie+".c").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for name, impostor := range map[string]string{
		"PIE":        pie,
		"executable": python,
		"stub":       filepath.Join(filepath.Dir(real), "libpython3.so"),
		"directory":  "/",
		"other":      "/lib/x86_64-linux-gnu/libc.so.6",
	} {
		dir := t.TempDir()
		lib := filepath.Join(dir, "lib")
		if err := errors.Join(os.Mkdir(lib, 0o755), os.Symlink(impostor, filepath.Join(lib, "libpython3.11.so.1.0")),
			os.Symlink(real, filepath.Join(lib, "libpython3.11.so"))); err != nil {
			t.Fatal(err)
		}
		i := find(t, fake(t, oneLine(answer("3.11.7", dir, lib, "libpython3.11.so.1.0"))))
		if i.Library != filepath.Join(lib, "libpython3.11.so") {
			t.Errorf("%s: Library is %s", name, i.Library)
		}
	}
}

// The dynamic linker's library is taken only when it is of the very release.
func TestLibraryOfTheLinker(t *testing.T) {
	real := find(t, pyenvPython(t, "3.11.7")).Library
	t.Setenv("LD_LIBRARY_PATH", filepath.Dir(real))
	i := find(t, fake(t, oneLine(answer("3.11.7", "/nowhere", "/nowhere/lib", "libpython3.11.so.1.0"))))
	if i.Library != real {
		t.Errorf("Library is %s, want %s", i.Library, real)
	}
	_, err := pyfind.Find(context.Background(), fake(t, oneLine(answer("3.11.6", "/nowhere", "/nowhere/lib", "libpython3.11.so.1.0"))))
	if !errors.Is(err, pyfind.ErrNoLibrary) {
		t.Errorf("a library of another release: %v", err)
	}
}
