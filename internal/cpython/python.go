// Package cpython embeds CPython: it loads libpython at run time, converts between Python objects and Erlang's external term
// format, and gives Python the built-in module _erlang. It is the only room with C in it, and knows nothing of
// Erlang; what a call leads to is decided by a [Stepper]. Of sockets it knows a send and a receive, for a [Loan].
//
// # Threads
//
// [Init], [RunScript], [RunHost], [ServeMain] and [Finalize] belong to one locked OS thread, Python's main thread. Any number of Python threads
// call [Stepper.Step] at once, each with its own [Thread], without the GIL.
//
// # The step loop
//
// A Python thread that calls a function runs a loop in C: it asks Step what to do next, and does that. So a Go frame is
// never on the stack while the thread sleeps or takes the GIL. Step only computes, and does system calls that cannot block.
//
// # Lifecycle
//
// Once per process: CPython cannot be loaded twice, nor started again. [Close] may come from any thread; afterwards every
// call fails and every waiting thread is woken.
package cpython

// #cgo CFLAGS: -std=c11 -fvisibility=hidden -O2
// #cgo linux LDFLAGS: -ldl -lpthread -lm
// #include <stdlib.h>
// #include "shim.h"
import "C"

import (
	"errors"
	"strings"
	"sync/atomic"
	"unsafe"
)

// Stepper decides what each call leads to. Its methods are called on Python threads without the GIL, and must not block.
type Stepper interface {
	// Step is told what happened on t and answers what to do next, never 0.
	Step(t *Thread, e Event) Action
	// Running is the name of the Go function called by Step on the same goroutine.
	Running(t *Thread) string
	// Exit is called once at the end of a thread that has a handle. Python is already gone for that thread.
	Exit(t *Thread)
	// Closing is called once, before waiting threads are woken to fail.
	Closing()
}

var stepper Stepper

// Config says which Python to start and how.
type Config struct {
	Library    string            // path of libpython
	Executable string            // its python, as found: decides sys.prefix and with it the venv
	Version    string            // sys.version of that executable; a library that says otherwise is refused
	Boot       string            // text of boot.py
	Sources    map[string]string // module name -> text
	Main       bool              // the calling thread is the OS main thread of a command: Python takes SIGINT
	MaxFrame   int               // bytes; 0: 64 MiB
	Stepper    Stepper
}

// ErrStarted is returned by a second Init in one process.
var ErrStarted = errors.New("erlpy: Python has been started in this process already, and it cannot be started twice")

var started atomic.Bool

// Init starts Python on the calling OS thread, which must be locked and becomes Python's main thread. Once per process.
func Init(c Config) error {
	if !started.CompareAndSwap(false, true) {
		return ErrStarted
	}
	stepper = c.Stepper
	C.erlpy_limits(C.size_t(c.MaxFrame), 0)
	var keep []unsafe.Pointer
	defer func() {
		for _, p := range keep {
			C.free(p)
		}
	}()
	str := func(s string) *C.char {
		p := C.CString(s)
		keep = append(keep, unsafe.Pointer(p))
		return p
	}
	array := func(n int) []*C.char {
		p := C.calloc(C.size_t(n+1), C.size_t(unsafe.Sizeof((*C.char)(nil))))
		keep = append(keep, p)
		return unsafe.Slice((**C.char)(p), n)
	}
	names, texts := array(len(c.Sources)), array(len(c.Sources))
	i := 0
	for name, text := range c.Sources {
		names[i], texts[i] = str(name), str(text)
		i++
	}
	config := C.erlpy_config{
		library: str(c.Library), executable: str(c.Executable), version: str(c.Version), boot: str(c.Boot),
		names: unsafe.SliceData(names), texts: unsafe.SliceData(texts), sources: C.int(len(c.Sources)),
	}
	if c.Main {
		config.main = 1
	}
	var message [2048]C.char
	if C.erlpy_init(&config, &message[0], C.size_t(len(message))) != 0 {
		return errors.New("erlpy: " + C.GoString(&message[0]))
	}
	return nil
}

// RunScript runs a Python file as the main program and returns its exit status. On the thread of Init.
func RunScript(path string, args []string) int {
	argv := (**C.char)(C.calloc(C.size_t(len(args)+1), C.size_t(unsafe.Sizeof((*C.char)(nil)))))
	defer C.free(unsafe.Pointer(argv))
	for i, a := range args {
		s := C.CString(a)
		defer C.free(unsafe.Pointer(s))
		unsafe.Slice(argv, len(args))[i] = s
	}
	return run("erlang._main", "run_script", path, len(args), argv)
}

// RunHost serves the node that gave out token, until it is gone, and returns the exit status. On the thread of Init.
func RunHost(token string) int { return run("erlang._serve", "run_host", token, -1, nil) }

func run(module, function, arg string, argc int, argv **C.char) int {
	m, f, a := C.CString(module), C.CString(function), C.CString(arg)
	defer C.free(unsafe.Pointer(m))
	defer C.free(unsafe.Pointer(f))
	defer C.free(unsafe.Pointer(a))
	return int(C.erlpy_run(m, f, a, C.int(argc), argv))
}

// ServeMain serves calls on the thread of Init, in the given role, until its channel or the program ends. What it fails with is printed; it
// then returns 1.
func ServeMain(role, token string) int {
	crole, ctoken := C.CString(role), C.CString(token)
	defer C.free(unsafe.Pointer(crole))
	defer C.free(unsafe.Pointer(ctoken))
	return int(C.erlpy_serve_main(crole, ctoken))
}

// Finalize closes, and ends the interpreter; it waits for Python threads that are not daemons. On the thread of Init.
func Finalize() int { return int(C.erlpy_finalize()) }

// Close makes every call fail from now on and wakes every waiting thread. Any thread; idempotent.
func Close() { C.erlpy_close() }

// Version is the loaded library's X.Y.Z.
func Version() string {
	v, _, _ := strings.Cut(C.GoString(C.erlpy_version()), " ")
	return v
}
