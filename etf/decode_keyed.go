package etf

import (
	"reflect"
	"strconv"
)

// intoMap reads a map into a new Go map. Keys that differ in Erlang but not in Go are refused, as one would be lost.
func (d *Decoder) intoMap(v reflect.Value) error {
	t := v.Type()
	n, err := d.mapLen(typeName(t))
	if err != nil {
		return err
	}
	if err := d.enter(); err != nil {
		return err
	}
	defer d.leave()
	fresh := reflect.MakeMapWithSize(t, min(n, presize/4))
	// The same two places serve every entry: SetMapIndex copies, and Into leaves nothing of what was there.
	key, value := reflect.New(t.Key()).Elem(), reflect.New(t.Elem()).Elem()
	for i := range n {
		at := *d
		if err := d.Into(key); err != nil {
			return At(at.keyPlace(i), err)
		}
		if err := checkKey(key, t); err != nil {
			return err
		}
		if err := d.Into(value); err != nil {
			return At(at.keyPlace(i), err)
		}
		fresh.SetMapIndex(key, value)
		if fresh.Len() != i+1 {
			return &TypeError{Want: typeName(t), Got: "dict with keys that are equal in Go"}
		}
	}
	v.Set(fresh)
	return nil
}

// checkKey refuses a key that Go would panic over, or find again only by its address.
func checkKey(key reflect.Value, t reflect.Type) error {
	ok := key.Comparable()
	if key.Kind() == reflect.Interface {
		ok = hashable(key.Interface())
	}
	if !ok {
		return &TypeError{Want: typeName(t), Got: "dict with a key that Go cannot compare"}
	}
	return nil
}

// intoStruct reads a map: the entries whose key, a string or an atom, names a field. Fields without an entry are
// zeroed, entries without a field skipped.
func (d *Decoder) intoStruct(v reflect.Value) error {
	info := structInfo(v.Type())
	if info.opaque {
		return unsupported(v.Type())
	}
	n, err := d.mapLen(typeName(v.Type()))
	if err != nil {
		return err
	}
	if err := d.enter(); err != nil {
		return err
	}
	defer d.leave()
	for i := range info.fields {
		v.Field(info.fields[i].index).SetZero()
	}
	for i := range n {
		at := *d
		f, ok := d.fieldKey(info)
		if !ok {
			if err := d.skip(); err != nil {
				return err
			}
			if err := d.skip(); err != nil {
				return err
			}
			continue
		}
		if err := d.Into(v.Field(f.index)); err != nil {
			return At(at.keyPlace(i), err)
		}
	}
	return nil
}

// fieldKey reads a key that names a field; any other it leaves unread.
func (d *Decoder) fieldKey(info *structFields) (*field, bool) {
	saved := *d
	name, err := d.keyText()
	if err == nil {
		if i, ok := info.byName[string(name)]; ok {
			return &info.fields[i], true
		}
	}
	*d = saved
	return nil, false
}

func (d *Decoder) keyText() ([]byte, error) {
	if tag := d.peek(); isAtom(tag) {
		d.off++
		text, _, err := d.atomBytes(tag)
		return text, err
	}
	return d.Bytes()
}

// keyPlace writes the key that comes next, the i-th of its map, as Python would index with it. It is called for errors only.
func (d *Decoder) keyPlace(i int) string {
	key, err := d.Any()
	if err == nil {
		switch key := key.(type) {
		case string:
			return "['" + shorten(key) + "']"
		case Atom:
			return "['" + shorten(string(key)) + "']"
		case int:
			return index(key)
		}
	}
	return "[key " + strconv.Itoa(i) + "]"
}
