package cpython

// #include <stdlib.h>
// #include "shim.h"
import "C"

import (
	"errors"
	"time"
	"unsafe"
)

// HeaderSize is the room in front of a frame's payload for its header.
const HeaderSize = C.ERLPY_HEADER

// CompletionSize is the room in front of the payload of a submitted call's answer.
const CompletionSize = C.ERLPY_COMPLETION

// RecordSize is the room in front of the results of a map.
const RecordSize = C.ERLPY_RECORD

// Event is what the shim tells with each step.
type Event int

// See shim.h for what each means.
const (
	Call    Event = C.ERLPY_EV_CALL
	Resume  Event = C.ERLPY_EV_RESUME
	Reply   Event = C.ERLPY_EV_REPLY
	Serve   Event = C.ERLPY_EV_SERVE
	Abort   Event = C.ERLPY_EV_ABORT
	Timeout Event = C.ERLPY_EV_TIMEOUT
	Cast    Event = C.ERLPY_EV_CAST
	Submit  Event = C.ERLPY_EV_SUBMIT
	Cancel  Event = C.ERLPY_EV_CANCEL
	Reap    Event = C.ERLPY_EV_REAP

	MapBegin   Event = C.ERLPY_EV_MAP_BEGIN
	MapItem    Event = C.ERLPY_EV_MAP_ITEM
	MapResults Event = C.ERLPY_EV_MAP_RESULTS
	MapEnd     Event = C.ERLPY_EV_MAP_END

	Integers Event = C.ERLPY_EV_INTEGERS

	Offer  Event = C.ERLPY_EV_OFFER
	Reaped Event = C.ERLPY_EV_REAPED

	Lent Event = C.ERLPY_EV_LENT
)

// Action is what the shim is told to do next.
type Action int

// See shim.h for what each asks.
const (
	Done   Action = C.ERLPY_ACT_DONE
	Failed Action = C.ERLPY_ACT_FAILED
	Sleep  Action = C.ERLPY_ACT_SLEEP
	Nested Action = C.ERLPY_ACT_NESTED
	Closed Action = C.ERLPY_ACT_CLOSED

	Integer Action = C.ERLPY_ACT_INTEGER
	Refused Action = C.ERLPY_ACT_REFUSED
)

// ErrNoMemory is returned when a frame cannot grow.
var ErrNoMemory = errors.New("erlpy: no memory for a frame")

// Thread is one Python thread as the shim knows it. Only code that runs on that thread may use it, within a step.
type Thread C.erlpy_thread

// Handle is the number that SetHandle stored; 0 before.
func (t *Thread) Handle() uint64 { return uint64(t.handle) }

// SetHandle keeps a number with the thread. As long as it is not 0, Stepper.Exit will be called at the thread's end.
func (t *Thread) SetHandle(id uint64) { t.handle = C.uint64_t(id) }

// Outer is the handle of the thread's own state, for one beside it; else 0.
func (t *Thread) Outer() uint64 { return uint64(t.outer) }

// Bytes is the thread's frame buffer, as long as its capacity. It is C memory: valid until the next Grow or the end of the step.
func (t *Thread) Bytes() []byte {
	return unsafe.Slice((*byte)(t.frame.p), int(t.frame.cap))
}

// Frame is the part of the buffer that is in use: header and payload, but for large binaries that are Apart.
func (t *Thread) Frame() []byte { return t.Bytes()[:t.frame.len] }

// SetLen says how much of the buffer is in use, by something that has no parts.
func (t *Thread) SetLen(n int) {
	t.frame.len = C.size_t(n)
	t.forgetParts()
}

// Grow makes the buffer at least n bytes long, keeps what is in it, and returns it.
func (t *Thread) Grow(n int) ([]byte, error) {
	if C.size_t(n) > t.frame.cap && C.erlpy_buf_grow(&t.frame, C.size_t(n)) != 0 {
		return nil, ErrNoMemory
	}
	return t.Bytes(), nil
}

// SetFrame copies a whole frame into the buffer. frame may be the buffer's own memory.
func (t *Thread) SetFrame(frame []byte) error {
	b, err := t.Grow(len(frame))
	if err != nil {
		return err
	}
	copy(b, frame)
	t.SetLen(len(frame))
	return nil
}

// ReplyOK reports, with Reply, whether the nested call succeeded.
func (t *Thread) ReplyOK() bool { return t.reply_ok != 0 }

// WaitFor sets what Sleep waits for: fd (-1: nothing) to become readable, or writable when write is set, for at most d (negative: no
// limit). The thread's wake descriptor always ends the wait.
func (t *Thread) WaitFor(fd int, write bool, d time.Duration) {
	t.fd = C.int32_t(fd)
	t.want_write = 0
	if write {
		t.want_write = 1
	}
	t.wait_ns = C.int64_t(d)
}

// Timeout is how long the call that begins may take; negative: no limit. The shim keeps the time, but for submitted calls.
func (t *Thread) Timeout() time.Duration { return time.Duration(t.timeout_ns) }

// Token is that of the call which is submitted or cancelled, or the number of a map.
func (t *Thread) Token() uint64 { return uint64(t.token) }

// SetToken answers with the number of a map.
func (t *Thread) SetToken(n uint64) { t.token = C.uint64_t(n) }

// Integers is the call that the thread holds and no frame. The name is Python's memory, valid until the end of the step. Of one argument b is
// undefined.
func (t *Thread) Integers() (name []byte, a, b int64, count int) {
	c := &t.integers
	// SAFETY: the caller in Python keeps the str whose memory it is.
	return unsafe.Slice((*byte)(unsafe.Pointer(c.name)), int(c.size)), int64(c.args[0]), int64(c.args[1]), int(c.count)
}

// SetInteger answers it.
func (t *Thread) SetInteger(n int64) { t.integers.args[0] = C.int64_t(n) }

// WakeFD is the eventfd that ends the thread's sleep, -1 before SetWakeFD.
func (t *Thread) WakeFD() int { return int(t.wake_fd) }

// SetWakeFD hands over an eventfd; it is closed at the thread's end.
func (t *Thread) SetWakeFD(fd int) { t.wake_fd = C.int32_t(fd) }

// OthersWait reports whether other threads are on their way into a step, or in LetOthers: they may lack a P.
func OthersWait() bool { return C.erlpy_others_wait() != 0 }

// LetOthers calls yield, and has this thread be one that waits meanwhile.
func (t *Thread) LetOthers(yield func()) {
	t.waits = 1
	yield()
	t.waits = 0
}

// NewThread returns a thread's state that belongs to no Python thread, for a Stepper to be tested with. Free releases it.
func NewThread() *Thread {
	t := (*Thread)(C.calloc(1, C.sizeof_erlpy_thread))
	t.fd, t.wake_fd, t.timeout_ns = -1, -1, -1
	return t
}

// HoldIntegers has such a thread hold a call of integers. The name takes the place of what is in its frame.
func (t *Thread) HoldIntegers(name string, args ...int64) error {
	if err := t.SetFrame([]byte(name)); err != nil {
		return err
	}
	t.integers = C.erlpy_integers{name: (*C.char)(unsafe.Pointer(t.frame.p)), size: t.frame.len, count: C.uint32_t(len(args))}
	for i, n := range args {
		t.integers.args[i] = C.int64_t(n)
	}
	return nil
}

// Integer is what SetInteger has answered.
func (t *Thread) Integer() int64 { return int64(t.integers.args[0]) }

// Free releases what NewThread made.
func (t *Thread) Free() {
	C.free(unsafe.Pointer(t.frame.p))
	C.free(unsafe.Pointer(t))
}
