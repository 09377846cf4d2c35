package worker

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/erlpy/erlpy/internal/channel"
)

// DefaultMax is the number of workers that may live at once, unless configured.
const DefaultMax = 1024

// ErrClosed is the answer of a closed pool.
var ErrClosed = errors.New("the worker pool is closed")

// LimitError says that as many workers are alive as the pool may have.
type LimitError struct{ Max int }

// Error names the setting.
func (e *LimitError) Error() string {
	return fmt.Sprintf("all %d workers are in use by other threads (max_workers)", e.Max)
}

// Options of a pool.
type Options struct {
	Channel *channel.Options // how workers connect; nil: there is no node
	Max     int              // workers alive, bound and idle; 0 is DefaultMax
	Idle    int              // workers kept while idle; 0 is Max
}

// Pool owns the workers. Its methods may be called from any goroutine or thread.
type Pool struct {
	options Options

	// The living workers by slot. The slice that it points to is never changed, only replaced, under mu.
	slots atomic.Pointer[[]*Worker]

	mu          sync.Mutex
	closed      bool
	alive       int
	idle        []*Worker // the one released last at the end
	free        []int     // slots without a worker
	generations []uint32  // by slot: how many workers it has had
	past        Stats     // of what is gone: retired workers, closed channels
}

// NewPool returns an empty pool.
func NewPool(o Options) *Pool {
	if o.Max <= 0 {
		o.Max = DefaultMax
	}
	if o.Idle <= 0 || o.Idle > o.Max {
		o.Idle = o.Max
	}
	p := &Pool{options: o}
	p.slots.Store(new([]*Worker))
	return p
}

// Acquire binds a worker to the calling thread: the idle one that was released last, whose memory and handler are
// warmest, or a new one. When Max are alive and none is idle it returns a *LimitError.
func (p *Pool) Acquire() (*Worker, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, ErrClosed
	}
	if n := len(p.idle); n > 0 {
		w := p.idle[n-1]
		p.idle[n-1] = nil
		p.idle = p.idle[:n-1]
		w.state = bound
		return w, nil
	}
	if p.alive >= p.options.Max {
		return nil, &LimitError{Max: p.options.Max}
	}
	p.alive++
	return p.create(), nil
}

// create puts a new worker into a free slot. The id is slot+1, and above bit 32 the number of workers that the slot
// has had before: short for people to read, and found by index.
func (p *Pool) create() *Worker {
	slots := *p.slots.Load()
	var slot int
	if n := len(p.free); n > 0 {
		slot = p.free[n-1]
		p.free = p.free[:n-1]
		slots = slices.Clone(slots)
	} else {
		slot = len(slots)
		slots = append(slices.Clone(slots), nil)
		p.generations = append(p.generations, 0)
	}
	w := &Worker{ID: uint64(p.generations[slot])<<32 | uint64(slot+1), pool: p}
	p.generations[slot]++
	slots[slot] = w
	p.slots.Store(&slots)
	return w
}

// ByID returns a living worker, or nil. It takes no lock and does not allocate.
func (p *Pool) ByID(id uint64) *Worker {
	slots := *p.slots.Load()
	slot := int(uint32(id)) - 1
	if slot < 0 || slot >= len(slots) {
		return nil
	}
	if w := slots[slot]; w != nil && w.ID == id {
		return w
	}
	return nil
}

// Release gives a worker back at the end of its thread. It becomes idle, or is retired when its channel is not
// healthy, when an answer is outstanding on it, or when the pool keeps enough others. To release a worker that is not
// bound does nothing.
func (p *Pool) Release(w *Worker) {
	reusable := w.reusable()
	p.mu.Lock()
	if w.state != bound {
		p.mu.Unlock()
		return
	}
	if reusable && !p.closed && len(p.idle) < p.options.Idle {
		w.state = idle
		p.idle = append(p.idle, w)
		p.mu.Unlock()
		return
	}
	old := p.remove(w)
	p.mu.Unlock()
	hangUp(old)
}

// Retire closes the worker's channel and forgets the worker. To retire one twice does nothing more.
func (p *Pool) Retire(w *Worker) {
	p.mu.Lock()
	old := p.remove(w)
	p.mu.Unlock()
	hangUp(old)
}

// remove takes a worker out of the pool, once, and returns the channel that is to be closed when the lock is let go.
func (p *Pool) remove(w *Worker) *channel.Channel {
	if w.state == retired {
		return nil
	}
	if w.state == idle {
		p.idle = slices.DeleteFunc(p.idle, func(x *Worker) bool { return x == w })
	}
	w.state = retired
	p.alive--
	slot := int(uint32(w.ID)) - 1
	slots := slices.Clone(*p.slots.Load())
	slots[slot] = nil
	p.slots.Store(&slots)
	p.free = append(p.free, slot)
	p.past.addWorker(w)
	p.past.InFlight = 0 // whatever waited on it waits no more
	p.past.Retired++
	old := w.channel
	w.channel = nil
	return old
}

func hangUp(c *channel.Channel) {
	if c != nil {
		c.Close()
	}
}

// Close retires the idle workers. A bound one is left to its thread, and retired when that releases it. Acquire then
// returns ErrClosed. A second Close does nothing.
func (p *Pool) Close() {
	p.mu.Lock()
	p.closed = true
	var open []*channel.Channel
	for len(p.idle) > 0 {
		open = append(open, p.remove(p.idle[len(p.idle)-1]))
	}
	p.mu.Unlock()
	for _, c := range open {
		hangUp(c)
	}
}
