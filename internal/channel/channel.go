package channel

import (
	"sync/atomic"
	"syscall"
	"time"

	"github.com/erlpy/erlpy/etf"
)

// Status is what a step of a channel came to.
type Status uint8

// The statuses.
const (
	Done      Status = iota // finished, well or with the error that stands beside it
	WantRead                // call again when FD is readable
	WantWrite               // call again when FD is writable
	Pause                   // call again after PauseFor; there is nothing to poll on
)

// Limits of a handshake, and of one system call.
const (
	PauseFor  = 2 * time.Millisecond
	OpenLimit = 5 * time.Second

	// A larger piece would hold up a stop of the world by more than some tens of microseconds.
	maxPiece = 128 << 10

	// So many pieces of a frame go out with one system call at most.
	maxPieces = 16
)

// Options say where to connect, and how to behave there. A Channel reads them and keeps the pointer: leave them alone.
type Options struct {
	Path     string // of the node's socket
	Hello    []byte // payload of the hello frame: a term with its version byte
	MaxFrame int    // the largest length field sent and accepted; 0 is 64 MiB
	Poll     int    // how often Receive looks before WantRead, when that is worth while; 0 and 1 are once
}

func (o *Options) maxFrame() int {
	if o.MaxFrame > 0 {
		return o.MaxFrame
	}
	return defaultFrame
}

// Buffer is the memory into which frames are read. It belongs to the caller, who may have it outside Go's heap.
type Buffer interface {
	// Bytes returns all of the memory.
	Bytes() []byte
	// Grow makes the memory at least n bytes large, keeps its content, and returns it as Bytes does.
	Grow(n int) ([]byte, error)
}

type phase uint8

const (
	fresh    phase = iota // no connection yet
	greeting              // connected, our hello not wholly sent
	waiting               // for the node's hello
	open
	broken // err says why
	closed
)

// Channel is one connection to a node. New makes it.
type Channel struct {
	options *Options
	phase   phase
	fd      int
	err     error // final, once broken
	limit   int   // the smaller of our max_frame and the node's
	id      uint32
	sent    int    // bytes taken of the frame that is being sent
	have    int    // bytes of the frame that is being received, in the caller's buffer
	ahead   []byte // bytes read past the last frame; aheadAt of them used since
	aheadAt int
	polling polling
	handler etf.Pid
	began   time.Time // the first Open
	scratch *scratch  // only during the handshake

	in, out atomic.Uint64
}

// New returns a channel that is not connected: Open does that. It makes no system call.
func New(o *Options) *Channel {
	return &Channel{options: o, fd: -1, limit: o.maxFrame()}
}

// FD returns the socket, for poll(2), or -1 when there is none.
func (c *Channel) FD() int { return c.fd }

// Handler returns the pid of the Erlang process at the other end; zero before Open is done.
func (c *Channel) Handler() etf.Pid { return c.handler }

// NextID returns a number for a call: 1, 2, ..., and never 0, which stands for no call. After 2^32
// of them they come again: the caller passes over those that are in use.
func (c *Channel) NextID() uint32 {
	if c.id++; c.id == 0 {
		c.id = 1
	}
	return c.id
}

// Idle reports whether the channel is open, unbroken as far as is known, and between frames.
func (c *Channel) Idle() bool {
	return c.phase == open && c.sent == 0 && c.have == 0 && c.aheadAt == len(c.ahead)
}

// BytesIn returns the number of bytes read so far. Any goroutine may call it.
func (c *Channel) BytesIn() uint64 { return c.in.Load() }

// BytesOut returns the number of bytes written so far. Any goroutine may call it.
func (c *Channel) BytesOut() uint64 { return c.out.Load() }

// Close ends the connection, after a bye when it is idle and the socket has room for one. A second Close does nothing.
func (c *Channel) Close() {
	if c.phase == closed {
		return
	}
	if c.Idle() {
		var bye [HeaderSize]byte
		PutHeader(bye[:], 0, Bye, 0)
		if n, errno := sendto(c.fd, bye[:]); errno == 0 {
			c.out.Add(uint64(n))
		}
	}
	c.hangUp()
	c.phase = closed
}

func (c *Channel) hangUp() {
	if c.fd >= 0 {
		_ = syscall.Close(c.fd)
		c.fd = -1
	}
	c.scratch, c.ahead, c.aheadAt = nil, nil, 0
}

// fail makes err the final word on this channel. The socket stays open until Close, as a number of descriptor that
// another thread could get meanwhile must not be polled by this one.
func (c *Channel) fail(op string, err error) error {
	return c.failWith(&DisconnectedError{Path: c.options.Path, Op: op, Err: err})
}

func (c *Channel) failWith(err error) error {
	c.phase, c.err = broken, err
	return err
}

// ready returns why nothing can be sent or received, or nil.
func (c *Channel) ready(op string) error {
	switch c.phase {
	case open:
		return nil
	case broken:
		return c.err
	case closed:
		return &DisconnectedError{Path: c.options.Path, Op: op, Err: errClosed}
	}
	return &DisconnectedError{Path: c.options.Path, Op: op, Err: errNotOpened}
}
