package channel

import (
	"errors"
	"fmt"
	"syscall"
	"time"

	"github.com/erlpy/erlpy/etf"
)

// The version of PROTOCOL.md that this package speaks.
const version = 1

// Open connects, says hello and hears the node's hello. It wants to be called again, as the status says, until it is
// Done. The whole may take OpenLimit; a caller that sleeps in between takes care, with Remaining, to come back in time.
// A node that does not want us is a *RefusedError, every other failure a *DisconnectedError.
func (c *Channel) Open() (Status, error) {
	if c.began.IsZero() {
		c.began = time.Now()
	}
	status, err := c.open()
	if err == nil && status != Done && c.Remaining() <= 0 {
		status, err = Done, c.fail("hello", ErrTimeout)
	}
	return status, err
}

// Remaining returns what is left of OpenLimit since the first Open.
func (c *Channel) Remaining() time.Duration { return OpenLimit - time.Since(c.began) }

func (c *Channel) open() (Status, error) {
	if c.phase == fresh {
		if status, err := c.connect(); status != Done || err != nil {
			return status, err
		}
		c.scratch = newScratch(c.options.Hello)
		c.phase = greeting
	}
	if c.phase == greeting {
		status, err := c.send("hello", c.scratch.hello)
		if status != Done || err != nil && !errors.Is(err, syscall.EPIPE) && !errors.Is(err, syscall.ECONNRESET) {
			return status, err
		}
		// A node that refuses us unheard has closed already, but its reason can still be read.
		c.phase, c.err, c.sent = waiting, nil, 0
	}
	if c.phase == waiting {
		header, status, err := c.receive("hello", c.scratch)
		if status != Done || err != nil {
			return status, err
		}
		if err := c.greet(header.Kind, c.scratch.memory[HeaderSize:HeaderSize+header.Size]); err != nil {
			return Done, err
		}
		c.scratch = nil
		c.phase = open
	}
	return Done, c.ready("hello")
}

// connect makes the socket and connects it. On a Unix-domain socket that either works at once or does not; a full
// queue of the listener is EAGAIN, and nothing tells when there is room again.
func (c *Channel) connect() (Status, error) {
	path := c.options.Path
	if path == "" || len(path) > maxPath {
		return Done, c.fail("connect", fmt.Errorf("the path of a socket has 1 to %d bytes, this one has %d", maxPath, len(path)))
	}
	if c.fd < 0 {
		fd, err := newSocket()
		if err != nil {
			return Done, c.fail("connect", err)
		}
		c.fd = fd
	}
	for {
		switch err := syscall.Connect(c.fd, &syscall.SockaddrUnix{Name: path}); err {
		case nil, syscall.EISCONN:
			return Done, nil
		case syscall.EINTR:
		case syscall.EAGAIN:
			return Pause, nil
		default:
			return Done, c.fail("connect", err)
		}
	}
}

// greet takes the node's answer to our hello.
func (c *Channel) greet(kind Kind, payload []byte) error {
	handler, limit, err := welcome(c.options, kind, payload)
	if err != nil {
		return c.failWith(err)
	}
	c.handler = handler
	c.limit = min(c.limit, limit)
	return nil
}

// welcome reads the node's answer to a hello: the handler's pid, and the largest frame that both sides take.
func welcome(o *Options, kind Kind, payload []byte) (handler etf.Pid, limit int, err error) {
	wrong := func(format string, args ...any) error {
		return &DisconnectedError{Path: o.Path, Op: "hello", Err: protocolError(fmt.Sprintf(format, args...))}
	}
	var v any
	if err := etf.Unmarshal(payload, &v); err != nil {
		return handler, 0, wrong("%v", err)
	}
	answer, _ := v.(etf.Tuple)
	switch {
	case kind == Error && len(answer) == 2 && answer[0] == etf.Atom("refused"):
		return handler, 0, &RefusedError{Path: o.Path, Text: fmt.Sprint(answer[1])}
	case kind != Hello || len(answer) < 2 || answer[0] != etf.Atom("erlpy"):
		return handler, 0, wrong("no hello, but %s: %v", kind, v)
	case answer[1] != version:
		return handler, 0, wrong("the node speaks version %v, this side version %d", answer[1], version)
	case len(answer) != 4:
		return handler, 0, wrong("hello with %d elements", len(answer))
	}
	handler, ok := answer[2].(etf.Pid)
	if !ok {
		return handler, 0, wrong("hello whose handler is no pid: %v", answer[2])
	}
	limit = o.maxFrame()
	if n, ok := lookup(answer[3], "max_frame").(int); ok && n > 0 {
		limit = min(limit, n)
	}
	return handler, limit, nil
}

// lookup returns what a decoded map holds under an atom, or nil.
func lookup(m any, key etf.Atom) any {
	if m, ok := m.(map[any]any); ok {
		return m[key]
	}
	return nil
}

// scratch is the memory of a handshake: our hello, and the node's answer, which is never long.
type scratch struct {
	hello  []byte
	memory []byte
}

const scratchLimit = 64 << 10

func newScratch(hello []byte) *scratch {
	frame := make([]byte, HeaderSize, HeaderSize+len(hello))
	PutHeader(frame, len(hello), Hello, 0)
	return &scratch{hello: append(frame, hello...), memory: make([]byte, 512)}
}

func (s *scratch) Bytes() []byte { return s.memory }

func (s *scratch) Grow(n int) ([]byte, error) {
	if n > scratchLimit {
		return nil, protocolError(fmt.Sprintf("a hello of %d bytes", n))
	}
	s.memory = append(s.memory, make([]byte, n-len(s.memory))...)
	return s.memory, nil
}
