package etf

import (
	"encoding/binary"
	"math"
)

// The functions below read the common form of a term off the front of b, without a Decoder and in a few nanoseconds. ok is false, and says nothing about b, for
// any other form of the same value and for any other term: a Decoder reads those, and says what is wrong.

// CutInt reads an integer that fits an int.
func CutInt(b []byte) (n int, rest []byte, ok bool) {
	switch {
	case len(b) >= 5 && b[0] == tagInt:
		return int(int32(binary.BigEndian.Uint32(b[1:]))), b[5:], true
	case len(b) >= 2 && b[0] == tagSmallInt:
		return int(b[1]), b[2:], true
	case len(b) >= 3 && b[0] == tagSmallBig && b[1] <= 8 && len(b) >= 3+int(b[1]):
		var mag uint64
		for i, c := range b[3 : 3+b[1]] {
			mag |= uint64(c) << (8 * i)
		}
		n = int(mag)
		if b[2] != 0 {
			n = -n
		}
		return n, b[3+b[1]:], mag <= math.MaxInt
	}
	return 0, nil, false
}

// CutFloat reads a finite float.
func CutFloat(b []byte) (x float64, rest []byte, ok bool) {
	if len(b) < 9 || b[0] != tagNewFloat {
		return 0, nil, false
	}
	x = math.Float64frombits(binary.BigEndian.Uint64(b[1:]))
	return x, b[9:], x-x == 0 // neither NaN nor infinite
}

// CutList reads the header of a list that is not empty, nor packed as bytes.
func CutList(b []byte) (n int, rest []byte, ok bool) {
	if len(b) < 5 || b[0] != tagList {
		return 0, nil, false
	}
	return int(binary.BigEndian.Uint32(b[1:])), b[5:], true
}

// IsNil reports whether b is the end of a list, and no more.
func IsNil(b []byte) bool { return len(b) == 1 && b[0] == tagNil }
