package channel

import (
	"encoding/binary"
	"fmt"
)

// HeaderSize is the number of bytes before the payload of a frame: length, kind and id.
const HeaderSize = 9

// The length field does not count itself, only the kind, the id and the payload.
const (
	lengthSize   = 4
	uncounted    = HeaderSize - lengthSize
	defaultFrame = 64 << 20
)

// Kind says what a frame is for: PROTOCOL.md, section 2.
type Kind uint8

// The kinds of frames.
const (
	Hello Kind = iota + 1
	Call
	OK
	Error
	Cast
	Cancel
	Bye
	Calls
)

var kindNames = [...]string{Hello: "hello", Call: "call", OK: "ok", Error: "error", Cast: "cast", Cancel: "cancel", Bye: "bye", Calls: "calls"}

// String returns the name that PROTOCOL.md uses.
func (k Kind) String() string {
	if k.valid() {
		return kindNames[k]
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

func (k Kind) valid() bool { return k >= Hello && k <= Calls }

// Header is the fixed part of a frame.
type Header struct {
	Kind Kind
	ID   uint32
	Size int // bytes of payload; negative when the length field was too small to be true
}

// PutHeader writes the header of a frame with that many bytes of payload to the first HeaderSize bytes of b.
func PutHeader(b []byte, payload int, k Kind, id uint32) {
	_ = b[HeaderSize-1]
	binary.BigEndian.PutUint32(b, uint32(payload+uncounted))
	b[lengthSize] = byte(k)
	binary.BigEndian.PutUint32(b[lengthSize+1:], id)
}

// ParseHeader reads a header from the first HeaderSize bytes of b. It judges nothing: [Channel.Receive] does.
func ParseHeader(b []byte) Header {
	_ = b[HeaderSize-1]
	return Header{
		Kind: Kind(b[lengthSize]),
		ID:   binary.BigEndian.Uint32(b[lengthSize+1:]),
		Size: int(binary.BigEndian.Uint32(b)) - uncounted,
	}
}
