package engine

import (
	"context"
	"sync"
	"time"

	"github.com/erlpy/erlpy/etf"
	"github.com/erlpy/erlpy/internal/cpython"
)

const (
	// Items that come one right after the other leave together: so many, or so many bytes, or those that are there after so long a time; and
	// before the thread waits for a result.
	gatherItems = 64
	gatherBytes = 16 << 10
	gatherTime  = 100 * time.Microsecond

	// Results are handed to Python up to so many bytes at a time, but for one larger one.
	handBytes = 64 << 10

	minRing = 64
)

// pipe is what stands behind one erlang.map: items go in, results come out in the same order. Items are numbered from 0.
//
// Its mu comes before that of async.
type pipe struct {
	e      *Engine
	name   []byte
	gather int // items that leave together at most
	ctx    context.Context
	cancel context.CancelFunc

	mu     sync.Mutex
	in     items // that have not been sent yet, the youngest ones
	timer  *time.Timer
	timed  bool // the timer runs
	first  uint64
	last   uint64 // first to last - 1 are the items whose results Python has not got
	ring   []slot // by number modulo its length, a power of 2
	open   int    // of these items, those that have no result yet
	held   int64  // bytes of results that Python has not got
	flying map[*batch]struct{}
	waiter int // wake descriptor of the thread that waits for a result; else -1
	closed bool
}

// slot is the result of an item.
type slot struct {
	state   slotState
	count   uint32 // results in the payload: this one and those of the next items
	payload []byte // terms without version byte
}

type slotState uint8

const (
	empty   slotState = iota
	good              // payload is count results
	bad               // payload is how the call failed
	covered           // the result is in the payload of a slot before
)

func newPipe(e *Engine, name []byte, window uint64) *pipe {
	ctx, cancel := context.WithCancel(context.Background())
	p := &pipe{
		e: e, name: name, gather: int(max(1, min(gatherItems, window/4))), ctx: ctx, cancel: cancel,
		ring: make([]slot, minRing), flying: make(map[*batch]struct{}), waiter: -1,
	}
	p.timer = time.AfterFunc(time.Hour, p.tick)
	p.timer.Stop()
	return p
}

func (p *pipe) slot(n uint64) *slot { return &p.ring[n&uint64(len(p.ring)-1)] }

// put takes an item, one term; or does not, when there is no room for one more of this map. One
// item is always let in, as each thread may make one call at a time: so a map goes on, whoever has
// the room. It does not block, and runs no function here.
func (p *pipe) put(item []byte) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return true
	}
	if p.first < p.last && p.e.async.budget.full(int64(len(item)+len(p.in.terms)), p.held) {
		p.send() // what there is may be what the function waits for
		return false
	}
	n := p.last
	p.open++
	if p.last++; p.last-p.first > uint64(len(p.ring)) {
		p.grow()
	}
	switch f := p.e.funcs.Lookup(p.name); {
	case f != nil:
		args := argument(item)
		p.e.async.countBytes(int64(len(args)))
		go func() {
			defer p.e.async.countBytes(-int64(len(args)))
			p.e.detached(p.ctx, f, args, func(ok bool, payload []byte) { p.over(n, ok, payload) })
		}()
		return true
	case p.e.closing.Load():
		p.fail(n, errClosing)
		return true
	case p.e.channel == nil:
		p.fail(n, p.e.nobody(string(p.name)))
		return true
	}
	p.in.add(item)
	switch {
	case p.in.count() >= p.gather || len(p.in.terms) >= gatherBytes:
		p.send()
	case !p.timed:
		p.timed = true
		p.timer.Reset(gatherTime)
	}
	return true
}

// tick sends what nothing else has sent.
func (p *pipe) tick() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.timed = false
	if !p.closed {
		p.send()
	}
}

func (p *pipe) grow() {
	ring := make([]slot, 2*len(p.ring))
	for n := p.first; n < p.last-1; n++ {
		ring[n&uint64(len(ring)-1)] = *p.slot(n)
	}
	p.ring = ring
}

// over is told how a Go function has ended.
func (p *pipe) over(n uint64, ok bool, payload []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if ok {
		p.set(n, good, 1, payload[1:])
	} else {
		p.set(n, bad, 1, payload[1:])
	}
}

func (p *pipe) fail(n uint64, err error) {
	failed, _ := etf.Marshal(payload(err))
	p.set(n, bad, 1, failed[1:])
}

// set is given the results of count items, and wakes who waits for one of them.
func (p *pipe) set(n uint64, state slotState, count int, payload []byte) {
	if p.closed {
		return
	}
	p.end(count)
	p.held += int64(len(payload))
	*p.slot(n) = slot{state, uint32(count), payload}
	for i := n + 1; i < n+uint64(count); i++ {
		p.slot(i).state = covered
	}
	if n == p.first && p.waiter >= 0 {
		wake(p.waiter)
		p.waits(-1)
	}
}

// end counts the ends of so many calls.
func (p *pipe) end(count int) {
	p.open -= count
	p.e.pipes.ended.Add(uint64(count))
}

// take hands the results that are ready to the thread, in the layout of shim.h. It reports whether there were any; if not, the thread will be
// woken.
func (p *pipe) take(t *cpython.Thread) (bool, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.first == p.last || p.slot(p.first).state == empty {
		p.send()
		if p.slot(p.first).state == empty {
			return false, nil
		}
	}
	size := cpython.HeaderSize
	for p.first < p.last && (size == cpython.HeaderSize || size < handBytes) {
		s := p.slot(p.first)
		if s.state == empty {
			break
		}
		b, err := t.Grow(size + recordSize + len(s.payload))
		if err != nil {
			return true, err
		}
		size += putRecord(b[size:], s)
		p.held -= int64(len(s.payload))
		for end := p.first + uint64(s.count); p.first < end; p.first++ {
			*p.slot(p.first) = slot{}
		}
	}
	t.SetLen(size)
	return true, nil
}

// await has the thread woken when the next result is there; a negative descriptor, no thread any more.
func (p *pipe) await(wakeFD int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.waits(wakeFD)
	if wakeFD >= 0 && p.slot(p.first).state != empty {
		wake(wakeFD)
	}
}

// waits notes the descriptor of the thread that waits, or that none does. While one does the node's
// channel is read whatever Python has yet to take.
func (p *pipe) waits(wakeFD int) {
	if waits := wakeFD >= 0; waits != (p.waiter >= 0) {
		p.e.async.mapWaits(waits)
	}
	p.waiter = wakeFD
}

// close takes back whatever is under way.
func (p *pipe) close() {
	p.cancel()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	p.end(p.open)
	p.timer.Stop()
	p.e.async.forget(p.flying)
	p.flying, p.ring, p.in = nil, nil, items{}
}
