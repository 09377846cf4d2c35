package etf

import (
	"encoding/binary"
	"math"
	"math/big"
	"reflect"
	"unicode/utf8"
)

// Marshal returns the encoding of v, with the version byte. See the package's table for what becomes what.
func Marshal(v any) ([]byte, error) {
	b, err := Append(nil, v)
	if err != nil {
		return nil, err
	}
	return b, nil
}

// Append appends the encoding of v to dst, with the version byte, and returns the extended slice. On an error
// (*UnsupportedError, *LimitError) it returns dst as it was; the bytes behind its end may have been used.
// The entries of a map come in no particular order.
func Append(dst []byte, v any) ([]byte, error) {
	out, err := AppendTerm(append(dst, version), v)
	if err != nil {
		return dst, err
	}
	return out, nil
}

// AppendTerm is Append without the version byte: for a term that is part of another.
func AppendTerm(dst []byte, v any) ([]byte, error) {
	out, err := appendAny(dst, v, 0)
	if err != nil {
		return dst, err
	}
	return out, nil
}

// AppendVersion appends the version byte that begins a whole term.
func AppendVersion(dst []byte) []byte { return append(dst, version) }

// appendAny handles the common types itself and leaves the rest to reflection. depth counts the containers around v.
func appendAny(dst []byte, v any, depth int) ([]byte, error) {
	switch v := v.(type) {
	case nil:
		return AppendNone(dst), nil
	case bool:
		return AppendBool(dst, v), nil
	case int:
		return AppendInt(dst, int64(v)), nil
	case int64:
		return AppendInt(dst, v), nil
	case float64:
		return AppendFloat(dst, v), nil
	case string:
		return AppendString(dst, v)
	case []byte:
		return AppendBytes(dst, v)
	case Atom:
		return AppendAtom(dst, v)
	case []any:
		return appendList(dst, v, depth)
	case Tuple:
		return appendTuple(dst, v, depth)
	case map[string]any:
		return appendMap(dst, v, depth)
	case Pid:
		return appendRaw(dst, v.raw, "the zero etf.Pid")
	case Ref:
		return appendRaw(dst, v.raw, "the zero etf.Ref")
	case Term:
		return appendRaw(dst, v.raw, "the zero etf.Term")
	case *big.Int:
		if v == nil {
			return AppendNone(dst), nil
		}
		return appendBig(dst, v)
	}
	return appendValue(dst, reflect.ValueOf(v), depth)
}

// AppendNone appends the atom none.
func AppendNone(dst []byte) []byte { return append(dst, tagSmallAtomUTF8, 4, 'n', 'o', 'n', 'e') }

// AppendBool appends the atom true or false.
func AppendBool(dst []byte, b bool) []byte {
	if b {
		return append(dst, tagSmallAtomUTF8, 4, 't', 'r', 'u', 'e')
	}
	return append(dst, tagSmallAtomUTF8, 5, 'f', 'a', 'l', 's', 'e')
}

// AppendFloat appends the term of f. Erlang has no NaN and no infinities: the atoms nan, infinity and neg_infinity stand for
// them.
func AppendFloat(dst []byte, f float64) []byte {
	switch {
	case math.IsNaN(f):
		return append(dst, tagSmallAtomUTF8, 3, 'n', 'a', 'n')
	case math.IsInf(f, 1):
		return append(append(dst, tagSmallAtomUTF8, 8), "infinity"...)
	case math.IsInf(f, -1):
		return append(append(dst, tagSmallAtomUTF8, 12), "neg_infinity"...)
	}
	return binary.BigEndian.AppendUint64(append(dst, tagNewFloat), math.Float64bits(f))
}

// AppendString appends s as a binary.
func AppendString(dst []byte, s string) ([]byte, error) {
	dst, err := appendLen32(dst, tagBinary, len(s))
	return append(dst, s...), err
}

// AppendBytes appends b as a binary.
func AppendBytes(dst, b []byte) ([]byte, error) {
	dst, err := appendLen32(dst, tagBinary, len(b))
	return append(dst, b...), err
}

// AppendAtom appends an atom. One of more than 255 characters, or not in UTF-8, is an error.
func AppendAtom(dst []byte, a Atom) ([]byte, error) {
	if !utf8.ValidString(string(a)) {
		return dst, &UnsupportedError{Type: "an etf.Atom that is not UTF-8"}
	}
	if len(a) > maxAtomRunes && utf8.RuneCountInString(string(a)) > maxAtomRunes {
		return dst, &LimitError{What: "the length of an atom", Limit: maxAtomRunes}
	}
	if len(a) <= math.MaxUint8 {
		dst = append(dst, tagSmallAtomUTF8, byte(len(a)))
	} else {
		dst = append(dst, tagAtomUTF8, byte(len(a)>>8), byte(len(a)))
	}
	return append(dst, a...), nil
}

// AppendTuple appends the header of a tuple; its n elements are to follow.
func AppendTuple(dst []byte, n int) ([]byte, error) {
	if n >= 0 && n <= math.MaxUint8 {
		return append(dst, tagSmallTuple, byte(n)), nil
	}
	return appendLen32(dst, tagLargeTuple, n)
}

// AppendList appends the header of a list; its n elements are to follow, then AppendNil. An empty list is AppendNil alone.
func AppendList(dst []byte, n int) ([]byte, error) { return appendLen32(dst, tagList, n) }

// AppendNil appends the empty list, which also ends every list.
func AppendNil(dst []byte) []byte { return append(dst, tagNil) }

// AppendMap appends the header of a map; n keys, each followed by its value, are to follow.
func AppendMap(dst []byte, n int) ([]byte, error) { return appendLen32(dst, tagMap, n) }

// appendLen32 appends a tag and a length that the format counts in 32 bits.
func appendLen32(dst []byte, tag byte, n int) ([]byte, error) {
	if uint64(n) > math.MaxUint32 {
		return dst, &LimitError{What: "the size of a term", Limit: math.MaxUint32}
	}
	return binary.BigEndian.AppendUint32(append(dst, tag), uint32(n)), nil
}

func appendRaw(dst []byte, raw, zero string) ([]byte, error) {
	if raw == "" {
		return dst, &UnsupportedError{Type: zero}
	}
	return append(dst, raw...), nil
}
