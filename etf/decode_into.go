package etf

import (
	"math/big"
	"reflect"
	"strconv"
	"strings"
)

// Into reads one term into v, which must be settable. It converts only where nothing is lost; what fits is in the package
// comment. A term that does not fit is a *TypeError with the place in it.
func (d *Decoder) Into(v reflect.Value) error {
	switch v.Type() {
	case atomType:
		return set(v, d.Atom)
	case pidType:
		return set(v, d.Pid)
	case refType:
		return set(v, d.Ref)
	case termType:
		return set(v, d.Term)
	case bigIntType:
		i, err := d.integer("big.Int")
		if err == nil {
			i.big(v.Addr().Interface().(*big.Int))
		}
		return err
	}
	switch v.Kind() {
	case reflect.Interface:
		return d.intoInterface(v)
	case reflect.Pointer:
		return d.intoPointer(v)
	case reflect.Bool:
		b, err := d.Bool()
		if err == nil {
			v.SetBool(b)
		}
		return retype(err, v)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return d.intoInt(v)
	case reflect.Float32, reflect.Float64:
		return d.intoFloat(v)
	case reflect.String:
		s, err := d.Text()
		if err == nil {
			v.SetString(s)
		}
		return retype(err, v)
	case reflect.Slice:
		return d.intoSlice(v)
	case reflect.Array:
		return d.intoArray(v)
	case reflect.Map:
		return d.intoMap(v)
	case reflect.Struct:
		return d.intoStruct(v)
	}
	return unsupported(v.Type())
}

// set stores what read returns in v, which is of type T.
func set[T any](v reflect.Value, read func() (T, error)) error {
	x, err := read()
	if err == nil {
		*v.Addr().Interface().(*T) = x
	}
	return err
}

// retype makes a *TypeError speak of v's own type.
func retype(err error, v reflect.Value) error {
	if te, ok := err.(*TypeError); ok {
		te.Want = typeName(v.Type())
	}
	return err
}

// typeName is the type as a Go programmer writes it.
func typeName(t reflect.Type) string { return strings.ReplaceAll(t.String(), "interface {}", "any") }

func (d *Decoder) intoInterface(v reflect.Value) error {
	if v.NumMethod() > 0 {
		return unsupported(v.Type())
	}
	x, err := d.Any()
	if err != nil {
		return err
	}
	if x == nil {
		v.SetZero()
	} else {
		v.Set(reflect.ValueOf(x))
	}
	return nil
}

func (d *Decoder) intoPointer(v reflect.Value) error {
	// A loop, since a type may point at itself (type P *P) and never end.
	for range MaxDepth {
		if v.Kind() != reflect.Pointer {
			return d.Into(v)
		}
		if d.None() {
			v.SetZero()
			return nil
		}
		v.Set(reflect.New(v.Type().Elem()))
		v = v.Elem()
	}
	return errDepth()
}

func (d *Decoder) intoInt(v reflect.Value) error {
	i, err := d.integer("")
	if err != nil {
		return retype(err, v)
	}
	if v.CanInt() {
		if n, ok := i.int64(); ok && !v.OverflowInt(n) {
			v.SetInt(n)
			return nil
		}
	} else if n, ok := i.uint64(); ok && !v.OverflowUint(n) {
		v.SetUint(n)
		return nil
	}
	return tooLarge(i, typeName(v.Type()))
}

func (d *Decoder) intoFloat(v reflect.Value) error {
	f, err := d.float("")
	if err != nil {
		return retype(err, v)
	}
	if v.OverflowFloat(f) {
		return &TypeError{Want: typeName(v.Type()), Got: "float " + strconv.FormatFloat(f, 'g', -1, 64)}
	}
	v.SetFloat(f)
	return nil
}
