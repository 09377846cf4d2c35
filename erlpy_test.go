package erlpy_test

import (
	"context"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/erlpy/erlpy"
	"github.com/erlpy/erlpy/etf"
)

func traceback(err error) string {
	var e *erlpy.PythonError
	if errors.As(err, &e) {
		return strings.Join(e.Traceback, "\n")
	}
	return ""
}

func TestEval(t *testing.T) {
	withRuntime(t, func(t *testing.T, rt *erlpy.Runtime) {
		huge, _ := new(big.Int).SetString("1"+strings.Repeat("0", 100), 10)
		for _, c := range []struct {
			code   string
			locals map[string]any
			want   any
		}{
			{"x * y", map[string]any{"x": 6, "y": 7}, 42},
			{"10 ** 100", nil, huge},
			{"[1, 2.5, 'ž', None, True]", nil, []any{1, 2.5, "ž", nil, true}},
			{"(1, b'\\xff')", nil, etf.Tuple{1, []byte{0xff}}},
			{"{'a': {'b': x}}", map[string]any{"x": []int{1}}, map[string]any{"a": map[string]any{"b": []any{1}}}},
			{"[n for n in range(k)]", map[string]any{"k": 3}, []any{0, 1, 2}},
		} {
			got, err := rt.Eval(t.Context(), c.code, c.locals)
			if err != nil || !reflect.DeepEqual(got, c.want) {
				t.Errorf("Eval(%q) = %#v, %v; want %#v", c.code, got, err, c.want)
			}
		}
	})
}

func TestExecFillsMain(t *testing.T) {
	withRuntime(t, func(t *testing.T, rt *erlpy.Runtime) {
		must(t, rt, "def f(a, b=2): return a + b")
		got, err := rt.Call(t.Context(), "__main__", "f", 40)
		if err != nil || got != 42 {
			t.Errorf("Call = %v, %v; want 42", got, err)
		}
		if got, err := rt.Call(t.Context(), "os.path", "join", "a", "b"); err != nil || got != "a/b" {
			t.Errorf("Call = %v, %v; want a/b", got, err)
		}
	})
}

func TestPythonError(t *testing.T) {
	withRuntime(t, func(t *testing.T, rt *erlpy.Runtime) {
		for code, want := range map[string]erlpy.PythonError{
			"raise ValueError('bad ✓')":         {Type: "ValueError", Message: "bad ✓"},
			"1 +":                               {Type: "SyntaxError"},
			"import no_such_module":             {Type: "ModuleNotFoundError", Message: "No module named 'no_such_module'"},
			"raise SystemExit(3)":               {Type: "SystemExit", Message: "3"},
			"class E(Exception): pass\nraise E": {Type: "E"},
		} {
			err := rt.Exec(t.Context(), code)
			var got *erlpy.PythonError
			if !errors.As(err, &got) {
				t.Errorf("Exec(%q): %v, want a PythonError", code, err)
				continue
			}
			if got.Type != want.Type || (want.Message != "" && got.Message != want.Message) {
				t.Errorf("Exec(%q): %v, want %v", code, got, &want)
			}
			if len(got.Traceback) == 0 {
				t.Errorf("Exec(%q): no traceback", code)
			}
		}
		if _, err := rt.Eval(t.Context(), "{1, 2}", nil); err == nil || !strings.Contains(err.Error(), "result: set has no Erlang term") {
			t.Errorf("a set as the result: %v", err)
		}
		if _, err := rt.Eval(t.Context(), "x", map[string]any{"x": make(chan int)}); err == nil || !strings.Contains(err.Error(), "chan int") {
			t.Errorf("a channel as an argument: %v", err)
		}
	})
}

func TestRegister(t *testing.T) {
	withRuntime(t, func(t *testing.T, rt *erlpy.Runtime) {
		if err := rt.Register("f", func(x int) int { return x }); err != nil {
			t.Fatal(err)
		}
		must(t, rt, "import erlang\nassert erlang.f(3) == 3\nfrom erlang import f\nassert f(4) == 4")
		if err := rt.Register("f", func(x int) int { return -x }); err != nil {
			t.Fatal(err)
		}
		must(t, rt, "assert erlang.f(3) == -3 and f(4) == -4")
		if err := rt.Unregister("f"); err != nil {
			t.Fatal(err)
		}
		must(t, rt, "assert not hasattr(erlang, 'f')")
		for name, fn := range map[string]any{"": func() {}, "n": 3, "c": func(chan int) {}, "nil": nil} {
			if err := rt.Register(name, fn); err == nil {
				t.Errorf("Register(%q, %T) succeeded", name, fn)
			}
		}
		if err := rt.Unregister("f"); err == nil {
			t.Error("Unregister of an unknown name succeeded")
		}
	})
}

// A Go function that a Python thread has called may itself call Python: on another thread, however deep.
func TestGoFunctionCallsPython(t *testing.T) {
	withRuntime(t, func(t *testing.T, rt *erlpy.Runtime) {
		if err := rt.Register("down", func(n int) (any, error) {
			if n == 0 {
				return 0, nil
			}
			return rt.Eval(context.Background(), "1 + erlang.down(n - 1)", map[string]any{"n": n})
		}); err != nil {
			t.Fatal(err)
		}
		must(t, rt, "import erlang\nassert erlang.down(20) == 20")
	})
}

// A caller whose context ends gets away at once; a function that takes a context is told when its caller is gone.
func TestContexts(t *testing.T) {
	withRuntime(t, func(t *testing.T, rt *erlpy.Runtime) {
		began, told := make(chan struct{}), make(chan struct{})
		if err := rt.Register("wait", func(ctx context.Context) error {
			close(began)
			<-ctx.Done()
			close(told)
			return ctx.Err()
		}); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		result := make(chan error)
		go func() { result <- rt.Exec(ctx, "import erlang; erlang.wait()") }()
		<-began
		cancel()
		if err := <-result; !errors.Is(err, context.Canceled) {
			t.Errorf("Exec: %v, want context.Canceled", err)
		}
		if err := rt.Close(); err != nil {
			t.Error(err)
		}
		<-told
	})
}

// Close ends what waits: a Python thread in a call, and Go callers; and nothing can be started afterwards.
func TestClose(t *testing.T) {
	withRuntime(t, func(t *testing.T, rt *erlpy.Runtime) {
		began, never := make(chan struct{}, 3), make(chan struct{})
		defer close(never)
		if err := rt.Register("wait", func(ctx context.Context) { began <- struct{}{}; <-never }); err != nil {
			t.Fatal(err)
		}
		must(t, rt, `
import erlang, threading
def work():
    try: erlang.wait()
    except erlang.Disconnected as e: print('told:', e)
for daemon in (True, False): threading.Thread(target=work, daemon=daemon).start()`)
		result := make(chan error)
		go func() { result <- rt.Exec(context.Background(), "erlang.wait()") }()
		for range 3 {
			<-began
		}
		for range 2 {
			if err := rt.Close(); err != nil {
				t.Error(err)
			}
		}
		if err := <-result; err == nil {
			t.Error("a call that waited while the runtime was closed succeeded")
		}
		if err := rt.Exec(t.Context(), "1"); !errors.Is(err, erlpy.ErrClosed) {
			t.Errorf("Exec after Close: %v, want ErrClosed", err)
		}
		if _, err := erlpy.Start(t.Context(), erlpy.Options{}); !errors.Is(err, erlpy.ErrStarted) {
			t.Errorf("a second Start: %v, want ErrStarted", err)
		}
	})
}

func TestRunFile(t *testing.T) {
	withRuntime(t, func(t *testing.T, rt *erlpy.Runtime) {
		script := filepath.Join(t.TempDir(), "script.py")
		text := `
import sys, threading
assert __name__ == '__main__' and threading.current_thread() is threading.main_thread()
assert sys.argv == [__file__, 'one', 'two'], sys.argv
seen = sys.argv[1:]
`
		if err := os.WriteFile(script, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := rt.RunFile(t.Context(), script, "one", "two"); err != nil {
			t.Fatalf("%v\n%s", err, traceback(err))
		}
		if got, err := rt.Eval(t.Context(), "seen", nil); err != nil || !reflect.DeepEqual(got, []any{"one", "two"}) {
			t.Errorf("seen = %v, %v", got, err)
		}
		if err := rt.RunFile(t.Context(), script+".none"); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("a script that does not exist: %v", err)
		}
	})
}

// Many goroutines call Python at once, whose threads call Go: every answer reaches the one who asked.
func TestHammer(t *testing.T) {
	withRuntime(t, func(t *testing.T, rt *erlpy.Runtime) {
		if err := rt.Register("same", func(ctx context.Context, x any) any { return x }); err != nil {
			t.Fatal(err)
		}
		if err := rt.Register("double", func(x int) int { return 2 * x }); err != nil {
			t.Fatal(err)
		}
		must(t, rt, `
import erlang
def both(n): return [erlang.double(i) + erlang.same(n) for i in range(20)]`)
		var wg sync.WaitGroup
		for n := range 32 {
			wg.Add(1)
			go func() {
				defer wg.Done()
				want := make([]any, 20)
				for i := range want {
					want[i] = 2*i + n
				}
				for range 10 {
					got, err := rt.Call(t.Context(), "__main__", "both", n)
					if err != nil || !reflect.DeepEqual(got, want) {
						t.Errorf("both(%d) = %v, %v", n, got, err)
						return
					}
				}
			}()
		}
		wg.Wait()
		if s := rt.Stats(); s.InFlight != 0 || s.Calls < 32*10*40 {
			t.Errorf("Stats = %+v", s)
		}
	})
}

// A Python that cannot be embedded is refused by name, before anything is loaded.
func TestStartErrors(t *testing.T) {
	dir := t.TempDir()
	for python, want := range map[string]error{
		filepath.Join(dir, "none"): erlpy.ErrNoPython,
		"no-such-python":           erlpy.ErrNoPython,
	} {
		_, err := erlpy.Start(t.Context(), erlpy.Options{Python: python})
		if !errors.Is(err, want) || !strings.Contains(err.Error(), python) {
			t.Errorf("Start(%q): %v, want %v", python, err, want)
		}
	}
	if _, err := erlpy.Start(t.Context(), erlpy.Options{MaxFrame: -1}); err == nil || !strings.Contains(err.Error(), "MaxFrame") {
		t.Errorf("Start with MaxFrame -1: %v", err)
	}
}

// After a result that a goroutine waits too long for, the next ones still come.
func TestDeadline(t *testing.T) {
	withRuntime(t, func(t *testing.T, rt *erlpy.Runtime) {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		must(t, rt, "import threading\ngo = threading.Event()")
		if _, err := rt.Eval(ctx, "go.wait()", nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Eval: %v, want DeadlineExceeded", err)
		}
		must(t, rt, "go.set()")
	})
}
