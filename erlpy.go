package erlpy

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"sync"
	"time"

	"github.com/erlpy/erlpy/internal/engine"
	"github.com/erlpy/erlpy/internal/funcs"
	"github.com/erlpy/erlpy/internal/pyfind"
)

// Options of a runtime. The zero value is usable.
type Options struct {
	// Python is an executable, or the directory of a virtual environment. "" is $VIRTUAL_ENV, else python3 on the PATH.
	Python string
	// BEAM is the socket of an Erlang node that runs the application erlang_python. "" is no node. It is connected to by the
	// first call that needs it.
	BEAM string
	// MaxFrame is the largest call or result, in bytes. 0 is 64 MiB.
	MaxFrame int
	// MaxWorkers is how many Python threads may have a worker at once. 0 is 1024.
	MaxWorkers int
	// MaxContexts is how many Python threads may serve Exec, Eval and Call at once; further calls
	// wait. 0 is 64.
	MaxContexts int
	// MaxNesting is how deep calls may nest on one thread. 0 is 100.
	MaxNesting int
	// MaxAsync is how many Go functions that were called by async_call, submit or map may run at once; others wait. 0 is 1000.
	MaxAsync int
	// MaxState is the most keys in the table of erlang.state_set where there is no node. 0 is
	// 1,000,000.
	MaxState int
	// MaxSubmittedBytes bounds the bytes of calls by submit, async_call and map that are under way,
	// arguments and answers. At the bound submit blocks its thread, async_call its task, and map makes
	// one call at a time. A larger call goes alone. 0 is 64 MiB.
	MaxSubmittedBytes int
	// Poll is how often a thread looks for its answer before it sleeps. 0 is 50, negative is once.
	Poll int
}

// Runtime is the Python of this process: CPython can be started only once in one. Its methods may be called from any goroutine.
type Runtime struct {
	engine *engine.Engine
	funcs  *funcs.Registry
	once   sync.Once
	left   error         // of once
	ended  chan struct{} // closed when the interpreter has ended
}

// Start finds and starts Python on an OS thread of its own. ctx bounds the search only. It fails with ErrStarted when this process
// has started a Python before, with ErrNoPython, ErrNoLibrary or ErrUnsupported when there is none to start. The caller
// closes the runtime.
func Start(ctx context.Context, o Options) (*Runtime, error) {
	install, err := pyfind.Find(ctx, o.Python)
	if err != nil {
		return nil, err
	}
	rt := &Runtime{funcs: new(funcs.Registry), ended: make(chan struct{})}
	rt.engine, err = engine.New(engine.Options{
		Install: install, BEAM: o.BEAM, MaxFrame: o.MaxFrame, MaxWorkers: o.MaxWorkers, MaxContexts: o.MaxContexts,
		MaxNesting: o.MaxNesting, MaxAsync: o.MaxAsync, MaxSubmittedBytes: o.MaxSubmittedBytes, MaxState: o.MaxState,
		Poll: o.Poll, Funcs: rt.funcs,
	})
	if err != nil {
		return nil, err
	}
	ready := make(chan error, 1)
	go func() {
		// Never unlocked: the thread was Python's main thread, and is of no use to other goroutines.
		runtime.LockOSThread()
		defer close(rt.ended)
		rt.engine.ServeMain(func(err error) { ready <- err })
	}()
	if err := <-ready; err != nil {
		return nil, err
	}
	return rt, nil
}

// Register makes a Go function callable from Python as erlang.call(name, ...). A first parameter of
// type context.Context is not an argument: it is cancelled with the call, and a child of the ctx of
// the surrounding Exec, Eval, Call or RunFile. A last result of type error, when not nil, is raised
// as CallError. Any other parameters and results are converted as package etf says. fn runs on the
// calling Python thread, so any number of times at once; with a context or a timeout, on a
// goroutine of its own. A panic in it is raised as CallError. Without a context it must not end its
// goroutine by runtime.Goexit, as FailNow and Fatal of package testing do: this ends the program.
// With one, it is raised as CallError. A name in use is replaced. It fails if fn is no function, or
// has a type without a term.
func (rt *Runtime) Register(name string, fn any) error { return rt.engine.Register(name, fn) }

// Unregister takes a name back. Calls that run already run to their end. It fails when the name is not registered.
func (rt *Runtime) Unregister(name string) error { return rt.funcs.Unregister(name) }

// Close ends Python and waits for its end. Waiting calls, in Python or in Go, fail; the Python
// code of Exec, Eval, Call and RunFile is interrupted. Python's non-daemon threads are waited for,
// as python3 does. If code outlives its interrupt, Close returns ErrNotEnded after some seconds;
// called again, it waits again. Idempotent.
func (rt *Runtime) Close() error {
	rt.once.Do(func() { rt.left = rt.engine.Close() })
	if rt.left == nil {
		<-rt.ended
		return nil
	}
	select {
	case <-rt.ended:
		return nil
	case <-time.After(rt.engine.Grace()):
		return rt.left
	}
}

// Exec runs statements in the namespace of __main__, on some Python thread. At the end of ctx it
// returns ctx.Err() at once, and the code is interrupted; likewise Eval, Call and RunFile.
func (rt *Runtime) Exec(ctx context.Context, code string) error {
	_, err := rt.do(ctx, false, "exec", nil, code)
	return err
}

// Eval returns the value of an expression, on some Python thread. locals are names that it may use beside those of __main__.
func (rt *Runtime) Eval(ctx context.Context, code string, locals map[string]any) (any, error) {
	if locals == nil {
		locals = map[string]any{}
	}
	return rt.do(ctx, false, "eval", nil, code, locals)
}

// Call calls module.function(args...) on some Python thread; module "__main__" is what Exec and RunFile fill.
func (rt *Runtime) Call(ctx context.Context, module, function string, args ...any) (any, error) {
	if args == nil {
		args = []any{}
	}
	return rt.do(ctx, false, "call", nil, module, function, args, map[string]any{})
}

// RunFile runs a script as __main__ on Python's main thread, with sys.argv set to path and args.
// It returns when the script's main thread is done; a sys.exit of anything but 0 or None is a
// *PythonError of type SystemExit. The script's other threads go on, also at the end of ctx.
func (rt *Runtime) RunFile(ctx context.Context, path string, args ...string) error {
	if _, err := os.Stat(path); err != nil {
		return fmt.Errorf("erlpy: can't open the script: %w", err)
	}
	argv := make([]any, len(args))
	for i, a := range args {
		argv[i] = a
	}
	_, err := rt.do(ctx, true, "run", path, argv)
	return err
}

// Stats are the figures of the workers and their calls.
type Stats struct {
	Idle, Bound       int    // workers that wait for a thread, and that have one
	Retired           uint64 // workers whose connection broke or was closed
	InFlight          int    // calls from Python that wait for their answer
	Calls             uint64 // calls from Python that are done
	BytesIn, BytesOut uint64 // over the channels to the node
	Reconnects        uint64
}

// Stats returns the figures of this moment.
func (rt *Runtime) Stats() Stats {
	s := rt.engine.Stats()
	return Stats{
		Idle: s.Idle, Bound: s.Bound, Retired: s.Retired, InFlight: s.InFlight, Calls: s.Calls,
		BytesIn: s.BytesIn, BytesOut: s.BytesOut, Reconnects: s.Reconnects,
	}
}

// do runs one call of PROTOCOL.md section 4 in Python.
func (rt *Runtime) do(ctx context.Context, onMain bool, target string, args ...any) (any, error) {
	payload, failed, err := rt.engine.Do(ctx, onMain, target, args...)
	switch {
	case err != nil:
		return nil, err
	case failed:
		return nil, pythonError(payload)
	}
	return value(payload)
}
