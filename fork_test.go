package erlpy_test

import (
	"context"
	"testing"

	"github.com/erlpy/erlpy"
)

// A child made by Python code on a thread of the runtime ends there; the parent alone answers.
func TestFork(t *testing.T) {
	withRuntime(t, func(t *testing.T, rt *erlpy.Runtime) {
		err := rt.Register("evaluate", func(ctx context.Context, code string) (any, error) { return rt.Eval(ctx, code, nil) })
		if err != nil {
			t.Fatal(err)
		}
		must(t, rt, `
import erlang, os, warnings
warnings.simplefilter("ignore")
parent = os.getpid()
def forks():
    pid = os.fork()
    if pid == 0: return "child"
    assert os.waitpid(pid, 0)[1] == 0
    return "parent"
`)
		for range 5 {
			for _, code := range []string{"forks()", "erlang.call('evaluate', 'forks()')"} {
				if got, err := rt.Eval(t.Context(), code, nil); err != nil || got != "parent" {
					t.Errorf("%s: %v, %v", code, got, err)
				}
			}
		}
		must(t, rt, "assert os.getpid() == parent; assert forks() == 'parent'")
	})
}
