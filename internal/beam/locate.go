package beam

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// What may be missing, for errors.Is.
var (
	ErrNoErlang = errors.New("no Erlang found")
	ErrNoApp    = errors.New("the OTP application erlang_python was not found")
)

const appName = "erlang_python"

// FindErl returns the program that starts a node: erl itself, looked up on the PATH when it has no slash, or for ""
// the erl of the PATH. The error is ErrNoErlang and says what to install.
func FindErl(erl string) (string, error) {
	if erl == "" {
		erl = "erl"
	}
	path, err := exec.LookPath(erl)
	if err != nil {
		return "", fmt.Errorf("%w: %w. Install Erlang/OTP 25 or later (Debian/Ubuntu: apt install erlang)", ErrNoErlang, err)
	}
	return path, nil
}

// FindApp returns the directory of the OTP application: in $ERLPY_LIB, beside this executable, around it (when it is
// the host program in the application's priv), in build/lib, or where erl finds it. The error is ErrNoApp and says
// where it looked.
func FindApp(ctx context.Context, erl string) (string, error) {
	places := appPlaces()
	for _, dir := range places {
		if isApp(dir) {
			return dir, nil
		}
	}
	if dir := askErl(ctx, erl); isApp(dir) {
		return dir, nil
	}
	if err := ctx.Err(); err != nil {
		return "", err
	}
	return "", fmt.Errorf("%w: not in %s, nor on the code path of %s. Run: make build, or set ERLPY_LIB to the directory that holds %s",
		ErrNoApp, strings.Join(places, ", "), erl, appName)
}

func appPlaces() []string {
	var places []string
	add := func(elements ...string) {
		dir := filepath.Join(elements...)
		if !slices.Contains(places, dir) {
			places = append(places, dir)
		}
	}
	if lib := os.Getenv("ERLPY_LIB"); lib != "" {
		add(lib, appName)
	}
	if executable, err := os.Executable(); err == nil {
		// The executable may be a link, and either end of it the one that stands beside the application.
		links := []string{executable}
		if real, err := filepath.EvalSymlinks(executable); err == nil {
			links = append(links, real)
		}
		for _, path := range links {
			dir := filepath.Dir(path)
			add(dir, "lib", appName)
			if filepath.Base(dir) == "priv" {
				add(dir, "..")
			}
		}
	}
	if dir, err := filepath.Abs(filepath.Join("build", "lib", appName)); err == nil {
		add(dir)
	}
	return places
}

func isApp(dir string) bool {
	info, err := os.Stat(filepath.Join(dir, "ebin", appName+".app"))
	return dir != "" && err == nil && info.Mode().IsRegular()
}

// askErl returns where a node finds the application on its own, by ERL_LIBS for one, or nothing.
func askErl(ctx context.Context, erl string) string {
	const question = "case code:lib_dir(" + appName + ") of {error, _} -> ok; Dir -> io:put_chars(Dir) end, halt()."
	out, err := exec.CommandContext(ctx, erl, "-noshell", "-boot", "no_dot_erlang", "-eval", question).Output()
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(out))
}
