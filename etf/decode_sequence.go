package etf

import (
	"reflect"
	"strconv"
)

// intoSlice reads a list or a tuple, and into a byte slice a binary as well.
func (d *Decoder) intoSlice(v reflect.Value) error {
	t := v.Type()
	if t.Elem().Kind() == reflect.Uint8 && d.holdsBytes() {
		b, err := d.Bytes()
		if err != nil {
			return err
		}
		fresh := reflect.MakeSlice(t, len(b), len(b))
		copy(fresh.Bytes(), b)
		v.Set(fresh)
		return nil
	}
	n, list, err := d.sequenceLen(v)
	if err != nil {
		return err
	}
	if err := d.enter(); err != nil {
		return err
	}
	fresh := reflect.New(t).Elem() // Grow and SetLen want an addressable slice
	fresh.Set(reflect.MakeSlice(t, 0, min(n, firstCap(t.Elem()))))
	for i := range n {
		if i == fresh.Cap() {
			fresh.Grow(1)
		}
		fresh.SetLen(i + 1)
		if err := d.Into(fresh.Index(i)); err != nil {
			return At(index(i), err)
		}
	}
	v.Set(fresh)
	return d.endSequence(v, list)
}

// firstCap bounds the first allocation as presize does, whatever the size of an element.
func firstCap(elem reflect.Type) int {
	return max(1, presize*16/max(1, int(elem.Size())))
}

// intoArray reads a list or tuple of exactly the array's length, or a binary into a byte array.
func (d *Decoder) intoArray(v reflect.Value) error {
	saved := *d
	if v.Type().Elem().Kind() == reflect.Uint8 && d.holdsBytes() {
		b, err := d.Bytes()
		if err != nil {
			return err
		}
		if len(b) != v.Len() {
			*d = saved
			return wrongLength(d, v, len(b))
		}
		for i, c := range b {
			v.Index(i).SetUint(uint64(c))
		}
		return nil
	}
	n, list, err := d.sequenceLen(v)
	if err != nil {
		return err
	}
	if n != v.Len() {
		*d = saved
		return wrongLength(d, v, n)
	}
	if err := d.enter(); err != nil {
		return err
	}
	for i := range n {
		if err := d.Into(v.Index(i)); err != nil {
			return At(index(i), err)
		}
	}
	return d.endSequence(v, list)
}

// sequenceLen reads the header of a list or a tuple. A slice of type Tuple takes a tuple only, so that decoding does not change
// what encoding would write; {bytes, Binary} is no sequence.
func (d *Decoder) sequenceLen(v reflect.Value) (n int, list bool, err error) {
	tag := d.peek()
	if tag == tagSmallTuple || tag == tagLargeTuple {
		if d.holdsBytes() {
			return 0, false, d.mismatch(typeName(v.Type()))
		}
		n, err = d.TupleLen()
		return n, false, err
	}
	if v.Type() == tupleType {
		return 0, false, d.mismatch("etf.Tuple")
	}
	n, err = d.listLen(typeName(v.Type()))
	return n, true, err
}

func (d *Decoder) endSequence(v reflect.Value, list bool) error {
	d.leave()
	if list {
		return d.endList(typeName(v.Type()))
	}
	return nil
}

func wrongLength(d *Decoder, v reflect.Value, n int) error {
	err := d.mismatch(typeName(v.Type()))
	if te, ok := err.(*TypeError); ok {
		te.Got += " of length " + strconv.Itoa(n)
	}
	return err
}
