package worker_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/erlpy/erlpy/internal/channel"
	"github.com/erlpy/erlpy/internal/worker"
)

func acquire(t testing.TB, p *worker.Pool) *worker.Worker {
	t.Helper()
	w, err := p.Acquire()
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func connect(t testing.TB, w *worker.Worker) *channel.Channel {
	t.Helper()
	c := w.Connect()
	if err := step(c, c.Open); err != nil {
		t.Fatal(err)
	}
	return c
}

func checkStats(t testing.TB, p *worker.Pool, want worker.Stats) {
	t.Helper()
	got := p.Stats()
	got.BytesIn, got.BytesOut = 0, 0
	if got != want {
		t.Errorf("Stats() = %+v, want %+v", got, want)
	}
}

func TestAcquireTakesTheLastReleased(t *testing.T) {
	p := worker.NewPool(worker.Options{})
	a, b, c := acquire(t, p), acquire(t, p), acquire(t, p)
	checkStats(t, p, worker.Stats{Bound: 3})
	p.Release(a)
	p.Release(c)
	p.Release(c) // not bound any more: nothing
	checkStats(t, p, worker.Stats{Idle: 2, Bound: 1})
	if got := acquire(t, p); got != c {
		t.Errorf("got worker %d, want %d", got.ID, c.ID)
	}
	if got := acquire(t, p); got != a {
		t.Errorf("got worker %d, want %d", got.ID, a.ID)
	}
	if got := acquire(t, p); got == a || got == b || got == c {
		t.Errorf("worker %d is bound twice", got.ID)
	}
}

func TestMax(t *testing.T) {
	p := worker.NewPool(worker.Options{Max: 2})
	a := acquire(t, p)
	acquire(t, p)
	_, err := p.Acquire()
	var limit *worker.LimitError
	if !errors.As(err, &limit) || limit.Max != 2 || !strings.Contains(err.Error(), "max_workers") {
		t.Fatalf("Acquire over the limit: %v", err)
	}
	p.Release(a)
	if got := acquire(t, p); got != a {
		t.Errorf("got worker %d, want the idle one", got.ID)
	}
	p.Retire(a)
	acquire(t, p)
}

// Of a burst of threads only some workers stay, once nothing has wanted more for a while; their
// connections end.
func TestIdleWorkersEnd(t *testing.T) {
	n := startNode(t)
	p := worker.NewPool(worker.Options{Channel: n.options, Keep: 2, Linger: time.Millisecond})
	defer p.Close()
	var burst []*worker.Worker
	for range 20 {
		w := acquire(t, p)
		connect(t, w)
		burst = append(burst, w)
	}
	for _, w := range burst {
		p.Release(w)
	}
	for p.Stats().Idle > 2 {
		time.Sleep(time.Millisecond)
	}
	checkStats(t, p, worker.Stats{Idle: 2, Retired: 18})
	for n.ended() < 18 {
		time.Sleep(time.Millisecond)
	}
	// The ones released last stay.
	if w := acquire(t, p); w != burst[19] || w.Channel().FD() == -1 {
		t.Errorf("worker %d is kept, or without its channel, want %d", w.ID, burst[19].ID)
	}
}

// Workers in use again and again stay, however many they are.
func TestChurnKeepsWorkers(t *testing.T) {
	p := worker.NewPool(worker.Options{Keep: 2, Linger: time.Hour}) // the test trims itself
	burst := func(n int) {
		var list []*worker.Worker
		for range n {
			list = append(list, acquire(t, p))
		}
		for _, w := range list {
			p.Release(w)
		}
	}
	burst(64)
	for range 3 {
		burst(64)
		p.Trim()
		checkStats(t, p, worker.Stats{Idle: 64})
	}
	for range 3 {
		burst(32)
		p.Trim()
	}
	checkStats(t, p, worker.Stats{Idle: 34, Retired: 30})
	p.Trim()
	p.Trim()
	checkStats(t, p, worker.Stats{Idle: 2, Retired: 62})
	burst(64)
	checkStats(t, p, worker.Stats{Idle: 64, Retired: 62})
}

func TestIDs(t *testing.T) {
	p := worker.NewPool(worker.Options{})
	a, b := acquire(t, p), acquire(t, p)
	p.Retire(a)
	c := acquire(t, p)
	if a.ID == 0 || a.ID == b.ID || c.ID == a.ID || c.ID == b.ID {
		t.Errorf("ids %d, %d, %d", a.ID, b.ID, c.ID)
	}
}

func TestRetireTwice(t *testing.T) {
	n := startNode(t)
	p := worker.NewPool(worker.Options{Channel: n.options, Max: 1})
	w := acquire(t, p)
	c := connect(t, w)
	p.Retire(w)
	p.Retire(w)
	p.Release(w)
	checkStats(t, p, worker.Stats{Retired: 1})
	if c.FD() != -1 || w.Channel() != nil {
		t.Error("the channel is still open")
	}
	w = acquire(t, p)
	p.Release(w)
	p.Retire(w) // an idle one
	checkStats(t, p, worker.Stats{Retired: 2})
	acquire(t, p)
}

func TestNoNode(t *testing.T) {
	w := acquire(t, worker.NewPool(worker.Options{}))
	if w.Channel() != nil || w.Connect() != nil {
		t.Error("a channel without a node")
	}
}

// A worker that is released keeps its channel for the next thread.
func TestChannelIsReused(t *testing.T) {
	n := startNode(t)
	p := worker.NewPool(worker.Options{Channel: n.options})
	defer p.Close()
	w := acquire(t, p)
	c := connect(t, w)
	if got, err := call(c, 42); got != 42 || err != nil {
		t.Fatal(got, err)
	}
	checkStats(t, p, worker.Stats{Bound: 1})
	p.Release(w)
	if got := acquire(t, p); got != w || got.Channel() != c {
		t.Fatal("another worker or channel")
	}
	if got, err := call(c, 43); got != 43 || err != nil {
		t.Fatal(got, err)
	}
	s := p.Stats()
	if s.Reconnects != 0 || s.BytesIn != c.BytesIn() || s.BytesOut != c.BytesOut() {
		t.Errorf("Stats() = %+v", s)
	}
}

func TestUnhealthyWorkersAreRetired(t *testing.T) {
	for name, spoil := range map[string]func(t *testing.T, n *node, w *worker.Worker){
		"not opened": func(t *testing.T, n *node, w *worker.Worker) { w.Connect() },
		"broken": func(t *testing.T, n *node, w *worker.Worker) {
			c := connect(t, w)
			n.kill()
			if _, err := call(c, 1); !errors.Is(err, channel.ErrDisconnected) {
				t.Fatal(err)
			}
		},
		"serving": func(t *testing.T, n *node, w *worker.Worker) {
			c := w.ConnectAs(n.options)
			if err := step(c, c.Open); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			n := startNode(t)
			p := worker.NewPool(worker.Options{Channel: n.options})
			w := acquire(t, p)
			spoil(t, n, w)
			c := w.Channel()
			p.Release(w)
			checkStats(t, p, worker.Stats{Retired: 1})
			if c.FD() != -1 {
				t.Error("the channel is still open")
			}
		})
	}
}

func TestDropAndConnect(t *testing.T) {
	n := startNode(t)
	p := worker.NewPool(worker.Options{Channel: n.options})
	defer p.Close()
	w := acquire(t, p)
	first := connect(t, w)
	call(first, 1)
	in, out := first.BytesIn(), first.BytesOut()
	w.Drop()
	w.Drop()
	if w.Channel() != nil || first.FD() != -1 {
		t.Error("the channel is still there")
	}
	if s := p.Stats(); s.Retired != 1 || s.Bound != 1 || s.BytesIn != in || s.BytesOut != out {
		t.Errorf("Stats() after Drop = %+v", s)
	}
	second := connect(t, w)
	if got, err := call(second, 9); got != 9 || err != nil {
		t.Fatal(got, err)
	}
	if s := p.Stats(); s.Retired != 1 || s.Reconnects != 1 || s.BytesIn != in+second.BytesIn() {
		t.Errorf("Stats() after Connect = %+v", s)
	}
	connect(t, w) // without Drop
	checkStats(t, p, worker.Stats{Bound: 1, Retired: 2, Reconnects: 2})
	if second.FD() != -1 {
		t.Error("Connect left the old channel open")
	}
}

func TestClose(t *testing.T) {
	n := startNode(t)
	p := worker.NewPool(worker.Options{Channel: n.options})
	bound, idle := acquire(t, p), acquire(t, p)
	busy, calm := connect(t, bound), connect(t, idle)
	p.Release(idle)
	p.Close()
	p.Close()
	if calm.FD() != -1 || busy.FD() == -1 {
		t.Error("Close closes the idle channels and no others")
	}
	if _, err := p.Acquire(); !errors.Is(err, worker.ErrClosed) {
		t.Errorf("Acquire after Close: %v", err)
	}
	p.Release(bound)
	if busy.FD() != -1 {
		t.Error("a worker released after Close keeps its channel")
	}
	checkStats(t, p, worker.Stats{Retired: 2})
}
