package etf

import "unicode/utf8"

// presize bounds what is allocated on the word of a length alone: nested headers, each claiming all the rest of the input as its
// elements, would else add up. Maps, whose entries take more room, begin with a quarter.
const presize = 1024

// Any reads one term of any type. The package's table says what becomes what.
func (d *Decoder) Any() (any, error) {
	if d.chars > 0 {
		i, err := d.integer("int")
		return int(i.mag), err
	}
	start := d.off
	tag, err := d.tag()
	if err != nil {
		return nil, err
	}
	switch tag {
	case tagSmallInt, tagInt, tagSmallBig, tagLargeBig:
		i, err := d.integerBody(tag)
		if err != nil {
			return nil, err
		}
		return i.any(), nil
	case tagNewFloat, tagFloat:
		return boxed(d.floatBody(tag))
	case tagSmallAtomUTF8, tagAtomUTF8, tagAtom, tagSmallAtom:
		return d.anyAtom(tag)
	}
	d.off = start
	switch tag {
	case tagBinary:
		b, err := d.Bytes()
		if err != nil {
			return nil, err
		}
		if utf8.Valid(b) {
			return string(b), nil
		}
		return append([]byte(nil), b...), nil
	case tagNil, tagString, tagList:
		return d.anyList()
	case tagSmallTuple, tagLargeTuple:
		return d.anyTuple()
	case tagMap:
		return d.anyMap()
	case tagNewPid, tagPid:
		return boxed(d.Pid())
	case tagNewerRef, tagNewRef, tagRef:
		return boxed(d.Ref())
	default:
		return boxed(d.Term())
	}
}

// boxed returns v as an any, or nil with the error.
func boxed[T any](v T, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	return v, nil
}

func (d *Decoder) anyAtom(tag byte) (any, error) {
	text, latin1, err := d.atomBytes(tag)
	switch {
	case err != nil:
		return nil, err
	case isNone(text):
		return nil, nil
	case string(text) == "true":
		return true, nil
	case string(text) == "false":
		return false, nil
	case latin1:
		return Atom(latin1String(text)), nil
	}
	return Atom(text), nil
}

func (d *Decoder) anyList() (any, error) {
	start := d.off
	n, err := d.ListLen()
	if err != nil {
		return nil, err
	}
	list, err := d.elements(n)
	if err != nil {
		return nil, err
	}
	if d.whole || d.peek() == tagNil {
		return list, d.EndList()
	}
	if err := d.skipMany(1); err != nil { // the tail of an improper list
		return nil, err
	}
	return Term{string(d.buf[start:d.off])}, nil
}

func (d *Decoder) anyTuple() (any, error) {
	if b, ok := d.wrappedBytes(); ok {
		return append([]byte{}, b...), nil
	}
	n, err := d.TupleLen()
	if err != nil {
		return nil, err
	}
	elements, err := d.elements(n)
	if err != nil {
		return nil, err
	}
	return Tuple(elements), nil
}

func (d *Decoder) elements(n int) ([]any, error) {
	if err := d.enter(); err != nil {
		return nil, err
	}
	elements := make([]any, 0, min(n, presize))
	for range n {
		v, err := d.Any()
		if err != nil {
			return nil, err
		}
		elements = append(elements, v)
	}
	d.leave()
	return elements, nil
}
