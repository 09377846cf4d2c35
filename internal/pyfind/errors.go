package pyfind

import (
	"errors"
	"fmt"
	"os"
	"strings"
)

// What can be wrong, for errors.Is.
var (
	ErrNoPython    = errors.New("no Python found")
	ErrUnsupported = errors.New("this Python is not supported")
	ErrNoLibrary   = errors.New("this Python has no shared library")
)

// Error says which Python is no good, why, and what helps.
type Error struct {
	Kind    error  // ErrNoPython, ErrUnsupported or ErrNoLibrary
	Python  string // as the user named it, or its executable
	Problem string // goes on where Python ends: "does not exist"
	Fix     string // a command, or some, separated by "; "
}

// Error gives the problem and the fix.
func (e *Error) Error() string { return e.Python + " " + e.Problem + ". " + e.Fix }

// Unwrap returns the kind.
func (e *Error) Unwrap() error { return e.Kind }

func noPython(python, problem string) *Error {
	return &Error{
		Kind:    ErrNoPython,
		Python:  python,
		Problem: problem,
		Fix:     "Install CPython 3.9 or later (Debian/Ubuntu: apt install python3), or name one with --python",
	}
}

func unsupported(p *probe, problem string) *Error {
	return &Error{
		Kind:    ErrUnsupported,
		Python:  p.Executable,
		Problem: problem + "; 64-bit CPython 3.9 or later with a GIL is needed",
		Fix:     "Name another with --python, or install one (Debian/Ubuntu: apt install python3)",
	}
}

func noLibrary(i *Install) *Error {
	return &Error{
		Kind:    ErrNoLibrary,
		Python:  i.Executable,
		Problem: fmt.Sprintf("(Python %s) is built without a shared libpython (searched %s)", i.versionName(), summary(i.Searched)),
		Fix:     i.libraryFix(),
	}
}

func (i *Install) versionName() string {
	return fmt.Sprintf("%d.%d.%d", i.Version[0], i.Version[1], i.Version[2])
}

// libraryFix returns the commands that fit the place where this Python is, or all of them.
func (i *Install) libraryFix() string {
	apt := fmt.Sprintf("apt install libpython%d.%d", i.Version[0], i.Version[1])
	pyenv := "PYTHON_CONFIGURE_OPTS=--enable-shared pyenv install --force " + i.versionName()
	_, notDebian := os.Stat("/etc/debian_version")
	switch {
	case strings.Contains(i.BaseExecutable, "/.pyenv/"):
		return pyenv
	case strings.HasPrefix(i.BaseExecutable, "/usr/bin/") && notDebian == nil:
		return apt
	}
	return "Debian/Ubuntu: " + apt + "; pyenv: " + pyenv + "; your own build: ./configure --enable-shared"
}

// summary names the directories searched rather than every file in them.
func summary(paths []string) string {
	var dirs []string
	seen := make(map[string]bool)
	for _, path := range paths {
		dir := path[:max(0, strings.LastIndexByte(path, '/'))]
		if !seen[dir] {
			seen[dir] = true
			dirs = append(dirs, dir)
		}
	}
	return strings.Join(dirs, ", ")
}
