package etf

import (
	"encoding/binary"
	"fmt"
	"strings"
)

// String returns <node.id.serial>.
func (p Pid) String() string {
	tag, node, rest, ok := identifier(p.raw)
	if !ok || !isPid(tag) || len(rest) < 8 {
		return "<invalid>"
	}
	return fmt.Sprintf("<%s.%d.%d>", node, binary.BigEndian.Uint32(rest), binary.BigEndian.Uint32(rest[4:]))
}

// String returns #Ref<node.a.b.c>, the numbers in the order in which Erlang shows them.
func (r Ref) String() string {
	tag, node, rest, ok := identifier(r.raw)
	if !ok {
		return "#Ref<invalid>"
	}
	switch tag {
	case tagNewerRef:
		rest = rest[4:] // the creation
	case tagNewRef:
		rest = rest[1:]
	default:
		rest = rest[:4]
	}
	var b strings.Builder
	for i := len(rest) - 4; i >= 0; i -= 4 {
		fmt.Fprintf(&b, ".%d", binary.BigEndian.Uint32(rest[i:]))
	}
	return "#Ref<" + node + b.String() + ">"
}

// String says what kind of term it is, and how long.
func (t Term) String() string {
	d := NewDecoder([]byte(t.raw))
	kind := "term"
	switch d.peek() {
	case tagNewFun, tagExport:
		kind = "fun"
	case tagV4Port, tagNewPort, tagPort:
		kind = "port"
	case tagBitBinary:
		kind = "bitstring"
	case tagList:
		kind = "list"
	case tagMap:
		kind = "map"
	}
	return fmt.Sprintf("#Term<%s of %d bytes>", kind, len(t.raw))
}

// identifier takes a pid or reference apart: tag, node, and what follows the node.
func identifier(raw string) (tag byte, node string, rest []byte, ok bool) {
	d := NewDecoder([]byte(raw))
	tag, err := d.tag()
	if err == nil && (tag == tagNewerRef || tag == tagNewRef) {
		_, err = d.uint16()
	}
	if err != nil {
		return tag, "", nil, false
	}
	name, err := d.Atom()
	return tag, string(name), d.Rest(), err == nil
}
