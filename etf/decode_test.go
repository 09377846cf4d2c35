package etf_test

import (
	"errors"
	"math"
	"math/big"
	"reflect"
	"runtime"
	"testing"

	"github.com/erlpy/erlpy/etf"
)

func equal(t *testing.T, what string, got, want any) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s: got %#v, want %#v", what, got, want)
	}
}

func marshal(t testing.TB, v any) []byte {
	t.Helper()
	b, err := etf.Marshal(v)
	if err != nil {
		t.Fatalf("%#v: %v", v, err)
	}
	return b
}

// TestUnmarshalInto decodes into a new value of want's type.
func TestUnmarshalInto(t *testing.T) {
	one := 1
	tests := []struct{ in, want any }{
		{1, int8(1)},
		{255, byte(255)},
		{bigInt("18446744073709551615"), uint64(math.MaxUint64)},
		{bigInt("-12345678901234567890123"), *bigInt("-12345678901234567890123")},
		{7, *big.NewInt(7)},
		{3, 3.0},
		{0, 0.0},
		{-(1 << 60), -float64(1 << 60)},
		{bigInt("1180591620717411303424"), float64(1 << 70)},
		{0.1, float32(0.1)},
		{math.Inf(-1), math.Inf(-1)},
		{"x", color("x")},
		{etf.Atom("ok"), "ok"},
		{etf.Atom("none"), etf.Atom("none")},
		{"abc", []byte("abc")},
		{etf.Tuple{etf.Atom("bytes"), "abc"}, []byte("abc")},
		{[]any{1, 2}, []byte{1, 2}},
		{"ab", [2]byte{'a', 'b'}},
		{[]any{1, 2}, [2]int16{1, 2}},
		{[]any{1, "x"}, []any{1, "x"}},
		{etf.Tuple{1, 2}, []int{1, 2}},
		{etf.Tuple{1, 2}, etf.Tuple{1, 2}},
		{[]any{[]any{1}, []any{}}, [][]int{{1}, {}}},
		{make([]any, 5000), make([]*int, 5000)},
		{map[string]any{"a": 1}, map[string]int{"a": 1}},
		{map[string]any{"a": map[string]any{"X": 1}, "b": map[string]any{"y": 2}}, map[string]point{"a": {X: 1}, "b": {Y: 2}}},
		{map[any]any{1: "x"}, map[int8]string{1: "x"}},
		{map[any]any{etf.Atom("a"): nil}, map[any]any{etf.Atom("a"): nil}},
		{nil, (*int)(nil)},
		{1, &one},
		{map[string]any{"X": 1, "y": 2, "more": []any{1}}, point{X: 1, Y: 2}},
		{map[any]any{etf.Atom("X"): 1, 5: 5, "Next": map[string]any{"X": 2}}, point{X: 1, Next: &point{X: 2}}},
	}
	for _, tt := range tests {
		got := reflect.New(reflect.TypeOf(tt.want))
		if err := etf.Unmarshal(marshal(t, tt.in), got.Interface()); err != nil {
			t.Errorf("%#v into %T: %v", tt.in, tt.want, err)
			continue
		}
		if z, ok := tt.want.(big.Int); ok {
			if z.Cmp(got.Interface().(*big.Int)) != 0 {
				t.Errorf("%v: got %v", tt.in, got)
			}
			continue
		}
		equal(t, sprint(reflect.TypeOf(tt.want)), got.Elem().Interface(), tt.want)
	}
	// What came as a string: STRING_EXT has bare bytes for elements.
	var ints []int16
	var terms []etf.Term
	var text [2]any
	chars := []byte{131, 107, 0, 2, 'h', 'i'}
	if err := errors.Join(etf.Unmarshal(chars, &ints), etf.Unmarshal(chars, &terms), etf.Unmarshal(chars, &text)); err != nil {
		t.Fatal(err)
	}
	equal(t, "string into []int16", ints, []int16{'h', 'i'})
	equal(t, "string into [2]any", text, [2]any{104, 105})
	if len(terms) != 2 || string(terms[1].Raw()) != "ai" {
		t.Errorf("string into []Term: got %v", terms)
	}
}

func TestUnmarshalTypeError(t *testing.T) {
	tests := []struct {
		in   any
		dst  any
		want string
	}{
		{"x", new(int), "str cannot be passed as int"},
		{1.5, new(int), "float cannot be passed as int"},
		{true, new(int), "bool cannot be passed as int"},
		{nil, new(string), "NoneType cannot be passed as string"},
		{true, new(string), "bool cannot be passed as string"},
		{[]byte{255}, new(string), "bytes cannot be passed as string"},
		{etf.Tuple{etf.Atom("bytes"), "a"}, new([]any), "bytes cannot be passed as []any"},
		{1, new(string), "int cannot be passed as string"},
		{1, new(bool), "int cannot be passed as bool"},
		{"a", new(etf.Atom), "str cannot be passed as etf.Atom"},
		{300, new(int8), "int 300 cannot be passed as int8"},
		{-1, new(uint), "int -1 cannot be passed as uint"},
		{bigInt("9223372036854775808"), new(int), "int 9223372036854775808 cannot be passed as int, which has 64 bits in Go"},
		{new(big.Int).Lsh(big.NewInt(1), 2000), new(int), "int of 251 bytes cannot be passed as int, which has 64 bits in Go"},
		{1<<53 + 1, new(float64), "int 9007199254740993 cannot be passed as float64"},
		{bigInt("18446744073709551615"), new(float64), "int 18446744073709551615 cannot be passed as float64"},
		{etf.Atom("big"), new(float64), "Atom cannot be passed as float64"},
		{1e300, new(float32), "float 1e+300 cannot be passed as float32"},
		{nil, new([]int), "NoneType cannot be passed as []int"},
		{map[string]any{}, new([]int), "dict cannot be passed as []int"},
		{[]any{}, new(etf.Tuple), "list cannot be passed as etf.Tuple"},
		{[]any{1, 2, 3}, new([2]int), "list of length 3 cannot be passed as [2]int"},
		{"abc", new([2]byte), "str of length 3 cannot be passed as [2]uint8"},
		{[]any{}, new(map[string]int), "list cannot be passed as map[string]int"},
		{[]any{}, new(point), "list cannot be passed as etf_test.point"},
		{etf.Tuple{}, new(etf.Pid), "tuple cannot be passed as etf.Pid"},
		{[]any{1, []any{2, "x"}}, new([]any), ""},
		{[]any{[]any{2, "x"}}, new([][]int), "[0][1]: str cannot be passed as int"},
		{map[string]any{"a": []any{nil}}, new(map[string][]int), "['a'][0]: NoneType cannot be passed as int"},
		{map[string]any{"Next": map[string]any{"y": "?"}}, new(point), "['Next']['y']: str cannot be passed as float64"},
		{map[any]any{1: "a", 1.0: "b"}, new(map[float64]string),
			"dict with keys that are equal in Go cannot be passed as map[float64]string"},
		{map[any]any{[1]int{1}: 1}, new(map[any]any), "dict with a key that Go cannot compare cannot be passed as map[any]any"},
	}
	for _, tt := range tests {
		err := etf.Unmarshal(marshal(t, tt.in), tt.dst)
		if tt.want == "" {
			if err != nil {
				t.Errorf("%#v into %T: %v", tt.in, tt.dst, err)
			}
			continue
		}
		var te *etf.TypeError
		if !errors.As(err, &te) || err.Error() != tt.want {
			t.Errorf("%#v into %T: got error %v, want %s", tt.in, tt.dst, err, tt.want)
		}
	}
}

// TestCopies: what was decoded must outlive the input.
func TestCopies(t *testing.T) {
	in := []any{"text", []byte{0xff}, etf.Tuple{etf.Atom("bytes"), "b"}, etf.Atom("atom"), bigInt("123456789012345678901234567890")}
	b := marshal(t, in)
	var got any
	var typed struct{ A, B []byte }
	c := marshal(t, map[string]any{"A": "a", "B": etf.Tuple{etf.Atom("bytes"), "b"}})
	if err := errors.Join(etf.Unmarshal(b, &got), etf.Unmarshal(c, &typed)); err != nil {
		t.Fatal(err)
	}
	clear(b)
	clear(c)
	in[2] = []byte("b")
	equal(t, "any", got, in)
	equal(t, "typed", typed, struct{ A, B []byte }{[]byte("a"), []byte("b")})
}

// TestPointers: pointers do not count as nesting, but a pointer type without end must not be followed for ever.
func TestPointers(t *testing.T) {
	type endless *endless
	type node struct{ Next *node }
	var first node
	for range etf.MaxDepth - 1 {
		first = node{&node{first.Next}}
	}
	var got node
	if err := etf.Unmarshal(marshal(t, first), &got); err != nil {
		t.Error(err)
	}
	equal(t, "chain", got, first)
	var p endless
	var le *etf.LimitError
	if err := etf.Unmarshal(marshal(t, 1), &p); !errors.As(err, &le) {
		t.Errorf("endless: got %v", err)
	}
	if err := etf.Unmarshal(marshal(t, nil), &p); err != nil || p != nil {
		t.Errorf("endless nil: got %v", err)
	}
}

// TestEqualKeys: a map with a key twice is no map to Go, but must not lose an entry.
func TestEqualKeys(t *testing.T) {
	const b = "\x83t\x00\x00\x00\x02m\x00\x00\x00\x01aa\x01m\x00\x00\x00\x01aa\x02"
	for _, in := range []string{b, "\x83h\x01" + b[1:],
		"\x83t\x00\x00\x00\x02F\x80\x00\x00\x00\x00\x00\x00\x00a\x01F\x00\x00\x00\x00\x00\x00\x00\x00a\x02"} {
		var got any
		if err := etf.Unmarshal([]byte(in), &got); err != nil {
			t.Fatal(err)
		}
		if tuple, ok := got.(etf.Tuple); ok {
			got = tuple[0]
		}
		if _, ok := got.(etf.Term); !ok {
			t.Errorf("%x: got %#v", in, got)
		}
	}
	var m map[string]int
	if err := etf.Unmarshal([]byte(b), &m); err == nil {
		t.Errorf("into a map[string]int: got %v", m)
	}
	var unhashable map[[1]any]int
	if err := etf.Unmarshal([]byte("\x83t\x00\x00\x00\x01l\x00\x00\x00\x01jja\x01"), &unhashable); err == nil {
		t.Errorf("into a map[[1]any]int: got %v", unhashable)
	}
}

// TestHostileAllocation nests headers, each of which claims all the rest of the input as its elements.
func TestHostileAllocation(t *testing.T) {
	for _, tag := range []string{"l", "i", "t"} {
		in := []byte("\x83")
		for range etf.MaxDepth - 1 {
			in = append(in, tag+"\x00\x0f\x00\x00"...)
		}
		in = append(in, make([]byte, 2<<20)...)
		for _, dst := range []any{new(any), new([]any), new(map[any]any)} {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			if err := etf.Unmarshal(in, dst); err == nil {
				t.Errorf("%s into %T: no error", tag, dst)
			}
			runtime.ReadMemStats(&after)
			if n := after.TotalAlloc - before.TotalAlloc; n > 128<<20 {
				t.Errorf("%s into %T: %d MB for an input of 2", tag, dst, n>>20)
			}
		}
	}
}

// TestDecoderStepwise reads a frame's payload as the callers of the stepwise methods do.
func TestDecoderStepwise(t *testing.T) {
	b := marshal(t, etf.Tuple{"double_it", []any{21, "x", 1.5, true, nil, map[string]any{"k": 1}}})
	d, err := etf.NewVersionedDecoder(b)
	if err != nil {
		t.Fatal(err)
	}
	check := func(what string, got any, err error, want any) {
		t.Helper()
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		equal(t, what, got, want)
	}
	n, err := d.TupleLen()
	check("tuple", n, err, 2)
	name, err := d.Bytes()
	check("name", name, err, []byte("double_it"))
	n, err = d.ListLen()
	check("list", n, err, 6)
	_, err = d.Text() // is an int: must not be consumed
	if te := (*etf.TypeError)(nil); !errors.As(err, &te) {
		t.Errorf("text: got %v", err)
	}
	i, err := d.Int()
	check("int", i, err, int64(21))
	s, err := d.Text()
	check("text", s, err, "x")
	f, err := d.Float()
	check("float", f, err, 1.5)
	if d.None() {
		t.Error("true is none")
	}
	yes, err := d.Bool()
	check("bool", yes, err, true)
	if !d.None() {
		t.Error("none is not none")
	}
	n, err = d.MapLen()
	check("map", n, err, 1)
	for range 2 {
		if _, err := d.Skip(); err != nil {
			t.Fatal(err)
		}
	}
	if len(d.Rest()) != 1 || d.End() == nil {
		t.Errorf("rest: %x", d.Rest())
	}
	check("end", nil, errors.Join(d.EndList(), d.End()), nil)
}

// TestMalformed holds inputs that must be refused, and those that made a fuzzer stop.
func TestMalformed(t *testing.T) {
	tests := map[string]string{
		"empty":                        "",
		"no version":                   "\x61\x01",
		"version only":                 "\x83",
		"compressed":                   "\x83P\x00\x00\x00\x02x\x9c",
		"unknown tag":                  "\x83\x01",
		"rest":                         "\x83a\x01a",
		"list of 4 billion":            "\x83l\xff\xff\xff\xffj",
		"tuple of 4 billion":           "\x83i\xff\xff\xff\xffj",
		"map of 4 billion":             "\x83t\xff\xff\xff\xffj",
		"binary of 4 billion":          "\x83m\xff\xff\xff\xffj",
		"bignum of 4 billion":          "\x83o\xff\xff\xff\xff\x00\x01",
		"fun of 4 billion":             "\x83p\xff\xff\xff\xff" + string(make([]byte, 21)) + "\xff\xff\xff\xff",
		"NaN":                          "\x83F\x7f\xf8\x00\x00\x00\x00\x00\x00",
		"infinity":                     "\x83F\x7f\xf0\x00\x00\x00\x00\x00\x00",
		"text float nan":               "\x83cnan" + string(make([]byte, 28)),
		"text float hex":               "\x83c0x1p4" + string(make([]byte, 26)),
		"text float huge":              "\x83c1.0e+999" + string(make([]byte, 23)),
		"atom not utf8":                "\x83w\x01\xff",
		"atom of 256 bytes in latin1":  "\x83d\x01\x00" + string(make([]byte, 256)),
		"local inside a tuple":         "\x83h\x01y\x00",
		"local inside a list":          "\x83l\x00\x00\x00\x01y\x00j",
		"reference without words":      "\x83Z\x00\x00w\x01n\x00\x00\x00\x00",
		"export of a bignum":           "\x83qw\x01mw\x01fb\x00\x00\x00\x01",
		"bits without bytes":           "\x83M\x00\x00\x00\x00\x01",
		"nine bits":                    "\x83M\x00\x00\x00\x01\x09\x00",
		"pid with a list for its node": "\x83Xj" + string(make([]byte, 12)),
	}
	for name, in := range tests {
		for _, dst := range []any{new(any), new(etf.Term)} {
			err := etf.Unmarshal([]byte(in), dst)
			if se := (*etf.SyntaxError)(nil); !errors.As(err, &se) {
				t.Errorf("%s into %T: got %v", name, dst, err)
			}
		}
	}
}

// TestOldTags decodes what term_to_binary no longer writes, but other nodes may.
func TestOldTags(t *testing.T) {
	const node = "s\x04n@ho"
	tests := map[string]struct {
		in   string
		want string
	}{
		"SMALL_ATOM_EXT":     {"\x83s\x04caf\xe9", "café"},
		"PID_EXT":            {"\x83g" + node + "\x00\x00\x00\x07\x00\x00\x00\x08\x01", "<n@ho.7.8>"},
		"REFERENCE_EXT":      {"\x83e" + node + "\x00\x00\x00\x07\x01", "#Ref<n@ho.7>"},
		"NEW_REFERENCE_EXT":  {"\x83r\x00\x02" + node + "\x01\x00\x00\x00\x07\x00\x00\x00\x08", "#Ref<n@ho.8.7>"},
		"NEWER_REFERENCE":    {"\x83Z\x00\x01" + node + "\x00\x00\x00\x09\x00\x00\x00\x07", "#Ref<n@ho.7>"},
		"PORT_EXT":           {"\x83f" + node + "\x00\x00\x00\x07\x01", "#Term<port of 12 bytes>"},
		"NEW_PORT_EXT":       {"\x83Y" + node + "\x00\x00\x00\x07\x00\x00\x00\x01", "#Term<port of 15 bytes>"},
		"LOCAL_EXT":          {"\x83y\x01\x02", "#Term<term of 3 bytes>"},
		"LARGE_TUPLE of one": {"\x83i\x00\x00\x00\x01a\x01", "[1]"},
	}
	for name, tt := range tests {
		var got any
		if err := etf.Unmarshal([]byte(tt.in), &got); err != nil {
			t.Errorf("%s: %v", name, err)
		} else if text := sprint(got); text != tt.want {
			t.Errorf("%s: got %s, want %s", name, text, tt.want)
		}
	}
}

// TestUntidyIntegers: a bignum may have zeros on top, or be none.
func TestUntidyIntegers(t *testing.T) {
	for in, want := range map[string]int{
		"\x83n\x0a\x01\x05\x00\x00\x00\x00\x00\x00\x00\x00\x00": -5, "\x83n\x00\x01": 0, "\x83o\x00\x00\x00\x01\x00\x07": 7,
	} {
		var got any
		if err := etf.Unmarshal([]byte(in), &got); err != nil {
			t.Errorf("%x: %v", in, err)
		}
		equal(t, in, got, want)
	}
}

// TestLengths: who reads a header by itself may trust that the input could hold so much.
func TestLengths(t *testing.T) {
	for name, read := range map[string]func(d *etf.Decoder) (int, error){
		"l\xff\xff\xff\xffj": (*etf.Decoder).ListLen, "k\xff\xffj": (*etf.Decoder).ListLen, "h\xffj": (*etf.Decoder).TupleLen,
		"i\xff\xff\xff\xffj": (*etf.Decoder).TupleLen, "t\x00\x00\x00\x02jjj": (*etf.Decoder).MapLen,
	} {
		d := etf.NewDecoder([]byte(name))
		n, err := read(&d)
		if se := (*etf.SyntaxError)(nil); !errors.As(err, &se) {
			t.Errorf("%q: got %d, %v", name, n, err)
		}
	}
}

func TestUnmarshalNeedsPointer(t *testing.T) {
	for _, dst := range []any{nil, 1, (*int)(nil)} {
		if err := etf.Unmarshal([]byte("\x83a\x01"), dst); err == nil {
			t.Errorf("%T: no error", dst)
		}
	}
}

func TestComparable(t *testing.T) {
	raw := "\x83Xw\x01n\x00\x00\x00\x01\x00\x00\x00\x02\x00\x00\x00\x03"
	var a, b any
	if err := errors.Join(etf.Unmarshal([]byte(raw), &a), etf.Unmarshal([]byte(raw), &b)); err != nil {
		t.Fatal(err)
	}
	if a != b || a.(etf.Pid).String() != "<n.1.2>" {
		t.Errorf("%v != %v", a, b)
	}
}
