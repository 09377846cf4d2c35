package engine

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/erlpy/erlpy/etf"
	"github.com/erlpy/erlpy/internal/channel"
	"github.com/erlpy/erlpy/internal/cpython"
)

// items are terms that will be arguments, one of each call.
type items struct {
	terms []byte
	sizes []byte // 4 bytes each, as PROTOCOL.md section 4.1 has them
}

func (i *items) add(term []byte) {
	i.terms = append(i.terms, term...)
	i.sizes = binary.BigEndian.AppendUint32(i.sizes, uint32(len(term)))
}

func (i *items) count() int { return len(i.sizes) / 4 }

// reset empties it and keeps the memory, unless that is large.
func (i *items) reset() {
	if cap(i.terms) > 4*gatherBytes {
		i.terms = nil
	}
	i.terms, i.sizes = i.terms[:0], i.sizes[:0]
}

// argument is the list of arguments whose only one the term is.
func argument(term []byte) []byte {
	b, _ := etf.AppendList(make([]byte, 0, len(term)+6), 1)
	return etf.AppendNil(append(b, term...))
}

// head is the payload of a calls frame up to the terms; behind them stands nilTail.
func (i *items) head(name []byte) []byte {
	b := make([]byte, 0, len(name)+len(i.sizes)+24)
	b, _ = etf.AppendTuple(etf.AppendVersion(b), 3)
	b, _ = etf.AppendBytes(b, name)
	b, _ = etf.AppendBytes(b, i.sizes)
	b, _ = etf.AppendList(b, i.count())
	return b
}

var nilTail = etf.AppendNil(nil)

// batch is a calls frame whose answers have not all come.
type batch struct {
	pipe *pipe
	id   uint32
	base uint64 // number of its first item
	size uint64
	left uint64 // answers that are missing
	held int64  // in the budget, until all have come
}

// send puts the gathered items on their way. With p.mu held.
func (p *pipe) send() {
	if n := p.in.count(); n > 0 {
		p.sendItems(p.last-uint64(n), &p.in)
		p.in.reset()
	}
}

func (p *pipe) sendItems(base uint64, in *items) {
	n := uint64(in.count())
	b := &batch{pipe: p, base: base, size: n, left: n, held: int64(len(in.terms))}
	p.flying[b] = struct{}{}
	err := p.e.sendBatch(b, in)
	if err == nil {
		return
	}
	p.e.async.drop(b)
	delete(p.flying, b)
	var limit *channel.LimitError
	if n == 1 || !errors.As(err, &limit) {
		for i := base; i < base+n; i++ {
			p.fail(i, err)
		}
		return
	}
	// Too much for a frame: each alone.
	terms := in.terms
	for i := range n {
		size := binary.BigEndian.Uint32(in.sizes[4*i:])
		var one items
		one.add(terms[:size])
		terms = terms[size:]
		p.sendItems(base+i, &one)
	}
}

func (e *Engine) sendBatch(b *batch, in *items) error {
	a := &e.async
	a.mu.Lock()
	b.id = a.nextID()
	a.batches[b.id] = b
	a.budget.add(b.held)
	mux := e.muxLocked()
	a.mu.Unlock()
	return mux.SendNow(channel.Calls, b.id, in.head(b.pipe.name), in.terms, nilTail)
}

// drop forgets a batch that is over, or was not sent.
func (a *async) drop(b *batch) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.dropLocked(b)
}

func (a *async) dropLocked(b *batch) {
	delete(a.batches, b.id)
	a.budget.add(-b.held)
	b.held = 0
}

// forget takes batches back.
func (a *async) forget(batches map[*batch]struct{}) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for b := range batches {
		a.dropLocked(b)
		if a.mux != nil {
			_ = a.mux.Send(channel.Cancel, b.id) // a channel that is lost has killed it
		}
	}
}

// answered is given an answer of the node: PROTOCOL.md section 4.1. Its error is a violation.
func (b *batch) answered(ok bool, payload []byte) error {
	at, n, terms, err := splitAnswer(ok, payload)
	if err != nil {
		return err
	}
	p := b.pipe
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil
	}
	if at < 1 || at-1+n > b.size || n > b.left {
		return errAnswer
	}
	from := b.base + at - 1
	for i := from; i < from+n; i++ {
		if i < p.first || p.slot(i).state != empty {
			return errAnswer // a second one
		}
	}
	if ok {
		p.set(from, good, int(n), terms)
	} else {
		p.set(from, bad, 1, terms)
	}
	if b.left -= n; b.left == 0 {
		delete(p.flying, b)
		p.e.async.drop(b)
	}
	return nil
}

// fail gives every call of the batch that is unanswered the failure.
func (b *batch) fail(failed []byte) {
	p := b.pipe
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, flies := p.flying[b]; !flies {
		return
	}
	for i := b.base; i < b.base+b.size; i++ {
		if i >= p.first && p.slot(i).state == empty {
			p.set(i, bad, 1, failed[1:])
		}
	}
	delete(p.flying, b)
	p.e.async.drop(b)
}

var errAnswer = fmt.Errorf("%w: protocol error: an answer that belongs to no call", channel.ErrDisconnected)

// splitAnswer finds the parts of {First, Result, ...}, or of {Position, Failure}.
func splitAnswer(ok bool, payload []byte) (at, n uint64, terms []byte, err error) {
	if len(payload) == 0 || payload[0] != tagVersion {
		return 0, 0, nil, errAnswer
	}
	d := etf.NewDecoder(payload[1:])
	size, err := d.TupleLen()
	if err != nil || size < 2 || (!ok && size != 2) {
		return 0, 0, nil, errAnswer
	}
	first, err := d.Int()
	if err != nil || first < 1 {
		return 0, 0, nil, errAnswer
	}
	return uint64(first), uint64(size - 1), d.Rest(), nil
}

// A record of results in a thread's frame, shim.h: good (1 byte), count (4), length (4), terms.
const recordSize = cpython.RecordSize

func putRecord(b []byte, s *slot) int {
	b[0] = 0
	if s.state == good {
		b[0] = 1
	}
	binary.BigEndian.PutUint32(b[1:], s.count)
	binary.BigEndian.PutUint32(b[5:], uint32(len(s.payload)))
	return recordSize + copy(b[recordSize:], s.payload)
}
