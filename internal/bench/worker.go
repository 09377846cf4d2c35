package bench

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"time"
)

// worker is a Python program that does what it is told.
type worker struct {
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  *bufio.Reader
	kill context.CancelFunc
}

// request is what worker.py understands: the name of one of its functions under "do", and the arguments.
type request map[string]any

// answer is what its functions return, each what it has.
type answer struct {
	Calls   []int64   `json:"calls"` // of each thread
	Seconds float64   `json:"seconds"`
	Latency Histogram `json:"latency"`

	Took map[string]float64 `json:"took"` // seconds a call, by the way it is made
}

// rate returns calls a second, of all threads.
func (a *answer) rate() float64 {
	var calls int64
	for _, n := range a.Calls {
		calls += n
	}
	return float64(calls) / a.Seconds
}

// worker starts a program that calls the node of a variant.
func (l *lab) worker(ctx context.Context, v variant) (*worker, error) {
	n, err := l.node(ctx, v)
	if err != nil {
		return nil, err
	}
	return l.start(ctx, append([]string{"run", "--beam", n.Socket()}, v.flags()...)...)
}

// goWorker starts a program whose functions are Go's.
func (l *lab) goWorker(ctx context.Context) (*worker, error) {
	return l.start(ctx, "bench", "worker")
}

func (l *lab) start(ctx context.Context, args ...string) (*worker, error) {
	ctx, cancel := context.WithCancel(ctx)
	args = append(args, "--python", l.install.Executable, filepath.Join(l.dir, "worker.py"))
	cmd := exec.CommandContext(ctx, l.program, args...)
	cmd.Stderr = l.stderr
	cmd.SysProcAttr = ownGroup()
	cmd.WaitDelay = time.Second
	in, errIn := cmd.StdinPipe()
	out, errOut := cmd.StdoutPipe()
	if err := cmp.Or(errIn, errOut); err != nil {
		cancel()
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		cancel()
		return nil, err
	}
	return &worker{cmd, in, bufio.NewReader(out), cancel}, nil
}

func (w *worker) pid() int { return w.cmd.Process.Pid }

// ask has something done, and returns what came of it. A program that does not answer is killed.
func (w *worker) ask(r request) (*answer, error) {
	text, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	late := time.AfterFunc(patience, w.kill)
	defer late.Stop()
	if _, err := w.in.Write(append(text, '\n')); err != nil {
		return nil, fmt.Errorf("the Python program is gone: %w", err)
	}
	line, err := w.out.ReadBytes('\n')
	if err != nil {
		return nil, fmt.Errorf("the Python program did not do %s: %w", text, err)
	}
	var got struct {
		OK    *answer `json:"ok"`
		Error string  `json:"error"`
	}
	switch err := json.Unmarshal(line, &got); {
	case err != nil:
		return nil, fmt.Errorf("the Python program answers %q: %w", line, err)
	case got.OK == nil:
		return nil, fmt.Errorf("the Python program could not do %s: %s", text, got.Error)
	}
	return got.OK, nil
}

// close ends the program by the end of its input, and kills it when it does not hear that.
func (w *worker) close() {
	w.in.Close()
	late := time.AfterFunc(5*time.Second, w.kill)
	_ = w.cmd.Wait() // what it did is told by its answers
	late.Stop()
	w.kill()
}
