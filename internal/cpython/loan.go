package cpython

// #include "shim.h"
import "C"

import (
	"syscall"
	"unsafe"
)

// Loan is a channel that the shim may make calls on by itself; see erlpy_loan in shim.h.
type Loan struct {
	FD    int
	ID    uint32 // of the last call made on the channel
	Last  uint32 // the loan ends with the call of this number
	Polls int    // how often to look for an answer
	Limit int    // the largest frame, either way, with its length field
}

// Returned is what comes back of a loan: the last call's number, and with the event Lent how far that call has come.
type Returned struct {
	ID   uint32
	Sent int           // bytes of the frame
	Got  int           // bytes of what answers it, in the frame's place
	Err  syscall.Errno // of the last look for it; 0 when it got something, or the end of the stream
}

// Lend lends a channel until TakeBack.
func (t *Thread) Lend(l Loan) {
	t.loan.fd, t.loan.id, t.loan.last = C.int32_t(l.FD), C.uint32_t(l.ID), C.uint32_t(l.Last)
	t.loan.polls, t.loan.limit = C.uint32_t(l.Polls), C.uint32_t(l.Limit)
	t.loan.open = 1
}

// TakeBack ends a loan; false: there was none.
func (t *Thread) TakeBack() (Returned, bool) {
	if t.loan.open == 0 {
		return Returned{}, false
	}
	t.loan.open = 0
	return Returned{uint32(t.loan.id), int(t.loan.sent), int(t.loan.got), syscall.Errno(t.loan.error)}, true
}

// SetTurns sets how many threads may make calls on loans at a time. Before the first call.
func SetTurns(n int) { C.erlpy_turns(C.int(n)) }

// Claim has every call of that name go through a Stepper from now on. Any goroutine may call it.
func Claim(name string) {
	// SAFETY: C reads it during the call only.
	C.erlpy_claim((*C.uint8_t)(unsafe.StringData(name)), C.size_t(len(name)))
}
