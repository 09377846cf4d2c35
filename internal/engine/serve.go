package engine

import (
	"fmt"
	"slices"

	"github.com/erlpy/erlpy/etf"
	"github.com/erlpy/erlpy/internal/cpython"
)

// serve begins what the thread's {Role, Token} asks for.
func (e *Engine) serve(t *cpython.Thread, s *session) cpython.Action {
	d := etf.NewDecoder(t.Frame()[payloadAt:])
	if n, err := d.TupleLen(); err != nil || n != 2 {
		return e.fail(t, fmt.Errorf("erlpy: the shim's frame holds no role"))
	}
	role, err := d.Atom()
	if err != nil {
		return e.fail(t, err)
	}
	token, err := d.Text()
	if err != nil {
		return e.fail(t, err)
	}
	switch {
	case role == "go":
		return e.serveJobs(t, s, place(slices.Index(tokens[:], token)))
	case e.channel == nil:
		return e.fail(t, errNoNode)
	}
	if s, err = e.bind(t); err != nil {
		return e.fail(t, err)
	}
	// The token goes as a binary, whatever the role.
	hello, err := helloPayload(etf.Tuple{role, token})
	if err != nil {
		return e.fail(t, err)
	}
	ch := s.w.ConnectAs(e.channelOptions(hello))
	s.push(entry{kind: listening, ch: ch})
	return e.converse(t, s)
}
