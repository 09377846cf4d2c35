package pyfind_test

import (
	"context"
	"debug/elf"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/erlpy/erlpy/internal/pyfind"
)

func find(t *testing.T, python string) *pyfind.Install {
	t.Helper()
	i, err := pyfind.Find(context.Background(), python)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// checkLibrary checks that the library is one, and of that version, by its own words.
func checkLibrary(t *testing.T, i *pyfind.Install, soname string) {
	t.Helper()
	file, err := elf.Open(i.Library)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if got, err := file.DynString(elf.DT_SONAME); err != nil || len(got) != 1 || got[0] != soname {
		t.Errorf("%s has the name %v, %v; want %s", i.Library, got, err, soname)
	}
	if last := i.Searched[len(i.Searched)-1]; last != i.Library {
		t.Errorf("the last place searched is %s, the library %s", last, i.Library)
	}
}

func TestFindPyenv(t *testing.T) {
	for version, want := range map[string][3]int{
		"3.9.18": {3, 9, 18}, "3.10.13": {3, 10, 13}, "3.11.7": {3, 11, 7}, "3.12.1": {3, 12, 1}, "3.13.0": {3, 13, 0},
	} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			path := pyenvPython(t, version)
			prefix := filepath.Dir(filepath.Dir(path))
			i := find(t, path)
			if i.Version != want || !strings.HasPrefix(i.VersionText, version+" ") {
				t.Errorf("version %v, %q", i.Version, i.VersionText)
			}
			if i.Executable != path || i.Prefix != prefix || i.BasePrefix != prefix {
				t.Errorf("found %+v", i)
			}
			short := version[:strings.LastIndexByte(version, '.')]
			if i.BaseExecutable != filepath.Join(prefix, "bin", "python"+short) {
				t.Errorf("BaseExecutable is %s", i.BaseExecutable)
			}
			if want := filepath.Join(prefix, "lib", "libpython"+short+".so.1.0"); i.Library != want {
				t.Errorf("Library is %s, want %s", i.Library, want)
			}
			checkLibrary(t, i, "libpython"+short+".so.1.0")
		})
	}
}

// Debian's executable has the interpreter in it; the library is a package of its own.
func TestFindDebian(t *testing.T) {
	const python = "/usr/bin/python3.11"
	_, err := os.Stat(python)
	missing(t, err)
	i := find(t, python)
	if i.Executable != python || i.Prefix != "/usr" || i.Version[1] != 11 {
		t.Errorf("found %+v", i)
	}
	checkLibrary(t, i, "libpython3.11.so.1.0")
}

func TestFindVirtualEnvironment(t *testing.T) {
	for _, version := range []string{"3.9.18", "3.13.0"} {
		t.Run(version, func(t *testing.T) {
			python := pyenvPython(t, version)
			dir, err := filepath.EvalSymlinks(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			dir = filepath.Join(dir, "env")
			if out, err := exec.Command(python, "-m", "venv", "--without-pip", dir).CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			base := find(t, python)
			check := func(how string, i *pyfind.Install) {
				t.Helper()
				if i.Prefix != dir || i.BasePrefix != base.BasePrefix || filepath.Dir(i.Executable) != filepath.Join(dir, "bin") {
					t.Errorf("%s: found %+v", how, i)
				}
				if i.Library != base.Library || i.BaseExecutable != base.BaseExecutable {
					t.Errorf("%s: Library %s, BaseExecutable %s", how, i.Library, i.BaseExecutable)
				}
			}
			check("directory", find(t, dir))
			check("executable", find(t, filepath.Join(dir, "bin", "python3")))
			t.Setenv("VIRTUAL_ENV", dir)
			check("VIRTUAL_ENV", find(t, ""))
			t.Chdir(filepath.Dir(dir))
			check("directory by name", find(t, "env"))
			check("relative executable", find(t, "./env/bin/python"))
		})
	}
}

func TestFindOnThePath(t *testing.T) {
	python := pyenvPython(t, "3.12.1")
	dir := t.TempDir()
	if err := errors.Join(os.Symlink(python, filepath.Join(dir, "python3")), os.Symlink(python, filepath.Join(dir, "snake"))); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir)
	t.Setenv("VIRTUAL_ENV", "")
	for _, name := range []string{"", "snake"} {
		if i := find(t, name); i.Version != [3]int{3, 12, 1} {
			t.Errorf("%q is %v", name, i.Version)
		}
	}
}

// A version manager puts scripts on the PATH; what counts is the Python that they run.
func TestFindShim(t *testing.T) {
	python := pyenvPython(t, "3.10.13")
	i := find(t, script(t, "exec "+python+` "$@"`))
	if i.Executable != python {
		t.Errorf("Executable is %s, want %s", i.Executable, python)
	}
}

// Nothing in the working directory, the environment or the output of startup files gets in the way of the probe.
func TestFindUndisturbed(t *testing.T) {
	python := pyenvPython(t, "3.11.7")
	dir := t.TempDir()
	for _, name := range []string{"json.py", "platform.py", "sysconfig.py", "sitecustomize.py"} {
		writeFile(t, filepath.Join(dir, name), "raise SystemExit('in the way')")
	}
	t.Chdir(dir)
	t.Setenv("PYTHONPATH", dir)
	t.Setenv("PYTHONHOME", dir)
	if i := find(t, python); i.Executable != python {
		t.Errorf("found %+v", i)
	}
}

func TestFindUnsupported(t *testing.T) {
	for _, version := range []string{"2.7.18", "3.8.18"} {
		t.Run(version, func(t *testing.T) {
			path := pyenvPython(t, version)
			i, err := pyfind.Find(context.Background(), path)
			if !errors.Is(err, pyfind.ErrUnsupported) || !strings.Contains(err.Error(), version) || !strings.Contains(err.Error(), path) {
				t.Errorf("Find: %v", err)
			}
			if i == nil || i.Library != "" || i.Executable != path {
				t.Errorf("found %+v", i)
			}
		})
	}
	for name, answer := range map[string]string{
		"PyPy":                           `{"version": "3.10.1 x", "version_info": [3, 10, 1], "implementation": "PyPy", "executable": "/x", "prefix": "/x", "bits": 64}`,
		"32-bit":                         `{"version": "3.11.1 x", "version_info": [3, 11, 1], "implementation": "CPython", "executable": "/x", "prefix": "/x", "bits": 32}`,
		"3.13.0t, a free-threaded build": `{"version": "3.13.0 experimental free-threading build x", "version_info": [3, 13, 0], "implementation": "CPython", "executable": "/x", "prefix": "/x", "bits": 64, "config": {"Py_GIL_DISABLED": "1"}}`,
	} {
		_, err := pyfind.Find(context.Background(), fake(t, answer))
		if !errors.Is(err, pyfind.ErrUnsupported) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestFindNoPython(t *testing.T) {
	dir := t.TempDir()
	broken := filepath.Join(dir, "broken", "bin", "python")
	writeFile(t, filepath.Join(dir, "broken", "pyvenv.cfg"), "")
	if err := errors.Join(os.Mkdir(filepath.Dir(broken), 0o755), os.Symlink("/nowhere/python", broken)); err != nil {
		t.Fatal(err)
	}
	plain := filepath.Join(dir, "plain")
	if err := os.WriteFile(plain, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for python, want := range map[string]string{
		filepath.Join(dir, "missing"):          "does not exist",
		"no-such-python":                       "not on the PATH",
		dir:                                    "no virtual environment",
		filepath.Join(dir, "broken"):           "points at nothing",
		plain:                                  "not executable",
		"/bin/true":                            "not the program it was given",
		script(t, "echo 'line 1' >&2; exit 3"): "line 1",
		script(t, "exit 3"):                    "exit status 3",
		script(t, "echo 'erlpy-probe:{'"):      "its answer is",
		script(t, "echo; echo erlpy-probe:; kill -9 $$"): "its answer is",
	} {
		i, err := pyfind.Find(context.Background(), python)
		if i != nil || !errors.Is(err, pyfind.ErrNoPython) || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), python) {
			t.Errorf("Find(%q) = %v, %v; want an error with %q", python, i, err, want)
		}
		var e *pyfind.Error
		if !errors.As(err, &e) || e.Fix == "" {
			t.Errorf("Find(%q): no fix in %v", python, err)
		}
	}
	t.Setenv("VIRTUAL_ENV", filepath.Join(dir, "gone"))
	if _, err := pyfind.Find(context.Background(), ""); !errors.Is(err, pyfind.ErrNoPython) || !strings.Contains(err.Error(), "VIRTUAL_ENV") {
		t.Errorf("a VIRTUAL_ENV that is gone: %v", err)
	}
}

func TestFindCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	started := filepath.Join(t.TempDir(), "started")
	if err := exec.Command("mkfifo", started).Run(); err != nil {
		t.Fatal(err)
	}
	go func() {
		os.ReadFile(started) // returns when the script has opened it and ended or closed it
		cancel()
	}()
	python := script(t, "echo > "+started+"; exec sleep 100")
	if _, err := pyfind.Find(ctx, python); !errors.Is(err, context.Canceled) {
		t.Errorf("Find: %v", err)
	}
}
