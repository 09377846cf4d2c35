package etf

import (
	"math"
	"math/big"
	"math/bits"
)

const wordBytes = bits.UintSize / 8

// big stores the value in z and returns it.
func (i integer) big(z *big.Int) *big.Int {
	if i.over == nil {
		z.SetUint64(i.mag)
	} else {
		// Bytes and words both come least significant first, so no reversal as SetBytes would need.
		words := make([]big.Word, (len(i.over)+wordBytes-1)/wordBytes)
		for k, b := range i.over {
			words[k/wordBytes] |= big.Word(b) << (8 * (k % wordBytes))
		}
		z.SetBits(words)
	}
	if i.neg {
		z.Neg(z)
	}
	return z
}

// float64 returns the value when a float64 holds it exactly.
func (i integer) float64() (float64, bool) {
	if i.over == nil {
		f := float64(i.mag)
		if f >= 1<<64 || uint64(f) != i.mag {
			return 0, false
		}
		if i.neg {
			f = -f
		}
		return f, true
	}
	if len(i.over) > 128 { // 2**1024 is beyond every float64
		return 0, false
	}
	f, acc := new(big.Float).SetInt(i.big(new(big.Int))).Float64()
	return f, acc == big.Exact && !math.IsInf(f, 0)
}

// AppendInt appends the term of n.
func AppendInt(dst []byte, n int64) []byte {
	if n >= math.MinInt32 && n <= math.MaxInt32 {
		if n >= 0 && n <= 255 {
			return append(dst, tagSmallInt, byte(n))
		}
		return append(dst, tagInt, byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
	}
	if n < 0 {
		return appendMagnitude(dst, 1, -uint64(n))
	}
	return appendMagnitude(dst, 0, uint64(n))
}

// AppendUint appends the term of n.
func AppendUint(dst []byte, n uint64) []byte {
	if n <= math.MaxInt64 {
		return AppendInt(dst, int64(n))
	}
	return appendMagnitude(dst, 0, n)
}

func appendMagnitude(dst []byte, sign byte, mag uint64) []byte {
	n := (bits.Len64(mag) + 7) / 8
	dst = append(dst, tagSmallBig, byte(n), sign)
	for ; n > 0; n-- {
		dst = append(dst, byte(mag))
		mag >>= 8
	}
	return dst
}

// appendBig appends the term of z, in the shortest form, as term_to_binary does.
func appendBig(dst []byte, z *big.Int) ([]byte, error) {
	if z.IsInt64() {
		return AppendInt(dst, z.Int64()), nil
	}
	var sign byte
	if z.Sign() < 0 {
		sign = 1
	}
	n := (z.BitLen() + 7) / 8
	if n <= math.MaxUint8 {
		dst = append(dst, tagSmallBig, byte(n), sign)
	} else {
		var err error
		if dst, err = appendLen32(dst, tagLargeBig, n); err != nil {
			return dst, err
		}
		dst = append(dst, sign)
	}
	for _, w := range z.Bits() {
		for k := 0; k < wordBytes && n > 0; k++ {
			dst = append(dst, byte(w))
			w >>= 8
			n--
		}
	}
	return dst, nil
}
