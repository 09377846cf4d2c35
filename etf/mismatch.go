package etf

import (
	"strconv"
	"unicode/utf8"
)

// mismatch returns the error for a next term that is not what is wanted. It reads nothing.
func (d *Decoder) mismatch(want string) error {
	peek := *d
	got, err := peek.kind()
	if err != nil {
		return err
	}
	return &TypeError{Want: want, Got: got}
}

// kind says in Python's words what the next term is.
func (d *Decoder) kind() (string, error) {
	if d.peek() == tagSmallTuple {
		if _, ok := d.wrappedBytes(); ok {
			return "bytes", nil
		}
	}
	if isInt(d.peek()) {
		return "int", nil
	}
	tag, err := d.tag()
	if err != nil {
		return "", err
	}
	switch tag {
	case tagNewFloat, tagFloat:
		return "float", nil
	case tagBinary:
		d.off--
		b, err := d.Bytes()
		if err != nil || utf8.Valid(b) {
			return "str", err
		}
		return "bytes", nil
	case tagSmallAtomUTF8, tagAtomUTF8, tagAtom, tagSmallAtom:
		text, _, err := d.atomBytes(tag)
		switch {
		case err != nil:
			return "", err
		case isNone(text):
			return "NoneType", nil
		case string(text) == "true", string(text) == "false":
			return "bool", nil
		}
		return "Atom", nil
	case tagNil, tagList, tagString:
		return "list", nil
	case tagSmallTuple, tagLargeTuple:
		return "tuple", nil
	case tagMap:
		return "dict", nil
	case tagNewPid, tagPid:
		return "Pid", nil
	case tagNewerRef, tagNewRef, tagRef:
		return "Ref", nil
	}
	d.off--
	if _, err := d.Skip(); err != nil {
		return "", err
	}
	return "Term", nil
}

// tooLarge returns the error for an integer that the wanted type cannot hold.
func tooLarge(i integer, want string) error {
	got := "int " + strconv.FormatUint(i.mag, 10)
	switch {
	case i.over != nil:
		got = "int of " + strconv.Itoa(len(i.over)) + " bytes"
	case i.neg:
		got = "int -" + strconv.FormatUint(i.mag, 10)
	}
	if want == "int" { // which in Python has no size
		want += ", which has " + strconv.Itoa(strconv.IntSize) + " bits in Go"
	}
	return &TypeError{Want: want, Got: got}
}
