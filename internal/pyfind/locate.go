package pyfind

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// locate turns what the user said into the path of something to run.
func locate(python string) (string, error) {
	if python != "" {
		return locateNamed(python)
	}
	if env := os.Getenv("VIRTUAL_ENV"); env != "" {
		path, err := inEnvironment(env)
		if err != nil {
			err.Problem = "VIRTUAL_ENV: " + err.Problem
			return "", err
		}
		return path, nil
	}
	return onPath("python3")
}

// locateNamed prefers a virtual environment to a program on the PATH, which always has one called env.
func locateNamed(python string) (string, error) {
	_, noConfig := os.Stat(filepath.Join(python, "pyvenv.cfg"))
	if noConfig != nil && !strings.ContainsRune(python, filepath.Separator) {
		if path, err := onPath(python); err == nil || !isDir(python) {
			return path, err
		}
	}
	if isDir(python) {
		path, err := inEnvironment(python)
		if err != nil {
			return "", err
		}
		return path, nil
	}
	if problem := notExecutable(python); problem != "" {
		return "", noPython(python, problem)
	}
	return absolute(python), nil
}

func onPath(name string) (string, error) {
	path, err := exec.LookPath(name)
	if err != nil {
		return "", noPython(name, "is not on the PATH")
	}
	return absolute(path), nil
}

// inEnvironment returns the Python of a virtual environment, or of an installation's prefix.
func inEnvironment(dir string) (string, *Error) {
	for _, name := range []string{"python", "python3"} {
		if path := filepath.Join(dir, "bin", name); notExecutable(path) == "" {
			return absolute(path), nil
		}
	}
	if info, err := os.Lstat(filepath.Join(dir, "bin", "python")); err == nil && info.Mode()&os.ModeSymlink != 0 {
		return "", noPython(dir, "is a virtual environment whose bin/python points at nothing: its Python was removed")
	}
	return "", noPython(dir, "is no virtual environment: it has no bin/python")
}

// notExecutable says why path cannot be run, or nothing.
func notExecutable(path string) string {
	info, err := os.Stat(path)
	switch {
	case os.IsNotExist(err):
		return "does not exist"
	case err != nil:
		return fmt.Sprint("cannot be used: ", err)
	case !info.Mode().IsRegular() || info.Mode()&0o111 == 0:
		return "is not executable"
	}
	return ""
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// absolute leaves symbolic links alone: the place of bin/python is what makes a virtual environment.
func absolute(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path
}
