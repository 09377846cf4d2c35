package etf

import "math/big"

// Atom is an Erlang atom, in UTF-8: at most 255 characters.
type Atom string

// Tuple is an Erlang tuple.
type Tuple []any

// Pid is an Erlang process identifier. Pids are comparable; the zero Pid is none that exists and cannot be encoded.
type Pid struct{ raw string }

// Ref is an Erlang reference. Refs are comparable; the zero Ref cannot be encoded.
type Ref struct{ raw string }

// Term is a term that Go has no type for, kept as the bytes it arrived in, so that it goes back exactly as it came.
// Decoding into a Term keeps a term of any type. Terms are comparable: equal bytes are equal terms (one term may have several
// encodings, so unequal Terms may still be equal to Erlang). The zero Term cannot be encoded.
type Term struct{ raw string }

// Raw returns a copy of the term's bytes, without the version byte.
func (p Pid) Raw() []byte { return []byte(p.raw) }

// Raw returns a copy of the term's bytes, without the version byte.
func (r Ref) Raw() []byte { return []byte(r.raw) }

// Raw returns a copy of the term's bytes, without the version byte.
func (t Term) Raw() []byte { return []byte(t.raw) }

// Any decodes the term as [Decoder.Any] does.
func (t Term) Any() (any, error) {
	d := NewDecoder([]byte(t.raw))
	return d.Any()
}

// integer is an Erlang integer as the wire has it: sign and magnitude. The magnitude is mag when over is nil, and else over,
// its bytes, least significant first and without zeros at the end.
type integer struct {
	neg  bool
	mag  uint64
	over []byte
}

// int64 returns the value when it fits.
func (i integer) int64() (int64, bool) {
	switch {
	case i.over != nil:
		return 0, false
	case !i.neg:
		return int64(i.mag), i.mag <= 1<<63-1
	default:
		return -int64(i.mag), i.mag <= 1<<63
	}
}

// uint64 returns the value when it fits.
func (i integer) uint64() (uint64, bool) {
	return i.mag, i.over == nil && (!i.neg || i.mag == 0)
}

// any returns an int when the value fits, else a *big.Int.
func (i integer) any() any {
	if n, ok := i.int64(); ok && int64(int(n)) == n {
		return int(n)
	}
	return i.big(new(big.Int))
}
