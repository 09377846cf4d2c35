package erlpy_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/erlpy/erlpy"
)

const goexitEnv = "ERLPY_TEST_GOEXIT"

// A function without a context needs its goroutine, to return to C: the program ends, with the
// function's name and the remedy.
func TestGoexit(t *testing.T) {
	for call, fn := range map[string]any{
		"erlang.call('exits')":            func() { runtime.Goexit() },
		"erlang.call('exits', 1)":         func(int) int { runtime.Goexit(); return 0 },
		"erlang.call('exits', 1, 2)":      func(int, int) (int, error) { runtime.Goexit(); return 0, nil },
		"erlang.call('exits', [1], {})":   func([]int, map[string]int) int { t.FailNow(); return 0 },
		"erlang.exits('x')":               func(string) string { runtime.Goexit(); return "" },
		"erlang.call('exits', 1.5, None)": func(...any) any { defer func() { _ = recover() }(); runtime.Goexit(); return nil },
	} {
		if os.Getenv(goexitEnv) == call {
			rt, err := erlpy.Start(t.Context(), erlpy.Options{Python: os.Getenv("ERLPY_TEST_PYTHON")})
			if err == nil {
				err = rt.Register("exits", fn)
			}
			if err == nil {
				err = rt.Exec(t.Context(), "import erlang; "+call)
			}
			t.Fatalf("came back: %v", err)
		}
		if os.Getenv(goexitEnv) != "" {
			continue
		}
		t.Run(call, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			cmd := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestGoexit$")
			cmd.Env = append(os.Environ(), goexitEnv+"="+call)
			out, err := cmd.CombinedOutput()
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.ExitCode() != 2 {
				t.Errorf("the program ended with %v", err)
			}
			for _, want := range []string{`fatal: the Go function "exits"`, "runtime.Goexit", "context.Context", "goexit_test.go"} {
				if !strings.Contains(string(out), want) {
					t.Errorf("%q is not in what was printed:\n%s", want, out)
				}
			}
		})
	}
}

// On a goroutine of its own a function may: the call fails.
func TestGoexitWithAContext(t *testing.T) {
	withRuntime(t, func(t *testing.T, rt *erlpy.Runtime) {
		for name, fn := range map[string]any{
			"with_context":  func(context.Context, int) int { runtime.Goexit(); return 0 },
			"with_no_other": func(int) int { runtime.Goexit(); return 0 },
		} {
			if err := rt.Register(name, fn); err != nil {
				t.Fatal(err)
			}
		}
		must(t, rt, `
import erlang
def fails(do):
    try: do()
    except erlang.CallError as e: assert "ended its goroutine" in str(e), e
    else: raise AssertionError("did not fail")
fails(lambda: erlang.call("with_context", 1))
fails(lambda: erlang.call("with_no_other", 1, timeout=60))
fails(lambda: erlang.submit("with_no_other", 1).result(60))
fails(lambda: list(erlang.map("with_no_other", [1])))
erlang.cast("with_no_other", 1)
`)
	})
}
