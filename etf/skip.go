package etf

import "encoding/binary"

// Skip reads one term, whatever it is, and returns its bytes as a part of the input. Of an element of a list that came as a
// string it returns the bare byte; Term gives that its tag.
func (d *Decoder) Skip() ([]byte, error) {
	start := d.off
	if err := d.skip(); err != nil {
		return nil, err
	}
	return d.buf[start:d.off:d.off], nil
}

func (d *Decoder) skip() error {
	if d.chars > 0 {
		d.chars--
		d.off++
		return nil
	}
	at := d.off
	tag, err := d.tag()
	if err != nil {
		return err
	}
	switch tag {
	case tagSmallInt, tagInt, tagSmallBig, tagLargeBig:
		_, err = d.integerBody(tag)
	case tagNewFloat, tagFloat:
		_, err = d.floatBody(tag)
	case tagSmallAtomUTF8, tagAtomUTF8, tagAtom, tagSmallAtom:
		_, _, err = d.atomBytes(tag)
	case tagBinary, tagString, tagNil:
		d.off--
		err = d.skipFlat(tag)
	case tagSmallTuple, tagLargeTuple, tagList, tagMap:
		d.off--
		err = d.skipContainer(tag)
	case tagNewPid:
		err = d.skipNode(12)
	case tagPid:
		err = d.skipNode(9)
	case tagV4Port:
		err = d.skipNode(12)
	case tagNewPort:
		err = d.skipNode(8)
	case tagPort, tagRef:
		err = d.skipNode(5)
	case tagNewerRef:
		err = d.skipRef(4)
	case tagNewRef:
		err = d.skipRef(1)
	case tagBitBinary:
		err = d.skipBits(at)
	case tagNewFun:
		err = d.skipFun(at)
	case tagExport:
		err = d.skipExport(at)
	case tagLocal:
		// The content is the emulator's own affair, with no length: only the end of the input ends it.
		if at > 1 || d.depth > 0 {
			return d.syntax(at, "a node-local term within another")
		}
		d.off = len(d.buf)
	case tagCompressed:
		return d.syntax(at, "a compressed term, which is not accepted")
	default:
		return d.syntax(at, "an unknown tag")
	}
	return err
}

func (d *Decoder) skipFlat(tag byte) error {
	switch tag {
	case tagBinary:
		_, err := d.Bytes()
		return err
	default:
		n, err := d.ListLen()
		d.off += n
		d.chars, d.whole = 0, false
		return err
	}
}

func (d *Decoder) skipContainer(tag byte) error {
	var n int
	var err error
	switch tag {
	case tagList:
		n, err = d.ListLen()
		n++ // the tail
	case tagMap:
		n, err = d.MapLen()
		n *= 2
	default:
		n, err = d.TupleLen()
	}
	if err != nil {
		return err
	}
	return d.skipMany(n)
}

func (d *Decoder) skipMany(n int) error {
	if err := d.enter(); err != nil {
		return err
	}
	for range n {
		if err := d.skip(); err != nil {
			return err
		}
	}
	d.leave()
	return nil
}

// skipNode reads the node name of an identifier and the n bytes after it.
func (d *Decoder) skipNode(n int) error {
	tag, err := d.tag()
	if err != nil {
		return err
	}
	if _, _, err := d.atomBytes(tag); err != nil {
		return err
	}
	_, err = d.take(n)
	return err
}

// skipRef reads a reference whose creation takes n bytes.
func (d *Decoder) skipRef(n int) error {
	at := d.off
	words, err := d.uint16()
	if err != nil {
		return err
	}
	if words == 0 || words > 5 {
		return d.syntax(at, "a reference of an impossible length")
	}
	return d.skipNode(n + 4*words)
}

func (d *Decoder) skipBits(at int) error {
	n, err := d.count(1)
	if err != nil {
		return err
	}
	last, err := d.uint8()
	if err != nil {
		return err
	}
	if last > 8 || (last == 0) != (n == 0) {
		return d.syntax(at, "a bitstring of an impossible length")
	}
	_, err = d.take(n)
	return err
}

// skipFun reads NEW_FUN_EXT: Size:32, Arity:8, Uniq:128, Index:32, NumFree:32, Module, OldIndex, OldUniq, Pid, free variables.
func (d *Decoder) skipFun(at int) error {
	head, err := d.take(4 + 1 + 16 + 4 + 4)
	if err != nil {
		return err
	}
	size, free := binary.BigEndian.Uint32(head), binary.BigEndian.Uint32(head[25:])
	if uint64(free) > uint64(len(d.buf)-d.off) {
		return d.syntax(at, "truncated: a length beyond the end of the input")
	}
	if err := d.skipKinds(isAtom, isInt, isInt, isPid); err != nil {
		return err
	}
	if err := d.skipMany(int(free)); err != nil {
		return err
	}
	if uint64(size) != uint64(d.off-at-1) {
		return d.syntax(at, "a fun whose size is wrong")
	}
	return nil
}

func (d *Decoder) skipExport(at int) error {
	if err := d.skipKinds(isAtom, isAtom); err != nil {
		return err
	}
	b, err := d.take(2)
	if err == nil && b[0] != tagSmallInt {
		err = d.syntax(at, "a fun whose arity is not a small integer")
	}
	return err
}

// skipKinds reads one term for each of kinds, and sees to it that it is of that kind.
func (d *Decoder) skipKinds(kinds ...func(byte) bool) error {
	for _, is := range kinds {
		if !is(d.peek()) {
			return d.syntax(d.off, "a malformed fun")
		}
		if err := d.skip(); err != nil {
			return err
		}
	}
	return nil
}

func isPid(tag byte) bool { return tag == tagNewPid || tag == tagPid }
