//go:build linux

package beam_test

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/erlpy/erlpy/internal/beam"
)

func TestStopKills(t *testing.T) {
	defer beam.SetStopLimit(50 * time.Millisecond)()
	n := start(t, beam.Options{AppDir: "x", Erl: fakeErl(t, "sleep 100 & echo ready $! >&3; wait")})
	child, err := strconv.Atoi(n.Registered()[0])
	if err != nil {
		t.Fatal(err)
	}
	err = n.Stop()
	contains(t, err, "was killed")
	if again := n.Stop(); again != err {
		t.Errorf("a second Stop: %v", again)
	}
	expectEnd(t, child, time.Second)
}

func TestStopAfterDeath(t *testing.T) {
	n := start(t, beam.Options{AppDir: application(t)})
	if err := unix.Kill(n.PID(), unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-n.Ended()
	contains(t, n.Stop(), "ended before", "killed")
}

// Whenever the start is given up, nothing is left behind.
func TestStartCancelled(t *testing.T) {
	app := application(t)
	for _, after := range []time.Duration{0, 100 * time.Millisecond, 200 * time.Millisecond, 300 * time.Millisecond} {
		erl, pid := announcingErl(t)
		ctx, cancel := context.WithCancel(context.Background())
		seen := make(chan int)
		go func() {
			p := pid()
			time.Sleep(after) // to be interrupted at several points
			cancel()
			seen <- p
		}()
		n, err := beam.Start(ctx, beam.Options{AppDir: app, Erl: erl})
		if err == nil {
			n.Stop()
		} else if !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled after %v: %v", after, err)
		}
		if err := unix.Kill(<-seen, 0); err != unix.ESRCH {
			t.Errorf("cancelled after %v: the node is still there: %v", after, err)
		}
		cancel()
	}
}

// A program that is killed leaves no node: whether that was ready, or starting, or had said so to nobody. The times only
// spread the moments of death.
func TestParentIsKilled(t *testing.T) {
	app := application(t)
	for name, moment := range map[string]func(p *parent){
		"ready":  func(p *parent) { p.ready() },
		"0 ms":   func(p *parent) {},
		"100 ms": func(p *parent) { time.Sleep(100 * time.Millisecond) },
		"250 ms": func(p *parent) { time.Sleep(250 * time.Millisecond) },
		"unheard": func(p *parent) {
			p.cmd.Process.Signal(unix.SIGSTOP)
			p.nodeListens()
			time.Sleep(100 * time.Millisecond)
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := startParent(t, app)
			moment(p)
			p.cmd.Process.Kill()
			p.cmd.Wait()
			expectEnd(t, p.node, 10*time.Second)
		})
	}
}

// parent is a program with a node.
type parent struct {
	t    *testing.T
	cmd  *exec.Cmd
	out  io.Reader
	dir  string // for its sockets
	node int
}

func startParent(t *testing.T, app string) *parent {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "beam")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	erl, pid := announcingErl(t)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "BEAM_TEST_APP="+app, "BEAM_TEST_ERL="+erl, "XDG_RUNTIME_DIR="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return &parent{t: t, cmd: cmd, out: out, dir: dir, node: pid()}
}

// ready returns when the program has its node.
func (p *parent) ready() {
	p.t.Helper()
	if n, err := p.out.Read(make([]byte, 100)); n == 0 {
		p.t.Error(err)
	}
}

// nodeListens returns when the node's socket is there, which is shortly before the node says so.
func (p *parent) nodeListens() {
	p.t.Helper()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if found, _ := filepath.Glob(filepath.Join(p.dir, "*", "s")); len(found) == 1 {
			return
		}
	}
	p.t.Error("the node does not listen")
}
