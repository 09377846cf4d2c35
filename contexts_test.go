package erlpy_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/erlpy/erlpy"
)

// oneContext runs body with a single Python thread for calls: a lost one is missed by the next
// call.
func oneContext(t *testing.T, body func(t *testing.T, rt *erlpy.Runtime)) {
	t.Helper()
	withOptions(t, erlpy.Options{MaxContexts: 1}, body)
}

// begin starts a call with a context of its own, and returns once its Python code has called
// erlang.begun(). end ends the context and waits for the call to return.
func begin(t *testing.T, rt *erlpy.Runtime, call func(ctx context.Context) error) (end func() error) {
	t.Helper()
	begun := make(chan struct{})
	if err := rt.Register("begun", func() { close(begun) }); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan error, 1)
	go func() { result <- call(ctx) }()
	select {
	case <-begun:
	case err := <-result:
		t.Fatalf("it has not begun: %v\n%s", err, traceback(err))
	}
	return func() error { cancel(); return <-result }
}

// interrupted begins code, ends its context, and checks the caller's error.
func interrupted(t *testing.T, rt *erlpy.Runtime, code string) {
	t.Helper()
	end := begin(t, rt, func(ctx context.Context) error { return rt.Exec(ctx, code) })
	if err := end(); !errors.Is(err, context.Canceled) {
		t.Errorf("Exec: %v, want context.Canceled", err)
	}
}

// works makes a call.
func works(t *testing.T, rt *erlpy.Runtime) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if v, err := rt.Eval(ctx, "6 * 7", nil); err != nil || v != 42 {
		t.Fatalf("the next call: %v, %v", v, err)
	}
}

func evalIs(t *testing.T, rt *erlpy.Runtime, code string, want any) {
	t.Helper()
	if got, err := rt.Eval(t.Context(), code, nil); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%s = %v, %v; want %v", code, got, err, want)
	}
}

// In any kind of wait the code ends, and its thread is free for the next call.
func TestContextEndsCode(t *testing.T) {
	oneContext(t, func(t *testing.T, rt *erlpy.Runtime) {
		for name, fn := range map[string]any{
			"waits":  func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() },
			"deaf":   func(context.Context) { select {} },
			"python": func(ctx context.Context, code string) error { return rt.Exec(ctx, code) },
		} {
			if err := rt.Register(name, fn); err != nil {
				t.Fatal(err)
			}
		}
		must(t, rt, "import erlang, asyncio, time")
		for _, code := range []string{
			"while True: pass",
			"while True: time.sleep(0.001)",
			"erlang.waits()",
			"erlang.deaf()",
			"erlang.deaf(timeout=3600)",
			"erlang.submit('deaf').result()",
			"asyncio.run(erlang.async_call('deaf'))",
			"list(erlang.map('deaf', [1]))",
			"erlang.python('while True: pass')",
			"erlang.call('python', 'while True: pass', timeout=3600)",
			"erlang.python('erlang.python(\"erlang.deaf()\")')",
			"erlang.python('erlang.submit(\"deaf\").result()')",
		} {
			interrupted(t, rt, "erlang.begun()\n"+code)
			works(t, rt)
		}
	})
}

// After more contexts than threads have ended at once, the next call works.
func TestContextsEndTogether(t *testing.T) {
	withOptions(t, erlpy.Options{MaxContexts: 8}, func(t *testing.T, rt *erlpy.Runtime) {
		waits := make(chan struct{}, 100)
		if err := rt.Register("waits", func(ctx context.Context) { waits <- struct{}{}; <-ctx.Done() }); err != nil {
			t.Fatal(err)
		}
		must(t, rt, "import erlang")
		before := runtime.NumGoroutine()
		for range 5 {
			ctx, cancel := context.WithCancel(t.Context())
			result := make(chan error)
			for range 20 {
				go func() { result <- rt.Exec(ctx, "while True: erlang.waits()") }()
			}
			for range 8 {
				<-waits
			}
			cancel()
			for range 20 {
				if err := <-result; !errors.Is(err, context.Canceled) {
					t.Errorf("Exec: %v, want context.Canceled", err)
				}
			}
			works(t, rt)
		}
		for runtime.NumGoroutine() > before+8 { // one for each thread; those of calls and interrupts end
			time.Sleep(time.Millisecond)
		}
	})
}

type key struct{}

// A Go function's context is one of its caller's: it has its values and its deadline, and ends
// with it.
func TestFunctionsContext(t *testing.T) {
	oneContext(t, func(t *testing.T, rt *erlpy.Runtime) {
		type seen struct {
			value    any
			deadline time.Time
			err      error
		}
		got := make(chan seen, 1)
		if err := rt.Register("look", func(ctx context.Context) {
			at, _ := ctx.Deadline()
			<-ctx.Done()
			got <- seen{ctx.Value(key{}), at, ctx.Err()}
		}); err != nil {
			t.Fatal(err)
		}
		must(t, rt, "import erlang")
		for _, code := range []string{"erlang.look()", "erlang.look(timeout=3600)"} {
			ctx, cancel := context.WithTimeout(context.WithValue(t.Context(), key{}, "mine"), 50*time.Millisecond)
			if err := rt.Exec(ctx, code); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("Exec: %v", err)
			}
			at, _ := ctx.Deadline()
			if s := <-got; s.value != "mine" || !s.deadline.Equal(at) || !errors.Is(s.err, context.DeadlineExceeded) {
				t.Errorf("%s: the function saw %+v, want the caller's value and deadline %v", code, s, at)
			}
			cancel()
		}
	})
}

// An ended context begins nothing.
func TestContextThatHasEnded(t *testing.T) {
	oneContext(t, func(t *testing.T, rt *erlpy.Runtime) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		must(t, rt, "ran = 0")
		for range 50 {
			if err := rt.Exec(ctx, "ran += 1"); !errors.Is(err, context.Canceled) {
				t.Fatalf("Exec: %v", err)
			}
		}
		evalIs(t, rt, "ran", 0)
		// Nor does the context of a cancelled function.
		within := make(chan error, 1)
		begun := make(chan struct{})
		if err := rt.Register("go_on", func(ctx context.Context) {
			close(begun)
			<-ctx.Done()
			within <- rt.Exec(ctx, "ran += 1")
		}); err != nil {
			t.Fatal(err)
		}
		ctx, cancel = context.WithCancel(t.Context())
		go func() { <-begun; cancel() }()
		if err := rt.Exec(ctx, "import erlang\nerlang.go_on()"); !errors.Is(err, context.Canceled) {
			t.Errorf("Exec: %v", err)
		}
		if err := <-within; !errors.Is(err, context.Canceled) {
			t.Errorf("Exec within the function: %v", err)
		}
		evalIs(t, rt, "ran", 0)
	})
}

// A context made within a Go function ends the code run with it, and nothing around.
func TestContextWithinACall(t *testing.T) {
	oneContext(t, func(t *testing.T, rt *erlpy.Runtime) {
		if err := rt.Register("briefly", func(ctx context.Context, code string) (string, error) {
			ctx, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
			defer cancel()
			err := rt.Exec(ctx, code)
			return fmt.Sprint(err), nil
		}); err != nil {
			t.Fatal(err)
		}
		must(t, rt, `
import erlang, threading
def forever():
    while True: pass
def both():
    assert erlang.briefly('forever()') == 'context deadline exceeded'
    assert erlang.briefly('assert erlang.briefly("forever()") == "context deadline exceeded"\nforever()') == 'context deadline exceeded'
    assert erlang.briefly('pass') == '<nil>'
    return 'on'
assert both() == 'on'
# A plain thread has no call around.
seen = []
thread = threading.Thread(target=lambda: seen.append(both()))
thread.start()
thread.join()
assert seen == ['on']`)
	})
}

// An interrupt caught by the code is repeated.
func TestCodeCatchesInterrupts(t *testing.T) {
	oneContext(t, func(t *testing.T, rt *erlpy.Runtime) {
		must(t, rt, `
import erlang
caught = 0
def stubborn(n):
    global caught
    while caught < n:
        try:
            if caught == 0: erlang.begun()
            while True: pass
        except erlang.Interrupted: caught += 1
    while True: abs(n)`) // not `pass`: Python 3.12.1 merges two equal loops
		interrupted(t, rt, "stubborn(2)")
		evalIs(t, rt, "caught", 2)
		// So it is around a call with a catch-all.
		if err := rt.Register("python", func(ctx context.Context, code string) error { return rt.Exec(ctx, code) }); err != nil {
			t.Fatal(err)
		}
		interrupted(t, rt, `
def catches():
    try:
        erlang.begun()
        while True: pass
    except BaseException: pass
try: erlang.python('catches()')
except Exception: pass
while True: pass`)
		works(t, rt)
	})
}

// An interrupt at the end of its call hits neither the next call nor the one around.
func TestInterruptsHitNoOtherCall(t *testing.T) {
	oneContext(t, func(t *testing.T, rt *erlpy.Runtime) {
		if err := rt.Register("within", func(ctx context.Context, n int) error {
			ctx, cancel := context.WithCancel(ctx)
			time.AfterFunc(time.Duration(rand.N(2*n+1))*time.Microsecond, cancel)
			if err := rt.Exec(ctx, fmt.Sprintf("spin(%d)", n)); err != nil && !errors.Is(err, context.Canceled) {
				return err
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		must(t, rt, `
import erlang, time
def spin(us):
    end = time.perf_counter() + us / 1e6
    while time.perf_counter() < end: pass
def around(us):
    spin(10)
    erlang.within(us)
    spin(10)
    erlang.within(us)
    return 'whole'`)
		began := time.Now()
		rounds := 0
		for ; rounds < 4000 && time.Since(began) < 10*time.Second; rounds++ {
			us := rand.N(300)
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(time.Duration(rand.N(2*us+200))*time.Microsecond, cancel)
			if err := rt.Exec(ctx, fmt.Sprintf("spin(%d)", us)); err != nil && !errors.Is(err, context.Canceled) {
				t.Fatalf("round %d: %v\n%s", rounds, err, traceback(err))
			}
			if v, err := rt.Call(t.Context(), "__main__", "around", us); err != nil || v != "whole" {
				t.Fatalf("round %d: the next call, or one around, was hit: %v, %v\n%s", rounds, v, err, traceback(err))
			}
			cancel()
		}
		t.Logf("%d rounds", rounds)
	})
}

// hang begins a call in a Go function without a context, beyond the reach of interrupts. end is as
// in begin.
func hang(t *testing.T, rt *erlpy.Runtime, call func(ctx context.Context) error) (end func() error, release func()) {
	t.Helper()
	begun, released := make(chan struct{}), make(chan struct{})
	if err := rt.Register("hang", func() { close(begun); <-released }); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan error, 1)
	go func() { result <- call(ctx) }()
	<-begun
	return func() error { cancel(); return <-result }, func() { close(released) }
}

// A thread beyond the reach of interrupts is replaced after a while, up to MaxContexts times; then
// callers are told. When it comes back it serves again.
func TestCodeThatCannotBeInterrupted(t *testing.T) {
	oneContext(t, func(t *testing.T, rt *erlpy.Runtime) {
		rt.SetGrace(200 * time.Millisecond)
		must(t, rt, "import erlang, threading")
		code := func(ctx context.Context) error { return rt.Exec(ctx, "erlang.hang()") }
		end, releaseFirst := hang(t, rt, code)
		if err := end(); !errors.Is(err, context.Canceled) {
			t.Errorf("Exec: %v, want context.Canceled", err)
		}
		works(t, rt)
		end, releaseSecond := hang(t, rt, code)
		_ = end()
		// This call waits for a thread, and is told of the end of all hope.
		if err := rt.Exec(t.Context(), "pass"); !errors.Is(err, erlpy.ErrBusy) || !strings.Contains(err.Error(), "MaxContexts 1") {
			t.Fatalf("Exec: %v, want ErrBusy", err)
		}
		if err := rt.Exec(t.Context(), "pass"); !errors.Is(err, erlpy.ErrBusy) {
			t.Fatalf("Exec: %v, want ErrBusy", err)
		}
		releaseSecond()
		for err := erlpy.ErrBusy; errors.Is(err, erlpy.ErrBusy); { // until the thread is back
			err = rt.Exec(t.Context(), "pass")
		}
		releaseFirst()
		works(t, rt)
		must(t, rt, `
import time
while sum(t.name == 'erlang-context' for t in threading.enumerate()) > 1: time.sleep(0.001)`)
		// A wait in C is such code too.
		must(t, rt, "lock = threading.Lock()\nlock.acquire()")
		interrupted(t, rt, "erlang.begun()\nlock.acquire()")
		works(t, rt)
		must(t, rt, "lock.release()")
	})
}

func script(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "script.py")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// RunFile is interrupted on Python's main thread. While that hangs, further calls fail.
func TestRunFileContext(t *testing.T) {
	oneContext(t, func(t *testing.T, rt *erlpy.Runtime) {
		rt.SetGrace(200 * time.Millisecond)
		next := script(t, "done = True")
		if err := rt.Register("deaf", func(context.Context) { select {} }); err != nil {
			t.Fatal(err)
		}
		for _, code := range []string{"while True: pass", "erlang.deaf()", "erlang.submit('deaf').result()"} {
			path := script(t, `
import erlang
try:
    erlang.begun()
    `+code+`
except KeyboardInterrupt as e:
    how = type(e).__name__
    raise`)
			end := begin(t, rt, func(ctx context.Context) error { return rt.RunFile(ctx, path) })
			if err := end(); !errors.Is(err, context.Canceled) {
				t.Errorf("RunFile: %v", err)
			}
			if err := rt.RunFile(t.Context(), next); err != nil {
				t.Errorf("the next RunFile: %v", err)
			}
			evalIs(t, rt, "how", "Interrupted")
		}
		path := script(t, "import erlang; erlang.hang()")
		end, release := hang(t, rt, func(ctx context.Context) error { return rt.RunFile(ctx, path) })
		_ = end()
		for range 2 {
			if err := rt.RunFile(t.Context(), next); !errors.Is(err, erlpy.ErrBusy) || !strings.Contains(err.Error(), "main thread") {
				t.Errorf("RunFile when the main thread hangs: %v", err)
			}
		}
		works(t, rt)
		release()
		for err := erlpy.ErrBusy; errors.Is(err, erlpy.ErrBusy); {
			err = rt.RunFile(t.Context(), next)
		}
	})
}

// Close interrupts running code.
func TestCloseInterrupts(t *testing.T) {
	withRuntime(t, func(t *testing.T, rt *erlpy.Runtime) {
		path := script(t, "import erlang\ntry:\n  erlang.begun()\n  while True: pass\nfinally: erlang.told()")
		told := make(chan struct{}, 1)
		if err := rt.Register("told", func() { told <- struct{}{} }); err != nil {
			t.Fatal(err)
		}
		result := make(chan error, 2)
		cast := make(chan struct{})
		if err := rt.Register("cast", func(ctx context.Context) { <-ctx.Done(); close(cast) }); err != nil {
			t.Fatal(err)
		}
		begin(t, rt, func(context.Context) error {
			result <- rt.Exec(context.Background(), "import erlang\nerlang.cast('cast')\nerlang.begun()\nwhile True: pass")
			return nil
		})
		begin(t, rt, func(context.Context) error { result <- rt.RunFile(context.Background(), path); return nil })
		if err := rt.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		for range 2 {
			if err := <-result; !errors.Is(err, erlpy.ErrClosed) {
				t.Errorf("what ran was told %v, want ErrClosed", err)
			}
		}
		<-told // its clean-up could still call
		<-cast
	})
}

func TestCloseOfWhatHangs(t *testing.T) {
	for name, run := range map[string]func(rt *erlpy.Runtime, path string) error{
		"main": func(rt *erlpy.Runtime, path string) error { return rt.RunFile(context.Background(), path) },
		"other": func(rt *erlpy.Runtime, _ string) error {
			return rt.Exec(context.Background(), "import erlang; erlang.hang()")
		},
	} {
		t.Run(name, func(t *testing.T) {
			isolated(t, func(t *testing.T) {
				rt, err := erlpy.Start(t.Context(), erlpy.Options{Python: os.Getenv("ERLPY_TEST_PYTHON")})
				if err != nil {
					t.Fatal(err)
				}
				rt.SetGrace(200 * time.Millisecond)
				path := script(t, "import erlang; erlang.hang()")
				result := make(chan error, 1)
				hang(t, rt, func(context.Context) error { result <- run(rt, path); return nil })
				switch err := rt.Close(); {
				case name == "main" && (!errors.Is(err, erlpy.ErrNotEnded) || !strings.Contains(err.Error(), "main thread")):
					t.Errorf("Close: %v, want ErrNotEnded", err)
				case name == "other" && err != nil && !errors.Is(err, erlpy.ErrNotEnded):
					t.Errorf("Close: %v", err)
				}
				if err := <-result; !errors.Is(err, erlpy.ErrClosed) {
					t.Errorf("what hangs was told %v, want ErrClosed", err)
				}
				_ = rt.Close()
				if err := rt.Exec(t.Context(), "pass"); !errors.Is(err, erlpy.ErrClosed) {
					t.Errorf("Exec: %v, want ErrClosed", err)
				}
			})
		})
	}
}

// An interrupt during Thread.start goes to the caller. Before, it could kill the new thread, and
// the caller waited for ever.
func TestInterruptWhileAThreadStarts(t *testing.T) {
	oneContext(t, func(t *testing.T, rt *erlpy.Runtime) {
		rt.SetGrace(time.Minute)
		must(t, rt, `
import erlang, sys, threading
lost = []
sys.unraisablehook = lost.append
def start():
    while True: threading.Thread(target=int).start()`)
		for range 100 {
			interrupted(t, rt, "erlang.begun()\nstart()")
			works(t, rt)
		}
		evalIs(t, rt, "[str(x) for x in lost]", []any{})
	})
}

// The node's functions end too, in any kind of wait for them.
func TestContextEndsNodesCalls(t *testing.T) {
	isolated(t, func(t *testing.T) {
		socket := filepath.Join(t.TempDir(), "s")
		startNode(t, socket)
		rt, err := erlpy.Start(t.Context(), erlpy.Options{BEAM: socket, MaxContexts: 2}) // one to ask with
		if err != nil {
			t.Fatal(err)
		}
		defer rt.Close()
		rt.SetGrace(time.Minute)
		must(t, rt, "import erlang, time\ndef until(name, fate):\n  while erlang.call('fate', name) != fate: time.sleep(0.001)")
		for name, code := range map[string]string{
			"plain":     "erlang.call('hang', 'plain')",
			"timed":     "erlang.call('hang', 'timed', timeout=3600)",
			"submitted": "erlang.submit('hang', 'submitted').result()",
			"mapped":    "list(erlang.map('hang', ['mapped']))",
		} {
			ctx, cancel := context.WithCancel(t.Context())
			result := make(chan error, 1)
			go func() { result <- rt.Exec(ctx, code) }()
			must(t, rt, fmt.Sprintf("until(%q, 'running')", name))
			cancel()
			if err := <-result; !errors.Is(err, context.Canceled) {
				t.Errorf("%s: %v, want context.Canceled", name, err)
			}
			must(t, rt, fmt.Sprintf("until(%q, 'ended')", name))
		}
		works(t, rt)
	})
}
