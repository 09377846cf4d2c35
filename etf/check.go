package etf

import "reflect"

// CanDecode reports whether Decoder.Into can fill values of type t: nil, or an *UnsupportedError that names the part that has no
// term. It looks into elements, keys and fields.
func CanDecode(t reflect.Type) error { return check(t, true, nil) }

// CanEncode reports whether values of type t have a term. What an interface will hold is not known, so it passes.
func CanEncode(t reflect.Type) error { return check(t, false, nil) }

func check(t reflect.Type, decode bool, seen map[reflect.Type]bool) error {
	if seen[t] {
		return nil
	}
	switch t {
	case atomType, tupleType, pidType, refType, termType, bigIntType:
		return nil
	}
	if seen == nil {
		seen = make(map[reflect.Type]bool)
	}
	seen[t] = true
	switch t.Kind() {
	case reflect.Bool, reflect.String, reflect.Float32, reflect.Float64,
		reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return nil
	case reflect.Interface:
		if decode && t.NumMethod() > 0 {
			return unsupported(t)
		}
		return nil
	case reflect.Pointer:
		return check(t.Elem(), decode, seen)
	case reflect.Slice, reflect.Array:
		return At("[]", check(t.Elem(), decode, seen))
	case reflect.Map:
		if err := checkKeyType(t.Key(), decode, seen); err != nil {
			return At("[key]", err)
		}
		return At("[]", check(t.Elem(), decode, seen))
	case reflect.Struct:
		return checkFields(t, decode, seen)
	}
	return unsupported(t)
}

// checkKeyType also refuses, for decoding, keys that compare by address: equal terms would become different keys.
func checkKeyType(t reflect.Type, decode bool, seen map[reflect.Type]bool) error {
	if decode && t.Kind() == reflect.Pointer {
		return unsupported(t)
	}
	return check(t, decode, seen)
}

func checkFields(t reflect.Type, decode bool, seen map[reflect.Type]bool) error {
	info := structInfo(t)
	if info.opaque {
		return unsupported(t)
	}
	for i := range info.fields {
		f := &info.fields[i]
		if err := check(t.Field(f.index).Type, decode, seen); err != nil {
			return At("."+f.goName, err)
		}
	}
	return nil
}
