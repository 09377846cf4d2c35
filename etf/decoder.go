package etf

import (
	"encoding/binary"
	"unicode/utf8"
)

// Decoder reads terms from a slice, one after the other. It is a value: make one with NewDecoder, keep it in a variable;
// neither allocates. What it returns never shares memory with the input, but for Bytes, Skip and Rest, which say so.
//
// A method that finds another type of term than it is to read returns a *TypeError, and the scalar methods then leave the
// term unread. After a *SyntaxError or *LimitError, and after an error amid a container, the decoder is of no further use.
// A Decoder is for one goroutine at a time.
type Decoder struct {
	buf   []byte
	off   int
	depth int  // containers entered by Any, Into and Skip
	chars int  // bytes left of a STRING_EXT list: each stands for a small integer
	whole bool // the list entered last has no tail to read
}

// NewDecoder returns a decoder of the terms in b, which has no version byte. It keeps b, and does not change it.
func NewDecoder(b []byte) Decoder { return Decoder{buf: b} }

// NewVersionedDecoder returns a decoder of a whole term, which begins with the version byte.
func NewVersionedDecoder(b []byte) (Decoder, error) {
	if len(b) == 0 || b[0] != version {
		return Decoder{}, &SyntaxError{What: "no version byte 131"}
	}
	return Decoder{buf: b, off: 1}, nil
}

// Rest returns what is not yet read, as a part of the input.
func (d *Decoder) Rest() []byte { return d.buf[d.off:] }

// End returns an error unless everything has been read.
func (d *Decoder) End() error {
	if d.off < len(d.buf) {
		return d.syntax(d.off, "bytes after the end of the term")
	}
	return nil
}

func (d *Decoder) syntax(at int, what string) error { return &SyntaxError{Offset: at, What: what} }

// tag reads the next tag.
func (d *Decoder) tag() (byte, error) {
	if d.off >= len(d.buf) {
		return 0, d.syntax(d.off, "truncated")
	}
	t := d.buf[d.off]
	d.off++
	return t, nil
}

// peek returns the next tag, or 0 when there is none. In a STRING_EXT list it is the tag that the element would have.
func (d *Decoder) peek() byte {
	switch {
	case d.chars > 0:
		return tagSmallInt
	case d.off < len(d.buf):
		return d.buf[d.off]
	}
	return 0
}

// take reads n bytes, as a part of the input.
func (d *Decoder) take(n int) ([]byte, error) {
	if n < 0 || n > len(d.buf)-d.off {
		return nil, d.syntax(d.off, "truncated")
	}
	b := d.buf[d.off : d.off+n : d.off+n]
	d.off += n
	return b, nil
}

func (d *Decoder) uint8() (int, error) {
	b, err := d.take(1)
	if err != nil {
		return 0, err
	}
	return int(b[0]), nil
}

func (d *Decoder) uint16() (int, error) {
	b, err := d.take(2)
	if err != nil {
		return 0, err
	}
	return int(binary.BigEndian.Uint16(b)), nil
}

// count reads a 32-bit number of things that take at least size bytes each, and refuses one that the input cannot hold.
func (d *Decoder) count(size int) (int, error) {
	at := d.off
	b, err := d.take(4)
	if err != nil {
		return 0, err
	}
	n := uint64(binary.BigEndian.Uint32(b))
	if n*uint64(size) > uint64(len(d.buf)-d.off) {
		return 0, d.syntax(at, "truncated: a length beyond the end of the input")
	}
	return int(n), nil
}

// enter and leave bracket the content of a container.
func (d *Decoder) enter() error {
	if d.depth >= MaxDepth {
		return errDepth()
	}
	d.depth++
	return nil
}

func (d *Decoder) leave() { d.depth-- }

// atomBytes reads an atom's text, as a part of the input. latin1 says that it is in Latin-1 and not in UTF-8. The tag has
// been read.
func (d *Decoder) atomBytes(tag byte) (text []byte, latin1 bool, err error) {
	at := d.off - 1
	var n int
	switch tag {
	case tagSmallAtomUTF8, tagSmallAtom:
		n, err = d.uint8()
	case tagAtomUTF8, tagAtom:
		n, err = d.uint16()
	default:
		return nil, false, d.syntax(at, "not an atom")
	}
	if err != nil {
		return nil, false, err
	}
	if text, err = d.take(n); err != nil {
		return nil, false, err
	}
	latin1 = tag == tagSmallAtom || tag == tagAtom
	switch {
	case latin1 && n > maxAtomRunes, !latin1 && n > maxAtomRunes && utf8.RuneCount(text) > maxAtomRunes:
		return nil, false, d.syntax(at, "an atom of more than 255 characters")
	case !latin1 && !utf8.Valid(text):
		return nil, false, d.syntax(at, "an atom that is not UTF-8")
	}
	return text, latin1, nil
}

// latin1 turns Latin-1 into UTF-8.
func latin1String(b []byte) string {
	runes := make([]rune, len(b))
	for i, c := range b {
		runes[i] = rune(c)
	}
	return string(runes)
}

func isAtom(tag byte) bool {
	return tag == tagSmallAtomUTF8 || tag == tagAtomUTF8 || tag == tagAtom || tag == tagSmallAtom
}

func isInt(tag byte) bool {
	return tag == tagSmallInt || tag == tagInt || tag == tagSmallBig || tag == tagLargeBig
}
