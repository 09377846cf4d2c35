package etf

import "unicode/utf8"

// Text reads a string: a binary in UTF-8, or an atom other than true, false and those that mean nil.
func (d *Decoder) Text() (string, error) {
	saved := *d
	switch tag := d.peek(); {
	case tag == tagBinary:
		b, err := d.Bytes()
		if err != nil {
			return "", err
		}
		if utf8.Valid(b) {
			return string(b), nil
		}
		*d = saved
	case isAtom(tag):
		a, err := d.Atom()
		if err != nil {
			return "", err
		}
		switch a {
		case "true", "false", "none", "nil", "undefined":
			*d = saved
		default:
			return string(a), nil
		}
	}
	return "", d.mismatch("string")
}

// Bytes reads a binary, or {bytes, Binary}, and returns its content as a part of the input.
func (d *Decoder) Bytes() ([]byte, error) {
	switch tag := d.peek(); {
	case tag == tagBinary:
		d.off++
		n, err := d.count(1)
		if err != nil {
			return nil, err
		}
		return d.take(n)
	case tag == tagSmallTuple:
		if b, ok := d.wrappedBytes(); ok {
			return b, nil
		}
	}
	return nil, d.mismatch("[]byte")
}

// wrappedBytes reads {bytes, Binary}, or nothing when the term is another.
func (d *Decoder) wrappedBytes() ([]byte, bool) {
	if d.chars > 0 {
		return nil, false
	}
	saved := *d
	if b, err := d.take(2); err == nil && b[0] == tagSmallTuple && b[1] == 2 && isAtom(d.peek()) {
		tag, _ := d.tag()
		if name, _, err := d.atomBytes(tag); err == nil && string(name) == "bytes" && d.peek() == tagBinary {
			if content, err := d.Bytes(); err == nil {
				return content, true
			}
		}
	}
	*d = saved
	return nil, false
}

// holdsBytes reports whether the next term is one that Bytes reads.
func (d *Decoder) holdsBytes() bool {
	probe := *d
	if probe.peek() == tagBinary {
		return true
	}
	_, ok := probe.wrappedBytes()
	return ok
}

// Atom reads an atom: any, so true is "true".
func (d *Decoder) Atom() (Atom, error) {
	tag := d.peek()
	if !isAtom(tag) {
		return "", d.mismatch("etf.Atom")
	}
	d.off++
	text, latin1, err := d.atomBytes(tag)
	if err != nil {
		return "", err
	}
	if latin1 {
		return Atom(latin1String(text)), nil
	}
	return Atom(text), nil
}

// Bool reads the atom true or false.
func (d *Decoder) Bool() (bool, error) {
	saved := *d
	if tag := d.peek(); isAtom(tag) {
		d.off++
		text, _, err := d.atomBytes(tag)
		switch {
		case err != nil:
			return false, err
		case string(text) == "true":
			return true, nil
		case string(text) == "false":
			return false, nil
		}
		*d = saved
	}
	return false, d.mismatch("bool")
}

// None reads one of the atoms that mean nil, and reports whether there was one; if not, nothing is read.
func (d *Decoder) None() bool {
	saved := *d
	if tag := d.peek(); isAtom(tag) {
		d.off++
		if text, _, err := d.atomBytes(tag); err == nil && isNone(text) {
			return true
		}
		*d = saved
	}
	return false
}

func isNone(atom []byte) bool {
	switch string(atom) {
	case "none", "nil", "undefined":
		return true
	}
	return false
}

// Pid reads a process identifier.
func (d *Decoder) Pid() (Pid, error) {
	if tag := d.peek(); tag != tagNewPid && tag != tagPid {
		return Pid{}, d.mismatch("etf.Pid")
	}
	raw, err := d.Skip()
	return Pid{string(raw)}, err
}

// Ref reads a reference.
func (d *Decoder) Ref() (Ref, error) {
	if tag := d.peek(); tag != tagNewerRef && tag != tagNewRef && tag != tagRef {
		return Ref{}, d.mismatch("etf.Ref")
	}
	raw, err := d.Skip()
	return Ref{string(raw)}, err
}

// Term reads any one term, and keeps it as it is.
func (d *Decoder) Term() (Term, error) {
	if d.chars > 0 { // within a string each element is a bare byte: give it its tag back
		i, err := d.integer("etf.Term")
		return Term{string(AppendUint(nil, i.mag))}, err
	}
	raw, err := d.Skip()
	return Term{string(raw)}, err
}
