// Package beam starts an Erlang node for the length of a program, with the functions of some Erlang files registered on
// it, and ends it again.
//
// The node and this side share a socket pair, which the node has as descriptor 3 and py_run on it speaks. The node says
// there when it is ready, or why it cannot be; end of file tells it to halt. As the kernel closes the descriptors of a
// process however that ends, no node outlives its program, even one that was killed.
package beam

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

const startLimit = time.Minute

var stopLimit = 5 * time.Second // a test has less time

// Options say what the node is to be.
type Options struct {
	Files  []string  // Erlang source files
	Erl    string    // the program that starts a node; "" is erl on the PATH
	AppDir string    // of the OTP application: holds ebin; "" is the one that FindApp finds
	Stdout io.Writer // of the node; nil discards. An *os.File is handed to it, anything else is copied to
	Stderr io.Writer
	Socket string // where the node is to listen; "" is a place in a temporary directory of its own

	// Settings of the application, by name, each an Erlang term: "poll": "0". Without hosts among them the node starts no Python.
	Settings map[string]string

	// NoSpin has the node's schedulers sleep as soon as they find nothing to do.
	NoSpin bool
}

// StartError is why a node did not become ready, in its own words: for a file that does not compile, those of the
// compiler.
type StartError struct{ Text string }

// Error gives the text.
func (e *StartError) Error() string { return e.Text }

// Start starts a node, and returns when it listens and has registered the exported functions of one argument of all
// files. ctx is for the start alone, which may take a minute; the node runs until Stop.
//
// The node has a process group of its own, so that Ctrl-C reaches the Python program and not the node that it may need
// to clean up.
//
// Errors: ErrNoErlang, ErrNoApp, *StartError, those of ctx, and of the operating system.
func Start(ctx context.Context, o Options) (_ *Node, err error) {
	erl, err := FindErl(o.Erl)
	if err != nil {
		return nil, err
	}
	app := o.AppDir
	if app == "" {
		if app, err = FindApp(ctx, erl); err != nil {
			return nil, err
		}
	}
	n := &Node{socket: o.Socket, ended: make(chan struct{})}
	if n.socket == "" {
		if n.dir, err = privateDir(); err != nil {
			return nil, err
		}
		n.socket = filepath.Join(n.dir, "s")
	}
	ours, theirs, err := socketPair()
	if err != nil {
		n.clean()
		return nil, err
	}
	n.line = ours
	n.cmd = exec.Command(erl, arguments(o, app, n)...)
	n.cmd.Stdout, n.cmd.Stderr = o.Stdout, o.Stderr
	n.cmd.ExtraFiles = []*os.File{theirs}
	n.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	n.cmd.WaitDelay = time.Second // what the node started may hold its output
	err = n.cmd.Start()
	theirs.Close()
	if err != nil {
		ours.Close()
		n.clean()
		return nil, fmt.Errorf("%s: %w", erl, err)
	}
	go n.wait()
	if err := n.ready(ctx); err != nil {
		n.abandon(err)
		return nil, err
	}
	return n, nil
}

// spin says how long schedulers that have nothing to do look for work before they sleep: some microseconds, and not as long as is usual, as what they
// take is the Python program's, on the same cores.
func spin(o Options) []string {
	span := "very_short"
	if o.NoSpin {
		span = "none"
	}
	return []string{"+sbwt", span, "+sbwtdcpu", span, "+sbwtdio", span}
}

// arguments is the node's command line.
func arguments(o Options, app string, n *Node) []string {
	args := []string{"-noshell", "-boot", "no_dot_erlang", "-kernel", "logger", logToStderr, "-pa", filepath.Join(app, "ebin")}
	args = append(args, spin(o)...)
	for _, name := range slices.Sorted(maps.Keys(o.Settings)) {
		args = append(args, "-"+appName, name, o.Settings[name])
	}
	if n.dir != "" {
		args = append(args, "-erlpy_directory", n.dir) // removed by the node if this program is killed
	}
	return append(append(args, "-s", "py_run", "main", "-extra", n.socket), o.Files...)
}

// logToStderr keeps the node's log out of the standard output, which is the script's.
const logToStderr = "[{handler, default, logger_std_h, #{config => #{type => standard_error}}}]"

// ready hears what the node says.
func (n *Node) ready(ctx context.Context) error {
	limited, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	forget := context.AfterFunc(limited, func() { n.line.SetReadDeadline(time.Unix(1, 0)) })
	defer forget()
	line, err := bufio.NewReader(n.line).ReadString('\n')
	if err != nil {
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, os.ErrDeadlineExceeded):
			return &StartError{Text: fmt.Sprintf("the node was not ready within %v", startLimit)}
		}
		return &StartError{Text: "the node ended before it was ready: " + n.lastWords()}
	}
	word, rest, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
	switch word {
	case "ready":
		n.registered = strings.Fields(rest)
		return nil
	case "error":
		return &StartError{Text: strings.ReplaceAll(rest, `\n`, "\n")}
	}
	return &StartError{Text: fmt.Sprintf("the node said %q: its application erlang_python is of another version", line)}
}

// privateDir makes a directory for the socket that only this user may enter. The path of a socket is short.
func privateDir() (string, error) {
	const spare = len("/erlpy-0123456789/s")
	base := os.Getenv("XDG_RUNTIME_DIR")
	if info, err := os.Stat(base); err != nil || !info.IsDir() || len(base)+spare > 100 {
		base = "/tmp"
	}
	dir, err := os.MkdirTemp(base, "erlpy-")
	if err != nil && base != "/tmp" { // set, but not ours
		dir, err = os.MkdirTemp("/tmp", "erlpy-")
	}
	return dir, err
}

// socketPair returns two connected ends, of which no other program inherits either unless told to.
func socketPair() (ours, theirs *os.File, err error) {
	syscall.ForkLock.RLock()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err == nil {
		syscall.CloseOnExec(fds[0])
		syscall.CloseOnExec(fds[1])
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	_ = syscall.SetNonblock(fds[0], true) // for deadlines
	return os.NewFile(uintptr(fds[0]), "node"), os.NewFile(uintptr(fds[1]), "parent"), nil
}
