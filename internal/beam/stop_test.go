//go:build linux

package beam_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
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

// A program that is killed leaves no node, whether that was ready or starting.
func TestParentIsKilled(t *testing.T) {
	app := application(t)
	for _, after := range []time.Duration{-1, 0, 100 * time.Millisecond, 250 * time.Millisecond, 400 * time.Millisecond} {
		erl, pid := announcingErl(t)
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), "BEAM_TEST_APP="+app, "BEAM_TEST_ERL="+erl)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		node := pid()
		if after < 0 { // when it is ready
			if n, err := out.Read(make([]byte, 100)); n == 0 {
				t.Error(err)
			}
		} else {
			time.Sleep(after) // to be interrupted at several points
		}
		cmd.Process.Kill()
		cmd.Wait()
		expectEnd(t, node, 10*time.Second)
	}
}
