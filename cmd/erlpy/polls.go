package main

import (
	"errors"
	"strconv"
)

const pollUsage = "tries before a thread sleeps; 0 for none (default chosen by the program)"

// polls is the flag --poll of every command that runs Python. Not given, it leaves the engine's own default, which that knows
// as 0; so none is a negative number there.
type polls struct{ n *int }

func (p polls) Set(text string) error {
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		return errors.New("must be an integer from 0")
	}
	if n == 0 {
		n = -1
	}
	*p.n = n
	return nil
}

func (p polls) String() string { return "" }

func (p polls) Type() string { return "int" }
