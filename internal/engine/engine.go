// Package engine answers the shim's question "what next?": it knows the Go functions, the workers with their channels, and the
// program's own calls of Python, and turns each step of a call into one action. It neither blocks nor touches Python.
//
// # The stack of a thread
//
// Calls nest: a Python thread that waits for an Erlang function may be asked by that function to run Python, which may call again.
// Each thread's session therefore keeps a stack of what is under way, the youngest last, and every step concerns the youngest
// entry. See entry.go for the kinds.
//
// # Goroutines
//
// A Go function runs on the calling thread's own goroutine, unless it takes a context: then on one of its own, so that it can be
// cancelled, while the thread sleeps in C.
package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/erlpy/erlpy/etf"
	"github.com/erlpy/erlpy/internal/channel"
	"github.com/erlpy/erlpy/internal/cpython"
	"github.com/erlpy/erlpy/internal/funcs"
	"github.com/erlpy/erlpy/internal/pyfind"
	"github.com/erlpy/erlpy/internal/worker"
	"github.com/erlpy/erlpy/python"
)

// Defaults of Options.
const (
	DefaultMaxFrame    = 64 << 20
	DefaultPoll        = 50
	DefaultMaxContexts = 64
	DefaultMaxNesting  = 100
	DefaultMaxAsync    = 1000
	DefaultMaxState    = 1_000_000

	DefaultMaxSubmittedBytes = 64 << 20
)

// ErrClosed is returned by Do after Close.
var ErrClosed = errors.New("erlpy: the runtime is closed")

// Options of an engine. The zero value of all but Install is usable.
type Options struct {
	Install     *pyfind.Install // the Python to load
	BEAM        string          // the node's socket; "" is no node
	MaxFrame    int             // bytes; 0: DefaultMaxFrame
	MaxWorkers  int             // 0: worker.DefaultMax
	MaxContexts int             // Python threads that serve Do; 0: DefaultMaxContexts
	MaxNesting  int             // calls within calls on one thread; 0: DefaultMaxNesting
	MaxAsync    int             // submitted Go functions that run at once; 0: DefaultMaxAsync
	MaxState    int             // keys of the shared table where there is no node; 0: DefaultMaxState

	MaxSubmittedBytes int // of submitted calls and their answers; 0: DefaultMaxSubmittedBytes

	Poll  int             // tries before a wait becomes a sleep; 0: DefaultPoll, negative: none
	Funcs *funcs.Registry // nil: no Go functions
	Main  bool            // Python's main thread is the OS main thread, and Ctrl-C is Python's
}

// Engine implements cpython.Stepper. One per process.
type Engine struct {
	options      Options
	channel      *channel.Options // nil: no node
	funcs        *funcs.Registry
	pool         *worker.Pool
	sessions     sessions
	jobs         jobs
	async        async
	pipes        pipes
	asyncOptions *channel.Options // nil: no node
	state        state            // used when there is no node
	closing      atomic.Bool
	grace        time.Duration   // see DefaultGrace
	life         context.Context // ends with closing
	stop         context.CancelFunc
}

// New returns an engine that has not started Python yet: see Init.
func New(o Options) (*Engine, error) {
	if o.MaxFrame == 0 {
		o.MaxFrame = DefaultMaxFrame
	}
	if o.Poll == 0 {
		o.Poll = DefaultPoll
	}
	if o.MaxContexts == 0 {
		o.MaxContexts = DefaultMaxContexts
	}
	if o.MaxNesting == 0 {
		o.MaxNesting = DefaultMaxNesting
	}
	if o.MaxAsync == 0 {
		o.MaxAsync = DefaultMaxAsync
	}
	if o.MaxState == 0 {
		o.MaxState = DefaultMaxState
	}
	if o.MaxSubmittedBytes == 0 {
		o.MaxSubmittedBytes = DefaultMaxSubmittedBytes
	}
	for name, n := range map[string]int{
		"MaxFrame": o.MaxFrame, "MaxWorkers": o.MaxWorkers, "MaxContexts": o.MaxContexts, "MaxNesting": o.MaxNesting, "MaxAsync": o.MaxAsync,
		"MaxState": o.MaxState, "MaxSubmittedBytes": o.MaxSubmittedBytes,
	} {
		if n < 0 {
			return nil, fmt.Errorf("erlpy: %s cannot be negative: %d", name, n)
		}
	}
	e := &Engine{options: o, funcs: o.Funcs, grace: DefaultGrace}
	e.life, e.stop = context.WithCancel(context.Background())
	if e.funcs == nil {
		e.funcs = new(funcs.Registry)
	}
	if o.BEAM != "" {
		hello, err := helloPayload(etf.Atom("thread"))
		if err != nil {
			return nil, err
		}
		e.channel = e.channelOptions(hello)
		if hello, err = helloPayload(etf.Atom("async")); err != nil {
			return nil, err
		}
		e.asyncOptions = e.channelOptions(hello)
	}
	cpython.SetTurns(min(runtime.GOMAXPROCS(0), runtime.NumCPU()/2)) // each keeps a core busy, and one of the node's
	for _, name := range e.funcs.Names() {
		cpython.Claim(name)
	}
	e.async.init(o.MaxAsync, int64(o.MaxSubmittedBytes))
	e.pool = worker.NewPool(worker.Options{Channel: e.channel, Max: o.MaxWorkers})
	e.jobs.init(o.MaxContexts)
	e.state.max = o.MaxState
	return e, nil
}

func (e *Engine) channelOptions(hello []byte) *channel.Options {
	return &channel.Options{Path: e.options.BEAM, Hello: hello, MaxFrame: e.options.MaxFrame, Poll: e.options.Poll}
}

// helloPayload is what PROTOCOL.md section 3 has the connecting side say.
func helloPayload(role any) ([]byte, error) {
	info := map[any]any{etf.Atom("os_pid"): os.Getpid()}
	return etf.Marshal(etf.Tuple{etf.Atom("erlpy"), 1, role, info})
}

// Init starts Python on the calling thread, which must be locked to its goroutine.
func (e *Engine) Init() error {
	in := e.options.Install
	return cpython.Init(cpython.Config{
		Library:    in.Library,
		Executable: in.Executable,
		Version:    in.VersionText,
		Boot:       python.Boot(),
		Sources:    python.Sources(),
		Main:       e.options.Main,
		MaxFrame:   e.options.MaxFrame,
		Stepper:    e,
	})
}

// Stats are the figures of the workers, and of the calls of functions, however they are made.
type Stats struct {
	worker.Stats
	Calls    uint64 // that have ended
	Lent     uint64 // of these: without a step
	InFlight int

	SubmittedBytes, MaxSubmittedBytes int // of submitted calls under way, and their bound
	Waiting                           int // calls that wait for room below it
}

// Stats returns the figures of this moment.
func (e *Engine) Stats() Stats {
	st := Stats{Stats: e.pool.Stats()}
	e.sessions.count(&st)
	e.async.count(&st)
	e.pipes.count(&st)
	return st
}

// Register is Registry.Register for an engine that runs already.
func (e *Engine) Register(name string, fn any) error {
	if err := e.funcs.Register(name, fn); err != nil {
		return err
	}
	cpython.Claim(name)
	return nil
}

// Closing implements cpython.Stepper.
func (e *Engine) Closing() {
	e.closing.Store(true)
	e.stop()
	e.jobs.close()
	e.async.close()
	e.pipes.close()
}
