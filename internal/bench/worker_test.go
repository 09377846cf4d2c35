package bench

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/erlpy/erlpy/internal/pyfind"
)

// fake is a worker that is a shell script.
func fake(t *testing.T, ctx context.Context, script string) *worker {
	t.Helper()
	program := filepath.Join(t.TempDir(), "erlpy")
	if err := os.WriteFile(program, []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	l := &lab{program: program, install: &pyfind.Install{Executable: "python3"}, stderr: os.Stderr}
	w, err := l.goWorker(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func TestAsk(t *testing.T) {
	defer func(p time.Duration) { patience = p }(patience)
	patience = 10 * time.Second
	for name, test := range map[string]struct{ script, want string }{
		"an answer":  {`read line; echo '{"ok": {"calls": [3, 4], "seconds": 0.5, "latency": [[10, 7]]}}'; read end`, ""},
		"an error":   {`read line; echo '{"error": "Traceback: nope"}'; read end`, `could not do {"do":"rate"}: Traceback: nope`},
		"nonsense":   {`read line; echo hello; read end`, `answers "hello\n"`},
		"its end":    {`read line; exit 3`, `did not do {"do":"rate"}`},
		"no answer":  {`read line; exec sleep 1000`, `did not do {"do":"rate"}`},
		"the driver": {`echo "$*" | grep -q '^bench worker --python python3 .*worker.py$' && read line && echo '{"ok": {"calls": [7], "seconds": 0.5}}'`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			if name == "no answer" {
				patience = 100 * time.Millisecond
			}
			w := fake(t, t.Context(), test.script)
			defer w.close()
			a, err := w.ask(request{"do": "rate"})
			switch {
			case test.want == "" && (err != nil || a.rate() != 14):
				t.Errorf("%+v, %v; want 14 calls a second", a, err)
			case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
				t.Errorf("%v, want %q", err, test.want)
			}
		})
	}
}

// A program ends with the context, also in the middle of something.
func TestWorkerEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	w := fake(t, ctx, `read line; echo '{"ok": {}}'; exec sleep 1000`)
	if _, err := w.ask(request{"do": "rate"}); err != nil {
		t.Fatal(err)
	}
	cancel()
	w.close()
	if w.cmd.ProcessState == nil || w.cmd.ProcessState.Success() {
		t.Errorf("ended with %v", w.cmd.ProcessState)
	}
}
