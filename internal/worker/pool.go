package worker

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/erlpy/erlpy/internal/channel"
)

// DefaultMax is the number of workers that may live at once, unless configured.
const DefaultMax = 1024

// DefaultKeep idle workers stay for good, others for DefaultLinger after their last use.
const (
	DefaultKeep   = 16
	DefaultLinger = 5 * time.Second
)

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
	Keep    int              // workers kept for good while idle; 0 is DefaultKeep
	Linger  time.Duration    // how long others are kept; 0 is DefaultLinger
}

// Pool owns the workers. Its methods may be called from any goroutine or thread.
type Pool struct {
	options Options

	mu     sync.Mutex
	closed bool
	made   uint64               // workers so far: the last one's ID
	alive  map[*Worker]struct{} // bound and idle
	idle   []*Worker            // the one released last at the end
	least  int                  // of idle, since the last trim
	timed  bool                 // the next trim is to come
	past   Stats                // of what is gone: retired workers, closed channels
}

// NewPool returns an empty pool.
func NewPool(o Options) *Pool {
	if o.Max <= 0 {
		o.Max = DefaultMax
	}
	if o.Keep <= 0 {
		o.Keep = DefaultKeep
	}
	if o.Linger <= 0 {
		o.Linger = DefaultLinger
	}
	return &Pool{options: o, alive: make(map[*Worker]struct{})}
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
		p.least = min(p.least, n-1)
		w.state = bound
		return w, nil
	}
	if len(p.alive) >= p.options.Max {
		return nil, &LimitError{Max: p.options.Max}
	}
	p.made++
	w := &Worker{ID: p.made, pool: p}
	p.alive[w] = struct{}{}
	return w, nil
}

// Release gives a worker back at the end of its thread, with no answer outstanding on it. It
// becomes idle, or is retired when its channel is not healthy. Releasing an unbound worker does
// nothing.
func (p *Pool) Release(w *Worker) {
	reusable := w.reusable()
	p.mu.Lock()
	if w.state != bound {
		p.mu.Unlock()
		return
	}
	if reusable && !p.closed {
		w.state = idle
		p.idle = append(p.idle, w)
		p.trimLater()
		p.mu.Unlock()
		return
	}
	old := p.remove(w)
	p.mu.Unlock()
	hangUp(old)
}

// trimLater schedules a trim if there are more idle workers than Keep. With p.mu held.
func (p *Pool) trimLater() {
	if len(p.idle) > p.options.Keep && !p.timed {
		p.timed = true
		p.least = len(p.idle)
		time.AfterFunc(p.options.Linger, p.trim)
	}
}

// trim retires the workers idle since the last trim, beyond Keep. The last released is the first
// to be bound again, so these are the first p.least.
func (p *Pool) trim() {
	p.mu.Lock()
	p.timed = false
	var old []*channel.Channel
	for n := p.least - p.options.Keep; n > 0 && len(p.idle) > p.options.Keep; n-- {
		old = append(old, p.remove(p.idle[0]))
	}
	p.trimLater()
	p.mu.Unlock()
	for _, c := range old {
		hangUp(c)
	}
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
		p.least = min(p.least, len(p.idle))
	}
	w.state = retired
	delete(p.alive, w)
	p.past.Retired++
	old := w.channel
	if old != nil {
		p.past.addChannel(old)
	}
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
