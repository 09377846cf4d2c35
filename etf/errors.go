package etf

import (
	"errors"
	"fmt"
)

// SyntaxError reports bytes that are not a term: truncated, malformed, or of a kind that is refused.
type SyntaxError struct {
	Offset int    // where, counted from the start of what the decoder was given
	What   string // what is wrong there
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("malformed term at byte %d: %s", e.Offset, e.What)
}

// TypeError reports a well-formed term that does not fit the Go type it was to be stored in.
type TypeError struct {
	Path string // the place within the value, such as "[1]['x']"; empty for the value itself
	Want string // the Go type
	Got  string // the value, in Python's words: "str", "NoneType", "int 300"
}

func (e *TypeError) Error() string {
	return place(e.Path) + e.Got + " cannot be passed as " + e.Want
}

// UnsupportedError reports a Go value, or type, that has no Erlang term.
type UnsupportedError struct {
	Path string // the place within the value, such as "[2].When"; empty for the value itself
	Type string // the Go type found there
}

func (e *UnsupportedError) Error() string {
	return place(e.Path) + e.Type + " has no Erlang term"
}

// LimitError reports a value over one of the format's or this package's limits.
type LimitError struct {
	What  string // what is too large: "nesting depth"
	Limit int    // how large it may be
}

func (e *LimitError) Error() string {
	return fmt.Sprintf("%s is over the limit of %d", e.What, e.Limit)
}

func errDepth() error { return &LimitError{What: "nesting depth (max_depth)", Limit: MaxDepth} }

func place(path string) string {
	if path == "" {
		return ""
	}
	return path + ": "
}

// At puts prefix before the path that a TypeError or UnsupportedError names, and returns every other error as it is. A
// caller that decodes a list by itself uses it to say which element failed.
func At(prefix string, err error) error {
	var te *TypeError
	var ue *UnsupportedError
	switch {
	case errors.As(err, &te):
		te.Path = prefix + te.Path
	case errors.As(err, &ue):
		ue.Path = prefix + ue.Path
	}
	return err
}
