package etf

import (
	"fmt"
	"math/big"
	"reflect"
)

var (
	atomType   = reflect.TypeFor[Atom]()
	tupleType  = reflect.TypeFor[Tuple]()
	pidType    = reflect.TypeFor[Pid]()
	refType    = reflect.TypeFor[Ref]()
	termType   = reflect.TypeFor[Term]()
	bigIntType = reflect.TypeFor[big.Int]()
)

// appendValue appends a value of a type that appendAny does not know by itself.
func appendValue(dst []byte, v reflect.Value, depth int) ([]byte, error) {
	v, err := indirect(v)
	if err != nil || !v.IsValid() {
		return AppendNone(dst), err
	}
	switch v.Type() {
	case atomType, tupleType, pidType, refType, termType:
		return appendAny(dst, v.Interface(), depth)
	case bigIntType:
		return appendBigValue(dst, v)
	}
	switch v.Kind() {
	case reflect.Bool:
		return AppendBool(dst, v.Bool()), nil
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return AppendInt(dst, v.Int()), nil
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return AppendUint(dst, v.Uint()), nil
	case reflect.Float32, reflect.Float64:
		return AppendFloat(dst, v.Float()), nil
	case reflect.String:
		return AppendString(dst, v.String())
	case reflect.Slice, reflect.Array:
		return appendSequence(dst, v, depth)
	case reflect.Map:
		return appendMapValue(dst, v, depth)
	case reflect.Struct:
		return appendStruct(dst, v, depth)
	}
	return dst, unsupported(v.Type())
}

// indirect follows pointers and interfaces to the value they stand for; the zero Value for a nil one. A pointer may lead back
// to itself, so the way is limited.
func indirect(v reflect.Value) (reflect.Value, error) {
	for range MaxDepth {
		if !v.IsValid() || v.Kind() != reflect.Pointer && v.Kind() != reflect.Interface {
			return v, nil
		}
		v = v.Elem()
	}
	return v, errDepth()
}

// appendBigValue appends a big.Int held by value: its methods want a pointer.
func appendBigValue(dst []byte, v reflect.Value) ([]byte, error) {
	if v.CanAddr() {
		return appendBig(dst, v.Addr().Interface().(*big.Int))
	}
	z := reflect.New(bigIntType)
	z.Elem().Set(v)
	return appendBig(dst, z.Interface().(*big.Int))
}

func appendSequence(dst []byte, v reflect.Value, depth int) ([]byte, error) {
	if depth >= MaxDepth {
		return dst, errDepth()
	}
	n := v.Len()
	if v.Type().Elem().Kind() == reflect.Uint8 {
		if v.Kind() == reflect.Slice || v.CanAddr() {
			return AppendBytes(dst, v.Bytes())
		}
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(v.Index(i).Uint())
		}
		return AppendBytes(dst, b)
	}
	if n == 0 {
		return AppendNil(dst), nil
	}
	dst, err := AppendList(dst, n)
	if err != nil {
		return dst, err
	}
	for i := range n {
		if dst, err = appendValue(dst, v.Index(i), depth+1); err != nil {
			return dst, At(index(i), err)
		}
	}
	return AppendNil(dst), nil
}

func appendMapValue(dst []byte, v reflect.Value, depth int) ([]byte, error) {
	if depth >= MaxDepth {
		return dst, errDepth()
	}
	dst, err := AppendMap(dst, v.Len())
	if err != nil {
		return dst, err
	}
	for it := v.MapRange(); it.Next(); {
		key := it.Key()
		if dst, err = appendValue(dst, key, depth+1); err != nil {
			return dst, At(keyText(key), err)
		}
		if dst, err = appendValue(dst, it.Value(), depth+1); err != nil {
			return dst, At(keyText(key), err)
		}
	}
	return dst, nil
}

func appendStruct(dst []byte, v reflect.Value, depth int) ([]byte, error) {
	if depth >= MaxDepth {
		return dst, errDepth()
	}
	info := structInfo(v.Type())
	if info.opaque {
		return dst, unsupported(v.Type())
	}
	dst, err := AppendMap(dst, len(info.fields))
	if err != nil {
		return dst, err
	}
	for i := range info.fields {
		f := &info.fields[i]
		dst = append(dst, f.key...)
		if dst, err = appendValue(dst, v.Field(f.index), depth+1); err != nil {
			return dst, At("."+f.goName, err)
		}
	}
	return dst, nil
}

// keyText writes a map key as Go source would index with it.
func keyText(key reflect.Value) string {
	if key.Kind() == reflect.Interface {
		key = key.Elem()
	}
	if !key.IsValid() {
		return "[nil]"
	}
	if key.Kind() == reflect.String {
		return `["` + shorten(key.String()) + `"]`
	}
	return fmt.Sprintf("[%v]", key)
}

func unsupported(t reflect.Type) error { return &UnsupportedError{Type: t.String()} }
