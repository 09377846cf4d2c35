// Package pyfind finds the Python that a user means, and the shared library that holds its interpreter.
//
// A path says little by itself: it may be a virtual environment, a symbolic link, or a shell script of a version
// manager. So [Find] runs it and asks; the answers, together with the places where distributions and builds are known to
// put libpython, give the candidates for dlopen.
package pyfind

import (
	"context"
)

// Install is one Python, ready to be embedded.
type Install struct {
	Executable     string // sys.executable: what a child process is to be started with, and argv[0] of the interpreter
	BaseExecutable string // outside of any virtual environment, symbolic links resolved
	Prefix         string // sys.prefix: the virtual environment, when it is one
	BasePrefix     string
	Version        [3]int
	VersionText    string   // sys.version, which Py_GetVersion of the library must agree with
	Library        string   // path for dlopen
	Searched       []string // the candidates that were looked at, up to and with Library
}

// Find finds a Python and its library. python is a path of an executable, a name on the PATH or the directory of a
// virtual environment; "" means $VIRTUAL_ENV, else python3 on the PATH. It runs the executable, for 30 seconds at most,
// and ends it when ctx does.
//
// An error is an [*Error] that is ErrNoPython, ErrUnsupported or ErrNoLibrary. With the latter two comes what was
// found all the same, with no Library in it.
func Find(ctx context.Context, python string) (*Install, error) {
	path, err := locate(python)
	if err != nil {
		return nil, err
	}
	p, err := ask(ctx, path)
	if err != nil {
		return nil, err
	}
	install := p.install(path)
	if err := p.supported(); err != nil {
		return install, err
	}
	for _, candidate := range p.candidates() {
		install.Searched = append(install.Searched, candidate)
		if isLibpython(candidate) == nil {
			install.Library = candidate
			return install, nil
		}
	}
	for _, candidate := range linkerCandidates(ctx, p.names()) {
		install.Searched = append(install.Searched, candidate)
		if isLibpython(candidate) == nil && mentions(candidate, p.release()) {
			install.Library = candidate
			return install, nil
		}
	}
	return install, noLibrary(install)
}
