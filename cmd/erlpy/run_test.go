package main

import (
	"bufio"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// What a script sees and leaves is what python3 would have it see and leave.
func TestRunScript(t *testing.T) {
	tests := []struct {
		name, script string
		want         result // stderr: a part of it
	}{
		{"ends", "print('hello')", result{0, "hello\n", ""}},
		{"exit", "import sys; sys.exit()", result{0, "", ""}},
		{"exit with a number", "import sys; sys.exit(3)", result{3, "", ""}},
		{"exit with a negative number", "import sys; sys.exit(-1)", result{255, "", ""}},
		{"exit with text", "import sys; sys.exit('no way')", result{1, "", "no way\n"}},
		{"exit with True", "import sys; sys.exit(True)", result{1, "", ""}},
		{"exit in a function called exit", "exit(4)", result{4, "", ""}},
		{"hard exit", "import os; os._exit(9)", result{9, "", ""}},
		{"exception", "def f():\n    1 / 0\nf()", result{1, "", "ZeroDivisionError: division by zero\n"}},
		{"syntax error", "print('no')\n)", result{1, "", "SyntaxError: unmatched ')'\n"}},
		{"interrupted", "raise KeyboardInterrupt", result{130, "", "KeyboardInterrupt\n"}},
		{"hook", "import sys\nsys.excepthook = lambda *e: print('hook', e[0].__name__)\n1/0", result{1, "hook ZeroDivisionError\n", ""}},
		{"hook that fails", "import sys\nsys.excepthook = lambda *e: nope\n1/0", result{1, "", "Original exception was:\nTraceback"}},
		{"main module", "import sys, __main__\nx = 5\nprint(__name__, __main__.x, sys.modules['__main__'] is __main__)", result{0, "__main__ 5 True\n", ""}},
		{"annotations of ours do not reach it", "def f(x: undefined_name = None): pass", result{1, "", "NameError: name 'undefined_name' is not defined"}},
		{"atexit", "import atexit, erlang\natexit.register(lambda: print('last', erlang.stats()['calls']))\nprint('first')", result{0, "first\nlast 0\n", ""}},
		{"waits for threads", "import threading, time\nthreading.Thread(target=lambda: (time.sleep(.1), print('done'))).start()", result{0, "done\n", ""}},
		{"leaves daemons", "import threading\nthreading.Thread(target=threading.Event().wait, daemon=True).start()", result{0, "", ""}},
		{"no node", "import erlang\nerlang.call('f')", result{1, "", "erlang.Disconnected: "}},
		{"encoding", "# -*- coding: latin-1 -*-\nprint(len('\xe9'))", result{0, "1\n", ""}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got := erlpy(t, "run", file(t, "script.py", test.script))
			if got.status != test.want.status || got.stdout != test.want.stdout {
				t.Errorf("status %d, stdout %q, stderr %q; want %d, %q", got.status, got.stdout, got.stderr, test.want.status, test.want.stdout)
			}
			if !strings.Contains(got.stderr, test.want.stderr) || test.want.stderr == "" && got.stderr != "" {
				t.Errorf("stderr %q, want %q in it", got.stderr, test.want.stderr)
			}
			if strings.Contains(got.stderr, "<erlpy>") {
				t.Errorf("frames of our own in %q", got.stderr)
			}
		})
	}
}

func TestRunArguments(t *testing.T) {
	script := file(t, "script.py", "import os, sys\nprint(sys.argv[1:], sys.argv[0] == sys.argv[-1], os.path.isabs(__file__), sys.path[0] == os.path.dirname(__file__))")
	dir, err := filepath.EvalSymlinks(filepath.Dir(script))
	if err != nil {
		t.Fatal(err)
	}
	cmd := command(t, "run", "script.py", "--python", "-x", "ž", "script.py")
	cmd.Dir = dir
	got := finish(t, cmd)
	if want := "['--python', '-x', 'ž', 'script.py'] True True True\n"; got.stdout != want || got.status != 0 {
		t.Errorf("%+v, want %q", got, want)
	}
}

func TestRunNobodyListens(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "nobody")
	got := erlpy(t, "run", "--beam", socket, file(t, "script.py", "import erlang\nerlang.call('f')"))
	if got.status != 1 || !strings.Contains(got.stderr, "erlang.Disconnected: ") || !strings.Contains(got.stderr, socket) {
		t.Errorf("%+v", got)
	}
}

func TestRunInterrupted(t *testing.T) {
	cmd := command(t, "run", file(t, "script.py", "import time\nprint('ready', flush=True)\ntime.sleep(60)"))
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "ready\n" {
		t.Fatal(line, err)
	}
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if status := cmd.ProcessState.ExitCode(); status != 130 {
		t.Errorf("status %d, want 130", status)
	}
}

func TestRunErlang(t *testing.T) {
	needApplication(t)
	functions := file(t, "functions.erl", "-module(functions).\n-export([add/1, two/2]).\nadd([A, B]) -> A + B.\ntwo(_, _) -> no.\n")
	script := file(t, "script.py", "import erlang\nprint(erlang.add(1, 2), hasattr(erlang, 'two'))")
	if got := erlpy(t, "run", "--erl", functions, script); got.status != 0 || got.stdout != "3 False\n" {
		t.Errorf("%+v", got)
	}
}

func TestRunErlangThatDoesNotCompile(t *testing.T) {
	needApplication(t)
	functions := file(t, "functions.erl", "-module(functions).\nadd([A, B]) -> A + C.\n")
	got := erlpy(t, "run", "--erl", functions, file(t, "script.py", "print('not reached')"))
	if got.status != 1 || got.stdout != "" || !strings.Contains(got.stderr, "functions.erl:2") || !strings.Contains(got.stderr, "unbound") {
		t.Errorf("%+v", got)
	}
}

// needApplication points the command at the application that `make build` left.
func needApplication(t *testing.T) {
	t.Helper()
	lib, err := filepath.Abs("../../build/lib")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(lib, "erlang_python", "ebin")); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("no application: make build")
		}
		t.Skip("no application: make build")
	}
	t.Setenv("ERLPY_LIB", lib)
}
