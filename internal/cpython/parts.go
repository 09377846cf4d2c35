package cpython

// #include "shim.h"
import "C"

import (
	"slices"
	"unsafe"
)

// A frame that Python has written may have parts: large binaries that are not in the buffer, but stay in the memory of their Python
// objects and are sent from there. The objects live until the shim gets the GIL after Sent, SetLen or SetFrame, or the call is over.

func (t *Thread) parts() []C.erlpy_part {
	parts := t.frame.parts
	if parts == nil || parts.count == 0 {
		return nil
	}
	// SAFETY: the list stands right behind the struct, in memory that C frees only between steps.
	list := (*C.erlpy_part)(unsafe.Add(unsafe.Pointer(parts), C.sizeof_erlpy_parts))
	return unsafe.Slice(list, int(parts.count))
}

// Apart reports whether the frame has parts.
func (t *Thread) Apart() bool { return t.frame.parts != nil && t.frame.parts.count > 0 }

// Size is the length of the whole frame, with all its parts.
func (t *Thread) Size() int {
	if !t.Apart() {
		return int(t.frame.len)
	}
	return int(t.frame.len + t.frame.parts.bytes)
}

// AppendPieces appends the frame's pieces, in the order in which they make it up. They are valid for as long as Bytes is.
func (t *Thread) AppendPieces(pieces [][]byte) [][]byte {
	frame, at := t.Frame(), 0
	for _, part := range t.parts() {
		// SAFETY: an immutable object that the shim keeps alive.
		pieces = append(pieces, frame[at:part.at], unsafe.Slice((*byte)(part.p), int(part.n)))
		at = int(part.at)
	}
	return append(pieces, frame[at:])
}

// Payload returns a copy of the payload, with all its parts.
func (t *Thread) Payload() []byte {
	return slices.Concat(t.AppendPieces(nil)...)[HeaderSize:]
}

// Join copies the parts into the buffer, for a reader that needs the frame in one piece.
func (t *Thread) Join() error {
	if t.Apart() && C.erlpy_buf_join(&t.frame) != 0 {
		return ErrNoMemory
	}
	return nil
}

// Sent says that the frame has gone out, and is not needed any more: its parts are let go of, and a large buffer is given back.
func (t *Thread) Sent() {
	t.forgetParts()
	if t.frame.cap > C.ERLPY_FRAME_KEEP {
		C.erlpy_buf_trim(&t.frame)
	}
}

func (t *Thread) forgetParts() {
	if t.frame.parts != nil {
		t.frame.parts.count = 0
	}
}
