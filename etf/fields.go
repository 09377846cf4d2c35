package etf

import (
	"reflect"
	"sync"
)

// structFields is what encoding and decoding need to know of a struct type.
type structFields struct {
	fields []field
	byName map[string]int // name on the wire -> index in fields
	opaque bool           // fields, but none that is exported: its content is its own affair
}

type field struct {
	index  int    // in the struct
	goName string // as in the source
	key    []byte // the name on the wire, encoded
}

var structCache sync.Map // reflect.Type -> *structFields

func structInfo(t reflect.Type) *structFields {
	if info, ok := structCache.Load(t); ok {
		return info.(*structFields)
	}
	info, _ := structCache.LoadOrStore(t, readFields(t))
	return info.(*structFields)
}

func readFields(t reflect.Type) *structFields {
	info := &structFields{byName: make(map[string]int)}
	for i := range t.NumField() {
		f := t.Field(i)
		name := f.Name
		if tag, ok := f.Tag.Lookup("etf"); ok && tag != "" {
			name = tag
		}
		if !f.IsExported() || name == "-" {
			continue
		}
		// Of two fields with one name, the first has it: Erlang refuses a map with equal keys.
		if _, taken := info.byName[name]; taken {
			continue
		}
		key, _ := AppendString(nil, name)
		info.byName[name] = len(info.fields)
		info.fields = append(info.fields, field{index: i, goName: f.Name, key: key})
	}
	info.opaque = len(info.fields) == 0 && t.NumField() > 0
	return info
}
