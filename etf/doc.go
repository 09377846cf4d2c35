// Package etf turns Go values into Erlang terms and back, in the external term format that term_to_binary/1 writes.
//
// # Values
//
// [Append] and [Marshal] take any Go value; [Decoder.Any] and [Unmarshal] into an any give these:
//
//	Go                          Erlang                          back in Go
//	nil                         none                            nil (as are nil and undefined)
//	bool                        true, false                     bool
//	int..., uint..., *big.Int   integer                         int when it fits, else *big.Int
//	float64, float32            float                           float64
//	NaN, +Inf, -Inf             nan, infinity, neg_infinity     Atom (into a float64: the number)
//	string                      binary                          string when it is valid UTF-8, else []byte
//	[]byte                      binary                          as above
//	                            {bytes, Binary}                 []byte, always
//	[]any, any slice or array   list                            []any
//	Tuple                       tuple                           Tuple
//	Atom                        atom                            Atom
//	map                         map                             map[string]any, map[any]any or Term
//	struct                      map of its exported fields      map[string]any
//	Pid, Ref, Term              what they were                  the same, byte for byte
//
// A pointer stands for what it points at, a nil pointer for none; a nil slice is the empty list, a nil map the empty map.
// A struct field goes by its own name unless tagged `etf:"name"`; `etf:"-"` leaves it out. Functions, channels, complex
// numbers and structs without an exported field (time.Time, sync.Mutex) have no term: [UnsupportedError] says where one was.
//
// [Term] holds what Go has no type for: funs, ports, bitstrings, improper lists, and maps whose keys Go cannot tell apart
// or cannot use as keys.
//
// # Typed values
//
// [Decoder.Into] and [Unmarshal] into a typed pointer convert only what loses nothing: an integer to a float type that
// holds it exactly, a list or tuple to a slice, a map to a struct (keys the struct does not have are ignored). All else is a
// [TypeError], which names the place and speaks of the value in Python's words, since it is a Python caller who reads it.
//
// # Hostile input
//
// No input makes the decoder panic, recurse beyond [MaxDepth], or allocate more than its size justifies.
package etf
