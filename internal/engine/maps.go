package engine

import (
	"errors"
	"sync"
	"sync/atomic"

	"github.com/erlpy/erlpy/internal/cpython"
)

var errNoPipe = errors.New("erlpy: the map is over")

// pipes are the maps that are under way, by the number that Python has for each.
type pipes struct {
	mu     sync.RWMutex
	last   uint64
	byID   map[uint64]*pipe
	closed bool
	ended  atomic.Uint64 // calls of all maps so far
}

// count adds the calls of all maps.
func (r *pipes) count(s *Stats) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	for _, p := range r.byID {
		p.mu.Lock()
		s.InFlight += p.open
		p.mu.Unlock()
	}
	s.Calls += r.ended.Load()
}

func (r *pipes) get(id uint64) *pipe {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.byID[id]
}

func (r *pipes) add(p *pipe) (id uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.byID == nil {
		r.byID = make(map[uint64]*pipe)
	}
	r.last++
	r.byID[r.last] = p
	if r.closed {
		p.cancel()
	}
	return r.last
}

func (r *pipes) remove(id uint64) *pipe {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.byID[id]
	delete(r.byID, id)
	return p
}

// close stops the Go functions that run for maps. The threads are woken by other means, and close the maps themselves.
func (r *pipes) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	for _, p := range r.byID {
		p.cancel()
	}
}

// mapBegin makes a pipe for the function whose name is in the frame; the token says how many items may be in it, and becomes its number.
func (e *Engine) mapBegin(t *cpython.Thread) cpython.Action {
	name := append([]byte(nil), t.Frame()[cpython.HeaderSize:]...)
	t.SetToken(e.pipes.add(newPipe(e, name, t.Token())))
	return cpython.Done
}

// mapItem puts the term in the frame into a pipe, or refuses it while there is no room. With the
// GIL held: it must not take long.
func (e *Engine) mapItem(t *cpython.Thread) cpython.Action {
	p := e.pipes.get(t.Token())
	if p == nil {
		return e.fail(t, errNoPipe)
	}
	if !p.put(t.Frame()[cpython.HeaderSize:]) {
		return cpython.Refused
	}
	return cpython.Done
}

// mapResults hands over the next results, or puts the thread to sleep until there are some. At first with the GIL held, as mapItem.
func (e *Engine) mapResults(t *cpython.Thread) cpython.Action {
	p := e.pipes.get(t.Token())
	if p == nil {
		return e.fail(t, errNoPipe)
	}
	done, err := p.take(t)
	if done && err == nil && t.Handle() == 0 {
		return cpython.Done
	}
	s := e.session(t)
	waits := len(s.stack) > 0 && s.top().pipe == p
	if err == nil && !done {
		if err = e.await(t, p); err == nil {
			if !waits {
				s.push(entry{kind: mapping, pipe: p})
			}
			t.WaitFor(-1, false, -1)
			return cpython.Sleep
		}
	}
	if waits {
		p.await(-1)
		s.pop()
	}
	if err != nil {
		return e.fail(t, err)
	}
	return cpython.Done
}

func (e *Engine) await(t *cpython.Thread, p *pipe) error {
	if e.closing.Load() {
		return errClosing
	}
	if err := makeWakeFD(t); err != nil {
		return err
	}
	p.await(t.WakeFD())
	return nil
}

// mapEnd takes back what is in a pipe, and forgets it.
func (e *Engine) mapEnd(t *cpython.Thread) cpython.Action {
	if p := e.pipes.remove(t.Token()); p != nil {
		p.close()
	}
	return cpython.Done
}
