package etf

// ListLen reads the header of a list and returns its length: so many terms are to be read, and then EndList called.
func (d *Decoder) ListLen() (int, error) { return d.listLen("list") }

func (d *Decoder) listLen(want string) (int, error) {
	if d.chars > 0 {
		return 0, d.mismatch(want)
	}
	var n int
	var err error
	switch d.peek() {
	case tagNil:
		d.off++
		d.whole = true
	case tagString:
		d.off++
		if n, err = d.uint16(); err != nil {
			return 0, err
		}
		if n > len(d.buf)-d.off {
			return 0, d.syntax(d.off, "truncated: a length beyond the end of the input")
		}
		d.chars, d.whole = n, true
	case tagList:
		d.off++
		if n, err = d.count(1); err != nil {
			return 0, err
		}
		d.whole = false
	default:
		return 0, d.mismatch(want)
	}
	return n, nil
}

// EndList reads the end of a list, once its elements have been read. An improper list is a *TypeError.
func (d *Decoder) EndList() error { return d.endList("list") }

func (d *Decoder) endList(want string) error {
	if d.whole {
		d.whole = false
		return nil
	}
	tag, err := d.tag()
	if err != nil {
		return err
	}
	if tag != tagNil {
		return &TypeError{Want: want, Got: "Term"}
	}
	return nil
}

// TupleLen reads the header of a tuple and returns its size: so many terms follow.
func (d *Decoder) TupleLen() (int, error) {
	at := d.off
	switch d.peek() {
	case tagSmallTuple:
		d.off++
		n, err := d.uint8()
		if err == nil && n > len(d.buf)-d.off {
			err = d.syntax(at, "truncated: a length beyond the end of the input")
		}
		return n, err
	case tagLargeTuple:
		d.off++
		return d.count(1)
	}
	return 0, d.mismatch("tuple")
}

// MapLen reads the header of a map and returns its size: so many keys follow, each with its value after it.
func (d *Decoder) MapLen() (int, error) { return d.mapLen("map") }

func (d *Decoder) mapLen(want string) (int, error) {
	if d.peek() != tagMap {
		return 0, d.mismatch(want)
	}
	d.off++
	return d.count(2)
}
