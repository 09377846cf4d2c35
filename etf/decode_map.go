package etf

// anyMap reads a map as a map[string]any while all keys are strings, and goes over to a map[any]any at the first that is none.
// At one that Go cannot use as a key, or has already, the whole map becomes a Term.
func (d *Decoder) anyMap() (any, error) {
	start := d.off
	n, err := d.MapLen()
	if err != nil {
		return nil, err
	}
	if err := d.enter(); err != nil {
		return nil, err
	}
	defer d.leave()
	byText := make(map[string]any, min(n, presize/4))
	for i := range n {
		key, err := d.Any()
		if err != nil {
			return nil, err
		}
		text, ok := key.(string)
		if !ok {
			return d.mixedMap(start, byText, key, n-i)
		}
		if _, taken := byText[text]; taken {
			return d.opaqueMap(start, 2*(n-i)-1)
		}
		if byText[text], err = d.Any(); err != nil {
			return nil, err
		}
	}
	return byText, nil
}

// mixedMap reads the rest of a map that begins with the entries of byText: rest entries, the key of the first being read.
func (d *Decoder) mixedMap(start int, byText map[string]any, key any, rest int) (any, error) {
	m := make(map[any]any, len(byText)+min(rest, presize/4))
	for k, v := range byText {
		m[k] = v
	}
	for {
		if !hashable(key) {
			return d.opaqueMap(start, 2*rest-1)
		}
		if _, taken := m[key]; taken {
			return d.opaqueMap(start, 2*rest-1)
		}
		value, err := d.Any()
		if err != nil {
			return nil, err
		}
		m[key] = value
		if rest--; rest == 0 {
			return m, nil
		}
		if key, err = d.Any(); err != nil {
			return nil, err
		}
	}
}

// opaqueMap reads what is left of a map that began at start, n terms, and returns all of it as a Term.
func (d *Decoder) opaqueMap(start, n int) (any, error) {
	for range n {
		if err := d.skip(); err != nil {
			return nil, err
		}
	}
	return Term{string(d.buf[start:d.off])}, nil
}

// hashable reports whether equal terms of this type are equal keys in Go. A *big.Int is not: it compares by address.
func hashable(key any) bool {
	switch key.(type) {
	case nil, bool, int, float64, string, Atom, Pid, Ref, Term:
		return true
	}
	return false
}
