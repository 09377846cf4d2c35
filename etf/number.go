package etf

import (
	"encoding/binary"
	"math"
	"strconv"
)

// Int reads an integer that fits 64 bits.
func (d *Decoder) Int() (int64, error) {
	saved := *d
	i, err := d.integer("int")
	if err != nil {
		return 0, err
	}
	n, ok := i.int64()
	if !ok {
		*d = saved
		return 0, tooLarge(i, "int")
	}
	return n, nil
}

// Float reads a float, an integer that a float64 holds exactly, or one of the atoms nan, infinity, neg_infinity.
func (d *Decoder) Float() (float64, error) { return d.float("float64") }

func (d *Decoder) float(want string) (float64, error) {
	saved := *d
	tag := d.peek()
	switch {
	case tag == tagNewFloat || tag == tagFloat:
		d.off++
		return d.floatBody(tag)
	case isInt(tag):
		i, err := d.integer(want)
		if err != nil {
			return 0, err
		}
		f, ok := i.float64()
		if !ok {
			*d = saved
			return 0, tooLarge(i, want)
		}
		return f, nil
	case isAtom(tag):
		d.off++
		text, _, err := d.atomBytes(tag)
		if err != nil {
			return 0, err
		}
		switch string(text) {
		case "nan":
			return math.NaN(), nil
		case "infinity":
			return math.Inf(1), nil
		case "neg_infinity":
			return math.Inf(-1), nil
		}
		*d = saved
	}
	return 0, d.mismatch(want)
}

// floatBody reads what follows the tag of a float. Erlang has no NaN and no infinities.
func (d *Decoder) floatBody(tag byte) (float64, error) {
	at := d.off - 1
	var f float64
	if tag == tagNewFloat {
		b, err := d.take(8)
		if err != nil {
			return 0, err
		}
		f = math.Float64frombits(binary.BigEndian.Uint64(b))
	} else {
		b, err := d.take(31)
		if err != nil {
			return 0, err
		}
		n := 0
		for n < len(b) && b[n] != 0 {
			n++
		}
		// Decimal digits only: ParseFloat knows hexadecimal, underscores and names too.
		for _, c := range b[:n] {
			if (c < '0' || c > '9') && c != '.' && c != '+' && c != '-' && c != 'e' {
				return 0, d.syntax(at, "not a float")
			}
		}
		if f, err = strconv.ParseFloat(string(b[:n]), 64); err != nil {
			return 0, d.syntax(at, "not a float")
		}
	}
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return 0, d.syntax(at, "a float that is not finite")
	}
	return f, nil
}

// integer reads any integer. A magnitude beyond 64 bits is a part of the input.
func (d *Decoder) integer(want string) (integer, error) {
	if d.chars > 0 {
		d.chars--
		d.off++
		return integer{mag: uint64(d.buf[d.off-1])}, nil
	}
	tag := d.peek()
	if !isInt(tag) {
		return integer{}, d.mismatch(want)
	}
	d.off++
	return d.integerBody(tag)
}

// integerBody reads what follows the tag of an integer.
func (d *Decoder) integerBody(tag byte) (integer, error) {
	var n int
	var err error
	switch tag {
	case tagSmallInt:
		n, err = d.uint8()
		return integer{mag: uint64(n)}, err
	case tagInt:
		b, err := d.take(4)
		if err != nil {
			return integer{}, err
		}
		v := int64(int32(binary.BigEndian.Uint32(b)))
		if v < 0 {
			return integer{neg: true, mag: uint64(-v)}, nil
		}
		return integer{mag: uint64(v)}, nil
	case tagSmallBig:
		n, err = d.uint8()
	case tagLargeBig:
		n, err = d.count(1)
	}
	if err != nil {
		return integer{}, err
	}
	sign, err := d.uint8()
	if err != nil {
		return integer{}, err
	}
	b, err := d.take(n)
	if err != nil {
		return integer{}, err
	}
	for len(b) > 0 && b[len(b)-1] == 0 {
		b = b[:len(b)-1]
	}
	i := integer{neg: sign != 0 && len(b) > 0}
	if len(b) > 8 {
		i.over = b
		return i, nil
	}
	for k, c := range b {
		i.mag |= uint64(c) << (8 * k)
	}
	return i, nil
}
