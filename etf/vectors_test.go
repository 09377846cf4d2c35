package etf_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/erlpy/erlpy/etf"
)

// vector is one entry of testdata/vectors.json, which testdata/vectors.erl writes.
type vector struct {
	Name, Term, Hex, Hex1, Hex0 string
}

// encodings returns the vector's bytes in each minor version that differs.
func (v vector) encodings(t testing.TB) [][]byte {
	t.Helper()
	var all [][]byte
	for _, h := range []string{v.Hex, v.Hex1, v.Hex0} {
		b, err := hex.DecodeString(h)
		if err != nil {
			t.Fatalf("%s: %v", v.Name, err)
		}
		if len(b) > 0 {
			all = append(all, b)
		}
	}
	return all
}

func readVectors(t testing.TB) []vector {
	t.Helper()
	b, err := os.ReadFile("../testdata/vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var vs []vector
	if err := json.Unmarshal(b, &vs); err != nil {
		t.Fatal(err)
	}
	if len(vs) < 100 {
		t.Fatalf("only %d vectors", len(vs))
	}
	return vs
}

func bigInt(s string) *big.Int {
	n, ok := new(big.Int).SetString(s, 0)
	if !ok {
		panic(s)
	}
	return n
}

// wantAny is what the vectors of these names decode to.
var wantAny = map[string]any{
	"int 0":                    0,
	"int -1":                   -1,
	"int 255":                  255,
	"int 256":                  256,
	"int -2147483649":          -2147483649,
	"int 9223372036854775807":  9223372036854775807,
	"int 9223372036854775808":  bigInt("9223372036854775808"),
	"int -9223372036854775808": -9223372036854775808,
	"int -9223372036854775809": bigInt("-9223372036854775809"),
	"int 18446744073709551616": bigInt("18446744073709551616"),
	"bignum of 256 bytes":      new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 2048), big.NewInt(1)),
	"-bignum of 4153 bytes":    new(big.Int).Sub(big.NewInt(1), new(big.Int).Lsh(big.NewInt(1), 8*4153)),
	"float 0.1":                0.1,
	"float 5.0e-324":           5e-324,
	"atom true":                true,
	"atom false":               false,
	"atom none":                nil,
	"atom nil":                 nil,
	"atom undefined":           nil,
	"atom ok":                  etf.Atom("ok"),
	"atom nan":                 etf.Atom("nan"),
	"atom ":                    etf.Atom(""),
	"atom café":                etf.Atom("café"),
	"atom 日本語":                 etf.Atom("日本語"),
	"atom of 255 e acute":      etf.Atom(strings.Repeat("é", 255)),
	"empty binary":             "",
	"binary utf8":              "žluťoučký ✓ 😀",
	"binary not utf8":          []byte{255, 254, 0, 1},
	"binary surrogate":         []byte{0xed, 0xa0, 0x80},
	"wrapped bytes":            []byte("abc"),
	"wrapped empty bytes":      []byte{},
	"wrapped no bytes":         etf.Tuple{etf.Atom("bytes"), 1},
	"bytes triple":             etf.Tuple{etf.Atom("bytes"), "abc", 1},
	"empty list":               []any{},
	"string":                   []any{104, 101, 108, 108, 111},
	"list mixed":               []any{1, 2.5, "x", etf.Atom("ok"), []any{}, etf.Tuple{}},
	"list of strings":          []any{[]any{97}, []any{98, 99}, []any{}},
	"pair":                     etf.Tuple{etf.Atom("ok"), "value"},
	"empty map":                map[string]any{},
	"map text keys":            map[string]any{"a": 1, "b": []any{2, 3}},
	"map atom keys":            map[any]any{etf.Atom("a"): 1, etf.Atom("b"): 2},
	"map mixed keys":           map[any]any{"a": 1, 2: etf.Atom("two"), etf.Atom("c"): 3, 1.5: etf.Atom("x")},
	"map int and float key":    map[any]any{1: etf.Atom("a"), 1.0: etf.Atom("b")},
	"map true key":             map[any]any{true: 1, 1: 2},
	"map of maps":              map[string]any{"a": map[string]any{"b": map[string]any{"c": nil}}},
	"call":                     etf.Tuple{"double_it", []any{21}},
}

// wantTerm lists the vectors that Go has no type for.
var wantTerm = []string{
	"map none keys", "map tuple key", "map list key", "map map key", "map bignum key", "map bytes key", "port", "port high",
	"foreign port", "external fun", "local fun", "bitstring 1", "bitstring 11", "improper list", "improper list of binaries",
	"improper string", "improper with list inside",
}

func TestVectorsDecode(t *testing.T) {
	byName := make(map[string]vector)
	for _, v := range readVectors(t) {
		byName[v.Name] = v
	}
	for name, want := range wantAny {
		for _, b := range byName[name].encodings(t) {
			var got any
			if err := etf.Unmarshal(b, &got); err != nil {
				t.Errorf("%s: %v", name, err)
			} else if !reflect.DeepEqual(got, want) {
				t.Errorf("%s: got %#v, want %#v", name, got, want)
			}
		}
		if byName[name].Hex == "" {
			t.Errorf("%s: no such vector", name)
		}
	}
	for _, name := range wantTerm {
		for _, b := range byName[name].encodings(t) {
			var got any
			if err := etf.Unmarshal(b, &got); err != nil {
				t.Errorf("%s: %v", name, err)
			} else if term, ok := got.(etf.Term); !ok || !bytes.Equal(term.Raw(), b[1:]) {
				t.Errorf("%s: got %T %v, want a Term of the same bytes", name, got, got)
			}
		}
		if byName[name].Hex == "" {
			t.Errorf("%s: no such vector", name)
		}
	}
}

func TestVectorsSkipAndTerm(t *testing.T) {
	for _, v := range readVectors(t) {
		for _, b := range v.encodings(t) {
			d := etf.NewDecoder(b[1:])
			raw, err := d.Skip()
			if err != nil || !bytes.Equal(raw, b[1:]) {
				t.Errorf("%s: skip: %d bytes of %d, %v", v.Name, len(raw), len(b)-1, err)
			}
			var term etf.Term
			if err := etf.Unmarshal(b, &term); err != nil {
				t.Errorf("%s: as a Term: %v", v.Name, err)
			} else if back, err := etf.Marshal(term); err != nil || !bytes.Equal(back, b) {
				t.Errorf("%s: as a Term: came back as %x, %v", v.Name, back, err)
			}
		}
	}
}

// TestVectorsTruncated cuts every vector at every byte: none of the pieces may pass for a term.
func TestVectorsTruncated(t *testing.T) {
	for _, v := range readVectors(t) {
		for _, b := range v.encodings(t) {
			for n := 0; n < len(b); n += 1 + n/100 {
				var got any
				if err := etf.Unmarshal(b[:n], &got); err == nil {
					t.Errorf("%s: %d bytes of %d gave %v", v.Name, n, len(b), got)
				}
				if n == 0 {
					continue
				}
				d := etf.NewDecoder(b[1:n])
				if raw, err := d.Skip(); err == nil {
					t.Errorf("%s: skip took %d bytes of %d for a term: %x", v.Name, n, len(b), raw)
				}
			}
		}
	}
}

// TestVectorsInErlang lets a node compare what came out of Go with what went in.
func TestVectorsInErlang(t *testing.T) {
	erl, err := exec.LookPath("erl")
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip("erl is needed: ", err)
	}
	var in []any
	for _, v := range readVectors(t) {
		for _, b := range v.encodings(t) {
			var value any
			if err := etf.Unmarshal(b, &value); err != nil {
				t.Fatalf("%s: %v", v.Name, err)
			}
			back, err := etf.Marshal(value)
			if err != nil {
				t.Fatalf("%s: %v", v.Name, err)
			}
			in = append(in, etf.Tuple{v.Name, b, back})
		}
	}
	file := filepath.Join(t.TempDir(), "vectors.etf")
	b, err := etf.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, b, 0o600); err != nil {
		t.Fatal(err)
	}
	// What Go cannot tell apart comes back in one form: nil and undefined as none, {bytes, B} as B.
	const program = `
		[File] = init:get_plain_arguments(),
		{ok, Bin} = file:read_file(File),
		Norm = fun F(nil) -> none; F(undefined) -> none; F({bytes, B}) when is_binary(B) -> B; F(T) -> T end,
		Bad = [Name || {Name, A, B} <- binary_to_term(Bin), Norm(binary_to_term(A)) =/= Norm(binary_to_term(B))],
		io:format("~b compared, differing: ~tp", [length(binary_to_term(Bin)), Bad]),
		halt().`
	cmd := exec.Command(erl, "-noshell", "-boot", "no_dot_erlang", "-eval", program, "-extra", file)
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.HasSuffix(string(out), "differing: []") {
		t.Fatalf("%v: %s", err, out)
	}
}
