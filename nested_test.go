package erlpy_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/erlpy/erlpy"
)

// What a Go function calls with its own context runs on the very Python thread that called the function, to any depth.
func TestNestedOnTheSameThread(t *testing.T) {
	withRuntime(t, func(t *testing.T, rt *erlpy.Runtime) {
		if err := rt.Register("down", func(ctx context.Context, n int) (any, error) {
			return rt.Call(ctx, "__main__", "down", n)
		}); err != nil {
			t.Fatal(err)
		}
		must(t, rt, `
import erlang, threading
local = threading.local()
def down(n):
    assert local.mine == 'here'
    return 0 if n == 0 else 1 + erlang.down(n - 1)
local.mine = 'here'
assert down(90) == 90
threads = []
def run():
    local.mine = 'here'
    threads.append(down(5))
for t in [threading.Thread(target=run) for _ in range(8)]:
    t.start()
    t.join()
assert threads == [5] * 8`)
		err := rt.Exec(t.Context(), "down(101)")
		var e *erlpy.PythonError
		if !errors.As(err, &e) || e.Type != "CallError" && e.Type != "ValueError" {
			t.Errorf("deeper than MaxNesting: %v", err)
		}
		must(t, rt, "assert down(3) == 3")
	})
}

// Calls without the caller's context take other threads. When there are no more, that is an error and not a deadlock.
func TestEveryContextWaits(t *testing.T) {
	isolated(t, func(t *testing.T) {
		rt, err := erlpy.Start(t.Context(), erlpy.Options{MaxContexts: 5})
		if err != nil {
			t.Fatal(err)
		}
		defer rt.Close()
		rt.SetGrace(200 * time.Millisecond)
		if err := rt.Register("other", func() error {
			return rt.Exec(context.Background(), "erlang.other()")
		}); err != nil {
			t.Fatal(err)
		}
		err = rt.Exec(t.Context(), "import erlang\nerlang.other()")
		var e *erlpy.PythonError
		if !errors.As(err, &e) || e.Type != "CallError" || e.Message == "" {
			t.Errorf("got %v, want a CallError that names MaxContexts", err)
		}
		must(t, rt, "1")
	})
}

// Slow functions are no deadlock: with every thread in one, a call waits.
func TestSlowFunctionsInEveryContext(t *testing.T) {
	withOptions(t, erlpy.Options{MaxContexts: 2}, func(t *testing.T, rt *erlpy.Runtime) {
		inside, leave := make(chan struct{}, 2), make(chan struct{})
		if err := rt.Register("slow", func() { inside <- struct{}{}; <-leave }); err != nil {
			t.Fatal(err)
		}
		var callers sync.WaitGroup
		exec := func(code string) {
			callers.Add(1)
			go func() {
				defer callers.Done()
				if err := rt.Exec(t.Context(), code); err != nil {
					t.Errorf("%s: %v", code, err)
				}
			}()
		}
		exec("import erlang; erlang.slow()")
		exec("import erlang; erlang.slow()")
		<-inside
		<-inside
		exec("pass")
		for rt.Waiting() == 0 {
			time.Sleep(time.Millisecond)
		}
		close(leave)
		callers.Wait()
	})
}

// A context that is quick, or waits for the GIL, waits for no function: its turn will come.
func TestQuickFunctionsInEveryContext(t *testing.T) {
	isolated(t, func(t *testing.T) {
		rt, err := erlpy.Start(t.Context(), erlpy.Options{MaxContexts: 2})
		if err != nil {
			t.Fatal(err)
		}
		defer rt.Close()
		if err := rt.Register("double", func(x int) int { return 2 * x }); err != nil {
			t.Fatal(err)
		}
		must(t, rt, `
import erlang
def many():
    for i in range(200): erlang.call('double', i)`)
		var callers sync.WaitGroup
		for range 8 {
			callers.Add(1)
			go func() {
				defer callers.Done()
				for range 100 {
					if _, err := rt.Call(t.Context(), "__main__", "many"); err != nil {
						t.Errorf("many: %v", err)
						return
					}
				}
			}()
		}
		callers.Wait()
	})
}

// A call with a timeout raises on time; its function's context is cancelled; a late result is nobody's.
func TestTimeoutCancelsGoFunction(t *testing.T) {
	withRuntime(t, func(t *testing.T, rt *erlpy.Runtime) {
		cancelled, release := make(chan struct{}, 1), make(chan struct{})
		for name, fn := range map[string]any{
			"waits": func(ctx context.Context) error { <-ctx.Done(); cancelled <- struct{}{}; return ctx.Err() },
			"deaf":  func() string { <-release; return "late" },
			"same":  func(x int) int { return x },
		} {
			if err := rt.Register(name, fn); err != nil {
				t.Fatal(err)
			}
		}
		for _, name := range []string{"waits", "deaf"} {
			must(t, rt, fmt.Sprintf(`
import erlang
try: erlang.%s(timeout=0.05)
except erlang.Timeout: pass
else: raise AssertionError('no Timeout')
assert [erlang.same(n) for n in range(100)] == list(range(100))`, name))
		}
		<-cancelled
		close(release)
		must(t, rt, "assert erlang.same(7, timeout=10) == 7")
	})
}

// A goroutine that outlives the call of its function finds that the thread has gone on.
func TestContextOfACallThatIsOver(t *testing.T) {
	withRuntime(t, func(t *testing.T, rt *erlpy.Runtime) {
		kept := make(chan context.Context, 1)
		if err := rt.Register("keep", func(ctx context.Context) { kept <- ctx }); err != nil {
			t.Fatal(err)
		}
		must(t, rt, "import erlang\nerlang.keep()")
		ctx := <-kept
		if _, err := rt.Eval(ctx, "1", nil); !errors.Is(err, context.Canceled) {
			t.Errorf("Eval with the context of a call that is over: %v, want context.Canceled", err)
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		if v, err := rt.Eval(ctx, "1", nil); err != nil || v != 1 {
			t.Errorf("on another thread: %v, %v", v, err)
		}
	})
}
