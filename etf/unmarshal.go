package etf

import (
	"fmt"
	"reflect"
)

// Unmarshal decodes b, which begins with the version byte, into what dst points at: an any, or a value of a type that
// Decoder.Into knows. All of b must be used. On an error, parts of the value may have been set.
func Unmarshal(b []byte, dst any) error {
	v := reflect.ValueOf(dst)
	if v.Kind() != reflect.Pointer || v.IsNil() {
		return fmt.Errorf("etf.Unmarshal needs a non-nil pointer, got %T", dst)
	}
	d, err := NewVersionedDecoder(b)
	if err != nil {
		return err
	}
	if err := d.Into(v.Elem()); err != nil {
		return err
	}
	return d.End()
}
