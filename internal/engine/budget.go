package engine

import (
	"container/list"
	"fmt"
	"sync/atomic"
)

// callOverhead is the cost of a submitted call beside its bytes, in Python, in Go and at the node:
// a bound on bytes is one on calls too.
const callOverhead = 512

// budget bounds the bytes of submitted calls: arguments until the answer has come, answers until
// Python has them. Guarded by async.mu.
//
// Room is given in order of arrival. A thread gets it reserved, since it takes it without fail. A
// coroutine is told, and comes again: its loop may be blocked meanwhile, by a thread that waits for
// room itself. So what loops are promised keeps their own later calls back, and nobody else's; in
// return a promise is kept, even if others have taken the room.
type budget struct {
	bound  int64
	used   atomic.Int64
	queue  list.List // of *waiter, each a thread, and of *loop
	queued atomic.Int64
	loops  map[uint64]*loop
}

// loop is a thread whose coroutines wait for room. Its place in the budget's queue is that of its
// first waiter.
type loop struct {
	handle   uint64 // of the thread
	waiters  list.List
	promised int64
	place    *list.Element
}

// waiter waits for room: a thread, or a coroutine.
type waiter struct {
	size     int64
	wake     func()        // tells it that there is room
	loop     *loop         // of a coroutine that has waited; else nil
	place    *list.Element // in a queue
	got      bool          // a thread's: the room is reserved
	promised int64         // a coroutine's: so much room, and it has not come again
}

// fullError is why the completion thread cannot submit now.
type fullError struct{ bound int64 }

func (e *fullError) Error() string {
	return fmt.Sprintf("%d bytes is the bound on submitted calls under way (max_submitted_bytes), and the completion thread, which runs "+
		"done-callbacks, cannot wait for room: submit from another thread", e.bound)
}

// fits reports whether there is room for so many bytes, beside others that are expected. A call
// larger than the bound fits alone.
func (b *budget) fits(size, expected int64) bool {
	used := b.used.Load() + expected
	return used == 0 || used+size <= b.bound
}

// full reports whether a map has no room for more; held bytes are its own results. Any goroutine
// may call it.
func (b *budget) full(size, held int64) bool {
	return b.queued.Load() > 0 || b.used.Load()+held+size > b.bound
}

// enter takes room for a waiter whose turn it is. false: it has to wait. handle is that of a
// coroutine's thread, 0 for a thread that can wait.
func (b *budget) enter(w *waiter, handle uint64) bool {
	if w.promised > 0 {
		b.used.Add(w.size)
		b.leave(w)
		return true
	}
	if b.queue.Len() > 0 || b.loops[handle] != nil || !b.fits(w.size, 0) {
		return false
	}
	b.used.Add(w.size)
	return true
}

// waitThread queues a thread.
func (b *budget) waitThread(w *waiter) {
	w.place = b.queue.PushBack(w)
	b.queued.Add(1)
	b.grant()
}

// waitCoroutine queues a coroutine, behind the others of its thread.
func (b *budget) waitCoroutine(w *waiter, handle uint64) {
	l := b.loops[handle]
	if l == nil {
		l = &loop{handle: handle}
		if b.loops == nil {
			b.loops = make(map[uint64]*loop)
		}
		b.loops[handle] = l
	}
	w.loop = l
	w.place = l.waiters.PushBack(w)
	b.queued.Add(1)
	b.settle(l)
	b.grant()
}

// leave takes back what a waiter has: its place, its promise or its room.
func (b *budget) leave(w *waiter) {
	switch l := w.loop; {
	case w.place != nil:
		b.remove(w)
	case w.promised > 0:
		l.promised -= w.promised
		w.promised = 0
		b.settle(l)
	case w.got:
		w.got = false
		b.used.Add(-w.size)
	default:
		return
	}
	b.grant()
}

// add counts bytes that come or go.
func (b *budget) add(n int64) {
	if b.used.Add(n); n < 0 {
		b.grant()
	}
}

// grant gives room to waiters until one has to wait for others' calls to end.
func (b *budget) grant() {
	for at := b.queue.Front(); at != nil; {
		next := at.Next()
		w, isThread := at.Value.(*waiter)
		var expected int64
		if !isThread {
			l := at.Value.(*loop)
			w, expected = l.waiters.Front().Value.(*waiter), l.promised
		}
		switch {
		case !b.fits(w.size, 0):
			return
		case !b.fits(w.size, expected): // it waits for its own loop
			at = next
			continue
		case isThread:
			w.got = true
			b.used.Add(w.size)
		default:
			w.promised = w.size
			w.loop.promised += w.size
		}
		b.remove(w)
		w.wake()
		if at = next; at == nil && !isThread {
			at = b.queue.Back() // where its loop is now, if others wait there
		}
	}
}

// remove takes a waiter out of its queue.
func (b *budget) remove(w *waiter) {
	b.queued.Add(-1)
	if w.loop == nil {
		b.queue.Remove(w.place)
	} else {
		first := w.place == w.loop.waiters.Front()
		w.loop.waiters.Remove(w.place)
		if first {
			b.queue.Remove(w.loop.place)
			w.loop.place = nil
		}
		b.settle(w.loop)
	}
	w.place = nil
}

// settle gives a loop its place in the queue, at the end, or forgets a loop that waits for nothing.
func (b *budget) settle(l *loop) {
	switch {
	case l.waiters.Len() > 0 && l.place == nil:
		l.place = b.queue.PushBack(l)
	case l.waiters.Len() == 0 && l.promised == 0:
		b.forget(l)
	}
}

// forget parts a loop from its thread, whose number another may get.
func (b *budget) forget(l *loop) {
	if b.loops[l.handle] == l {
		delete(b.loops, l.handle)
	}
}
