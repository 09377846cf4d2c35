package worker_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/erlpy/erlpy/internal/worker"
)

// Many short-lived threads, all let go at once, some of which end badly, while others look at the pool.
func TestHammer(t *testing.T) {
	const (
		rounds  = 30
		threads = 32
		limit   = 24
	)
	n := startNode(t)
	p := worker.NewPool(worker.Options{Channel: n.options, Max: limit, Keep: 8, Linger: time.Millisecond})
	var owners sync.Map // worker -> *atomic.Int32: how many threads think that it is theirs
	var done, refused atomic.Uint64
	stop := make(chan struct{})
	var watchers sync.WaitGroup
	watchers.Add(1)
	go func() {
		defer watchers.Done()
		for {
			select {
			case <-stop:
				return
			default:
			}
			if s := p.Stats(); s.Idle+s.Bound > limit {
				t.Errorf("too many workers: %+v", s)
				return
			}
		}
	}()

	thread := func(number int) {
		w, err := p.Acquire()
		if err != nil {
			refused.Add(1)
			return
		}
		v, _ := owners.LoadOrStore(w, new(atomic.Int32))
		owner := v.(*atomic.Int32)
		if owner.Add(1) != 1 {
			t.Errorf("worker %d is bound twice", w.ID)
		}
		for i := range 3 {
			c := w.Channel()
			if c == nil {
				c = w.Connect()
				if err := step(c, c.Open); err != nil {
					t.Error(err)
				}
			}
			if got, err := call(c, byte(number+i)); got != byte(number+i) || err != nil {
				t.Errorf("called with %d, got %d, %v", byte(number+i), got, err)
			}
			done.Add(1)
			if number%5 == i {
				w.Drop()
			}
		}
		owner.Add(-1) // before the pool may hand the worker on
		if number%7 == 0 {
			p.Retire(w)
		} else {
			p.Release(w)
		}
	}
	for round := range rounds {
		var ready, ended sync.WaitGroup
		gate := make(chan struct{})
		for i := range threads {
			ready.Add(1)
			ended.Add(1)
			go func() {
				defer ended.Done()
				ready.Done()
				<-gate
				thread(round + i)
			}()
		}
		ready.Wait()
		close(gate)
		ended.Wait()
	}
	close(stop)
	watchers.Wait()
	s := p.Stats()
	if s.Bound != 0 || done.Load()+3*refused.Load() != 3*rounds*threads {
		t.Errorf("Stats() at the end = %+v; %d calls, %d threads refused", s, done.Load(), refused.Load())
	}
	p.Close()
}

// TestHammerIDs creates and retires workers without channels, so that slots are reused all the time.
func TestHammerIDs(t *testing.T) {
	p := worker.NewPool(worker.Options{Max: 16, Keep: 1, Linger: time.Microsecond})
	var seen sync.Map
	var threads sync.WaitGroup
	gate := make(chan struct{})
	for range 8 {
		threads.Add(1)
		go func() {
			defer threads.Done()
			<-gate
			for range 500 {
				w, err := p.Acquire()
				if err != nil {
					t.Error(err)
					return
				}
				if other, loaded := seen.LoadOrStore(w.ID, w); loaded && other != w {
					t.Errorf("two workers with id %d", w.ID)
				}
				p.Release(w)
			}
		}()
	}
	close(gate)
	threads.Wait()
}

func BenchmarkAcquireRelease(b *testing.B) {
	p := worker.NewPool(worker.Options{})
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			w, err := p.Acquire()
			if err != nil {
				b.Fatal(err)
			}
			p.Release(w)
		}
	})
}
