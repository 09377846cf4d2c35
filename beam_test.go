package erlpy_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/erlpy/erlpy"
	"github.com/erlpy/erlpy/internal/beam"
	"github.com/erlpy/erlpy/internal/cpython"
)

// startNode starts a node with the functions of the tests that listens on socket, and ends it with the test.
func startNode(t *testing.T, socket string) *beam.Node {
	t.Helper()
	if _, err := exec.LookPath("erl"); err != nil {
		missing(t, "no erl: run `make test`")
	}
	node, err := beam.Start(context.Background(), beam.Options{
		Files: []string{"erlang/test/py_peer.erl"}, AppDir: "build/lib/erlang_python", Socket: socket,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = node.Stop() })
	return node
}

// A node goes and comes back: who waits hears of it at once, and the same threads call again without any ado.
func TestNodeStopsAndComesBack(t *testing.T) {
	isolated(t, func(t *testing.T) {
		socket := filepath.Join(t.TempDir(), "s")
		node := startNode(t, socket)
		rt, err := erlpy.Start(t.Context(), erlpy.Options{BEAM: socket})
		if err != nil {
			t.Fatal(err)
		}
		defer rt.Close()
		waiting := make(chan struct{}, 1)
		if err := rt.Register("waiting", func() { waiting <- struct{}{} }); err != nil {
			t.Fatal(err)
		}
		must(t, rt, `
import erlang, threading, time
assert erlang.call('double_it', 21) == 42

class Worker(threading.Thread):
    """Calls whenever it is told to, always on this same thread."""
    def __init__(self):
        super().__init__(daemon=True)
        self.turn, self.done = threading.Semaphore(0), threading.Semaphore(0)
        self.start()
    def run(self):
        while self.turn.acquire():
            try: self.answer = erlang.call('double_it', 4)
            except erlang.Error as e: self.answer = type(e).__name__
            self.done.release()
    def ask(self):
        self.turn.release()
        self.done.acquire()
        return self.answer

idle = Worker()
assert idle.ask() == 8
def wait():
    erlang.waiting()
    try: erlang.call('sleep', 60000)
    except erlang.Disconnected: told.append(time.monotonic())
told = []
thread = threading.Thread(target=wait)
thread.start()
`)
		<-waiting
		// The function runs once the node has counted it: until then the call may not have been sent.
		for s := rt.Stats(); s.InFlight == 0; s = rt.Stats() {
			time.Sleep(time.Millisecond)
		}
		before := time.Now()
		if err := node.Stop(); err != nil {
			t.Fatal(err)
		}
		must(t, rt, "thread.join()\nassert told\nassert idle.ask() == 'Disconnected'")
		t.Logf("the node stopped, and the waiting thread was told, within %v", time.Since(before))
		startNode(t, socket)
		must(t, rt, `
assert idle.ask() == 8
assert erlang.call('double_it', 5) == 10
assert erlang.stats()['reconnects'] >= 1, erlang.stats()`)
		// Go functions come first, under the same name too.
		if err := rt.Register("double_it", func(x int) int { return -x }); err != nil {
			t.Fatal(err)
		}
		must(t, rt, "assert erlang.call('double_it', 5) == -5")
	})
}

// The node's functions are called without entering Go, beside Go functions too; a name that has been a Go function's is not. The node is looked
// for until it answers, so that a thread has its channel to itself from the second call on.
func TestNodesFunctionsBesideGos(t *testing.T) {
	isolated(t, func(t *testing.T) {
		socket := filepath.Join(t.TempDir(), "s")
		startNode(t, socket)
		rt, err := erlpy.Start(t.Context(), erlpy.Options{BEAM: socket, Poll: 10_000_000})
		if err != nil {
			t.Fatal(err)
		}
		defer rt.Close()
		must(t, rt, `
import erlang, queue, threading
asked, answers = queue.SimpleQueue(), queue.SimpleQueue()
def work():
    while (x := asked.get()) is not None:
        answers.put([erlang.call('double_it', x) for _ in range(10)])
def ask(x):
    asked.put(x)
    return answers.get()
threading.Thread(target=work).start()`)
		ask := func(x int, want string, lent uint64) {
			t.Helper()
			before := rt.LentCalls()
			must(t, rt, fmt.Sprintf("assert ask(%d) == [%s] * 10", x, want))
			if n := rt.LentCalls() - before; n != lent {
				t.Errorf("%d of 10 calls did without Go, want %d", n, lent)
			}
		}
		ask(4, "8", 9)
		register := func(name string) {
			t.Helper()
			if err := rt.Register(name, func(x int) int { return -x }); err != nil {
				t.Fatal(err)
			}
		}
		register("other")
		ask(5, "10", 10)
		register("double_it")
		ask(6, "-6", 0)
		if err := rt.Unregister("double_it"); err != nil {
			t.Fatal(err)
		}
		ask(7, "14", 0)
		must(t, rt, "asked.put(None)")
	})
}

// Go is told when answers keep coming after the looks for them, and looks less; and it makes the calls of Exec itself, which may be interrupted.
func TestCallsThatGoMakes(t *testing.T) {
	isolated(t, func(t *testing.T) {
		socket := filepath.Join(t.TempDir(), "s")
		startNode(t, socket)
		rt, err := erlpy.Start(t.Context(), erlpy.Options{BEAM: socket})
		if err != nil {
			t.Fatal(err)
		}
		defer rt.Close()
		must(t, rt, `
import erlang, threading
def on_a_thread(work):
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
def prompt():
    for i in range(1000): erlang.call('echo', i)
def late():
    prompt()
    for i in range(1000): erlang.call('busy', 150)`)
		lent := func(code string) uint64 {
			before := rt.LentCalls()
			must(t, rt, code)
			return rt.LentCalls() - before
		}
		if n := lent("prompt()"); n != 0 {
			t.Errorf("%d calls of Exec did without Go", n)
		}
		prompt := lent("on_a_thread(prompt)")
		if prompt == 0 {
			t.Error("all calls of a thread went through Go")
		}
		late := lent("on_a_thread(late)")
		t.Logf("of 1000 prompt calls %d did without Go, of as many and 1000 late ones %d", prompt, late)
		if late > 1000+100 {
			t.Errorf("%d calls did without Go, though at most 1000 were answered while it looked", late)
		}
	})
}

// Threads that call without a pause are told of the end like any, though they need not enter Go for their calls, and wait for each other's turns.
func TestCloseWhileCalling(t *testing.T) {
	isolated(t, func(t *testing.T) {
		socket := filepath.Join(t.TempDir(), "s")
		startNode(t, socket)
		rt, err := erlpy.Start(t.Context(), erlpy.Options{BEAM: socket, Poll: 10_000_000})
		if err != nil {
			t.Fatal(err)
		}
		told := t.TempDir()
		must(t, rt, fmt.Sprintf(`
import erlang, threading
calling = threading.Barrier(5)
def work(i):
    for n in range(1 << 60):
        try: erlang.call('double_it', n)
        except erlang.Disconnected: return open(f'%s/{i}', 'w').close()
        if n == 100: calling.wait()
for i in range(4):
    threading.Thread(target=work, args=(i,)).start()
calling.wait()`, told))
		if err := rt.Close(); err != nil {
			t.Error(err)
		}
		if files, err := os.ReadDir(told); err != nil || len(files) != 4 {
			t.Errorf("%d of 4 threads were told, %v", len(files), err)
		}
	})
}

// As many threads are in quick calls at a time as there are turns: of these two, each looks for its answer for longer than the test may take, and
// the first is answered after the second's call.
func TestTwoTurns(t *testing.T) {
	isolated(t, func(t *testing.T) {
		socket := filepath.Join(t.TempDir(), "s")
		startNode(t, socket)
		rt, err := erlpy.Start(t.Context(), erlpy.Options{BEAM: socket, Poll: 1_000_000_000})
		if err != nil {
			t.Fatal(err)
		}
		defer rt.Close()
		cpython.SetTurns(2)
		must(t, rt, `
import erlang
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
both = Barrier(2)
def calls(i):
    assert [erlang.call('double_it', n) for n in range(10)] == [2 * n for n in range(10)]
    both.wait()
    return erlang.call('chain', ['two turns', i, 2])
with ThreadPoolExecutor(2) as pool:
    assert list(pool.map(calls, (1, 2))) == [1, 2]`)
	})
}

// Two programs at one node, and a socket at which nobody listens.
func TestAttach(t *testing.T) {
	isolated(t, func(t *testing.T) {
		rt, err := erlpy.Start(t.Context(), erlpy.Options{BEAM: filepath.Join(t.TempDir(), "nobody")})
		if err != nil {
			t.Fatal(err)
		}
		defer rt.Close()
		err = rt.Exec(t.Context(), "import erlang\nerlang.call('double_it', 1)")
		var e *erlpy.PythonError
		if !errors.As(err, &e) || e.Type != "Disconnected" || !strings.Contains(e.Message, "nobody") {
			t.Errorf("nobody listens: %v", err)
		}
	})
}
