package engine

import (
	"errors"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"sync"

	"github.com/erlpy/erlpy/etf"
)

// state is the table of state_get and its kin when there is no node to keep it. Keys and values are terms in their bytes.
type state struct {
	mu    sync.Mutex
	table map[string][]byte
	max   int // keys; 0: no limit
}

var errNoInteger = errors.New("the value is no integer")

// do runs one operation of PROTOCOL.md section 4 and returns its result. known is false when op is none of the table's.
func (s *state) do(op string, args []byte) (result any, known bool, err error) {
	d := etf.NewDecoder(args)
	n, err := d.ListLen()
	if err != nil {
		return nil, true, err
	}
	items := make([][]byte, 0, 2)
	for range n {
		raw, err := d.Skip()
		if err != nil {
			return nil, true, err
		}
		items = append(items, raw)
	}
	want, known := map[string]int{
		"state_get": 1, "state_set": 2, "state_delete": 1, "state_keys": 0, "state_clear": 0, "state_incr": 2, "state_decr": 2,
	}[op]
	if !known {
		return nil, false, nil
	}
	if n != want {
		return nil, true, fmt.Errorf("%s takes %d arguments, got %d", op, want, n)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.table == nil {
		s.table = make(map[string][]byte)
	}
	switch op {
	case "state_get":
		raw, ok := s.table[string(items[0])]
		if !ok {
			return nil, true, nil
		}
		v, err := term(raw)
		return v, true, err
	case "state_set":
		if err := s.room(string(items[0])); err != nil {
			return nil, true, err
		}
		s.table[string(items[0])] = slices.Clone(items[1])
	case "state_delete":
		delete(s.table, string(items[0]))
	case "state_clear":
		clear(s.table)
	case "state_keys":
		keys := make([]any, 0, len(s.table))
		for key := range maps.Keys(s.table) {
			v, err := term([]byte(key))
			if err != nil {
				return nil, true, err
			}
			keys = append(keys, v)
		}
		return keys, true, nil
	default:
		v, err := s.add(string(items[0]), items[1], op == "state_decr")
		return v, true, err
	}
	return etf.Atom("ok"), true, nil
}

// room refuses a new key once the table is full.
func (s *state) room(key string) error {
	if _, known := s.table[key]; !known && s.max > 0 && len(s.table) >= s.max {
		return fmt.Errorf("the shared table holds %d keys, as many as it may (MaxState)", s.max)
	}
	return nil
}

func (s *state) add(key string, by []byte, down bool) (any, error) {
	sum, err := integer(by)
	if err != nil {
		return nil, err
	}
	if down {
		sum.Neg(sum)
	}
	if raw, ok := s.table[key]; ok {
		old, err := integer(raw)
		if err != nil {
			return nil, err
		}
		sum.Add(sum, old)
	} else if err := s.room(key); err != nil {
		return nil, err
	}
	raw, err := etf.AppendTerm(nil, sum)
	if err != nil {
		return nil, err
	}
	s.table[key] = raw
	return sum, nil
}

// integer is the value of a term that is one, of any size.
func integer(raw []byte) (*big.Int, error) {
	d := etf.NewDecoder(raw)
	switch v, _ := d.Any(); v := v.(type) {
	case int:
		return big.NewInt(int64(v)), nil
	case *big.Int:
		return v, nil
	}
	return nil, errNoInteger
}

// term is the value of raw bytes, kept as they are.
func term(raw []byte) (etf.Term, error) {
	var t etf.Term
	err := etf.Unmarshal(append(etf.AppendVersion(nil), raw...), &t)
	return t, err
}
