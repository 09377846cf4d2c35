package cpython

// #include "shim.h"
import "C"

import "sync/atomic"

// Counts are a thread's figures since its first call.
type Counts struct {
	Calls    uint64 // of functions, that are done
	InFlight uint64 // of functions, that are not
	Lent     uint64 // of Calls: those made on a loan
	BytesIn  uint64 // on loans
	BytesOut uint64
}

// Counts returns the thread's figures. Any goroutine may call it, as long as the thread's step Exit has not returned.
func (t *Thread) Counts() Counts {
	load := func(n *C.uint64_t) uint64 { return atomic.LoadUint64((*uint64)(n)) }
	return Counts{load(&t.calls), load(&t.in_flight), load(&t.loan.calls), load(&t.loan.bytes_in), load(&t.loan.bytes_out)}
}

// Plus returns the sums.
func (c Counts) Plus(d Counts) Counts {
	return Counts{c.Calls + d.Calls, c.InFlight + d.InFlight, c.Lent + d.Lent, c.BytesIn + d.BytesIn, c.BytesOut + d.BytesOut}
}
