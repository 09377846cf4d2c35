//go:build linux

package beam_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/erlpy/erlpy/etf"
	"github.com/erlpy/erlpy/internal/beam"
	"github.com/erlpy/erlpy/internal/channel"
)

const functions = `-module(functions).
-export([double_it/1, greet/1, two/2]).
double_it([X]) -> X * 2.
greet([Name]) -> io:format("hello ~ts~n", [Name]), ok.
two(A, B) -> {A, B}.
unused() -> ok.
`

func start(t *testing.T, o beam.Options) *beam.Node {
	t.Helper()
	n, err := beam.Start(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Stop() })
	return n
}

func TestStart(t *testing.T) {
	var stdout, stderr bytes.Buffer
	other := writeFile(t, "other.erl", "-module(other).\n-export([third/1]).\nthird(L) -> length(L).\n")
	n := start(t, beam.Options{
		AppDir: application(t), Files: []string{writeFile(t, "functions.erl", functions), other}, Stdout: &stdout, Stderr: &stderr,
	})
	names := n.Registered()
	slices.Sort(names)
	if want := []string{"double_it", "greet", "third"}; !slices.Equal(names, want) {
		t.Errorf("Registered() = %q, want %q", names, want)
	}
	dir := filepath.Dir(n.Socket())
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the socket's directory: %v, %v", info, err)
	}
	if got := callNode(t, n.Socket(), "double_it", 21); got != 42 {
		t.Errorf("double_it(21) = %v", got)
	}
	callNode(t, n.Socket(), "greet", "Joe")
	pid := n.PID()
	for range 2 {
		if err := n.Stop(); err != nil {
			t.Errorf("Stop: %v", err)
		}
	}
	select {
	case <-n.Ended():
	default:
		t.Error("not ended after Stop")
	}
	if err := unix.Kill(pid, 0); err != unix.ESRCH {
		t.Errorf("process %d after Stop: %v", pid, err)
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("%s after Stop: %v", dir, err)
	}
	if stdout.String() != "hello Joe\n" {
		t.Errorf("the node wrote %q", stdout.String())
	}
	if !strings.Contains(stderr.String(), "functions.erl:6") || !strings.Contains(stderr.String(), "unused") {
		t.Errorf("no warning of the compiler in %q", stderr.String())
	}
}

// callNode makes one call over a channel of its own.
func callNode(t *testing.T, socket, name string, arg any) any {
	t.Helper()
	hello, err := etf.Marshal(etf.Tuple{etf.Atom("erlpy"), 1, etf.Atom("thread"), map[any]any{}})
	if err != nil {
		t.Fatal(err)
	}
	c := channel.New(&channel.Options{Path: socket, Hello: hello})
	defer c.Close()
	step := func(f func() (channel.Status, error)) {
		t.Helper()
		for {
			s, err := f()
			if err != nil {
				t.Fatal(err)
			}
			if s == channel.Done {
				return
			}
			unix.Poll([]unix.PollFd{{Fd: int32(c.FD()), Events: unix.POLLIN}}, 5000)
		}
	}
	step(c.Open)
	frame, err := etf.Append(make([]byte, channel.HeaderSize), etf.Tuple{name, []any{arg}})
	if err != nil {
		t.Fatal(err)
	}
	channel.PutHeader(frame, len(frame)-channel.HeaderSize, channel.Call, c.NextID())
	step(func() (channel.Status, error) { return c.Send(frame) })
	m := make(memory, 4096)
	var h channel.Header
	step(func() (s channel.Status, err error) {
		h, s, err = c.Receive(m)
		return s, err
	})
	var result any
	if err := etf.Unmarshal(m[channel.HeaderSize:channel.HeaderSize+h.Size], &result); err != nil || h.Kind != channel.OK {
		t.Fatalf("%s: %v %v, %v", name, h.Kind, result, err)
	}
	return result
}

type memory []byte

func (m memory) Bytes() []byte            { return m }
func (m memory) Grow(int) ([]byte, error) { return nil, io.ErrShortBuffer }

// Without hosts among the settings there are none, which a caller of Python is told at once.
func TestStartSettings(t *testing.T) {
	file := writeFile(t, "settings.erl", "-module(settings).\n-export([setting/1]).\nsetting([Name]) -> py_settings:get(binary_to_atom(Name)).\n")
	for name, test := range map[string]struct {
		settings map[string]string
		want     map[string]any
	}{
		"none": {nil, map[string]any{"hosts": 0, "poll": 25}},
		"some": {
			map[string]string{"hosts": "2", "poll": "0", "python": `"/no/such/python"`, "max_async": "7"},
			map[string]any{"hosts": 2, "poll": 0, "max_async": 7},
		},
	} {
		t.Run(name, func(t *testing.T) {
			n := start(t, beam.Options{AppDir: application(t), Files: []string{file}, Settings: test.settings})
			for name, want := range test.want {
				if got := callNode(t, n.Socket(), "setting", name); !reflect.DeepEqual(got, want) {
					t.Errorf("%s is %v, want %v", name, got, want)
				}
			}
		})
	}
}

func TestStartNoSpin(t *testing.T) {
	file := writeFile(t, "arguments.erl", "-module(arguments).\n-export([emulator/1]).\nemulator([_]) -> unicode:characters_to_binary(lists:join(32, erlang:system_info(emu_args))).\n")
	for noSpin, want := range map[bool]string{false: "very_short", true: "none"} {
		n := start(t, beam.Options{AppDir: application(t), Files: []string{file}, NoSpin: noSpin})
		arguments := fmt.Sprint(callNode(t, n.Socket(), "emulator", 1))
		for _, flag := range []string{"sbwt", "sbwtdcpu", "sbwtdio"} {
			if !strings.Contains(arguments, flag+" "+want) {
				t.Errorf("NoSpin %v: no %s %s in %s", noSpin, flag, want, arguments)
			}
		}
	}
}

func TestStartGivenSocket(t *testing.T) {
	dir, err := os.MkdirTemp("/tmp", "beam")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	socket := filepath.Join(dir, "given")
	n := start(t, beam.Options{AppDir: application(t), Socket: socket})
	if info, err := os.Stat(socket); n.Socket() != socket || err != nil || info.Mode().Type() != os.ModeSocket {
		t.Errorf("Socket() = %s; %v, %v", n.Socket(), info, err)
	}
	if err := n.Stop(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(dir); err != nil {
		t.Errorf("Stop removed what it had not made: %v", err)
	}
}

// A directory and a file that merely have names like ours are left alone, whether the node starts
// or not.
func TestStartGivenDirectory(t *testing.T) {
	dir, err := os.MkdirTemp("/tmp", "erlpy-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	socket := filepath.Join(dir, "s")
	n := start(t, beam.Options{AppDir: application(t), Socket: socket})
	if err := n.Stop(); err != nil {
		t.Error(err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 0 {
		t.Errorf("after Stop the directory holds %v, %v", entries, err)
	}
	if err := os.WriteFile(socket, []byte("years of work"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = beam.Start(context.Background(), beam.Options{AppDir: application(t), Socket: socket})
	contains(t, err, "a file stands at "+socket)
	if text, err := os.ReadFile(socket); string(text) != "years of work" {
		t.Errorf("the file holds %q, %v", text, err)
	}
}

func TestStartErrors(t *testing.T) {
	app := application(t)
	bad := writeFile(t, "bad.erl", "-module(bad).\n-export([f/1]).\nf([X]) -> Y.\ng(\n")
	missing := filepath.Join(t.TempDir(), "missing.erl")
	for name, test := range map[string]struct {
		options beam.Options
		want    []string
	}{
		"compile error": {beam.Options{Files: []string{bad}}, []string{bad + ":", "syntax error"}},
		"no such file":  {beam.Options{Files: []string{missing}}, []string{missing, "no such file"}},
		"bad setting":   {beam.Options{Settings: map[string]string{"poll": "never"}}, []string{"setting poll must be an integer from 0, not never"}},
		"bad socket":    {beam.Options{Socket: "/nonexistent/dir/s"}, []string{"/nonexistent/dir/s"}},
		"dies":          {beam.Options{Erl: fakeErl(t, "exit 3")}, []string{"exit status 3"}},
		"killed":        {beam.Options{Erl: fakeErl(t, "kill -9 $$")}, []string{"signal: killed"}},
		"says nonsense": {beam.Options{Erl: fakeErl(t, "echo hello >&3; exec sleep 100")}, []string{`"hello\n"`}},
		"several lines": {beam.Options{Erl: fakeErl(t, `printf 'error a\\nb\n' >&3; exit 1`)}, []string{"a\nb"}},
	} {
		t.Run(name, func(t *testing.T) {
			defer beam.SetStopLimit(200 * time.Millisecond)()
			if test.options.Erl == "" {
				beam.SetStopLimit(5 * time.Second)
			}
			test.options.AppDir = app
			_, err := beam.Start(context.Background(), test.options)
			var e *beam.StartError
			if !errors.As(err, &e) {
				t.Errorf("Start: %T", err)
			}
			contains(t, err, test.want...)
		})
	}
}

func TestStartNoErlang(t *testing.T) {
	for _, erl := range []string{"no-such-erl", "/nonexistent/erl"} {
		_, err := beam.Start(context.Background(), beam.Options{Erl: erl, AppDir: "x"})
		if !errors.Is(err, beam.ErrNoErlang) {
			t.Errorf("%s: %v", erl, err)
		}
		contains(t, err, erl, "apt install erlang")
	}
	t.Setenv("PATH", t.TempDir())
	if _, err := beam.Start(context.Background(), beam.Options{AppDir: "x"}); !errors.Is(err, beam.ErrNoErlang) {
		t.Errorf("no erl on the PATH: %v", err)
	}
}
