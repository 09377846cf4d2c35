package channel

import (
	"errors"
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

var errFrame = errors.New("not one whole frame: its length field does not fit it")

// Send writes a whole frame, header included. While the status is WantWrite it wants to be called again with the same
// bytes. A *LimitError comes before anything was sent and leaves the channel as it was. Any other error ends the
// channel; it is ErrStale when the node took no byte of the frame.
func (c *Channel) Send(frame []byte) (Status, error) {
	if err := c.sendable(frame, len(frame)); err != nil {
		return Done, err
	}
	return c.send("send", frame)
}

// SendPieces is Send for a frame in several pieces, the first of which holds the header at least. They go out together, without being copied
// into one.
func (c *Channel) SendPieces(pieces [][]byte) (Status, error) {
	if err := c.sendable(pieces[0], total(pieces)); err != nil {
		return Done, err
	}
	for {
		var vector [maxPieces]unix.Iovec
		v := gather(vector[:0], pieces, c.sent)
		if len(v) == 0 {
			c.sent = 0
			return Done, nil
		}
		n, errno := sendmsg(c.fd, v)
		if status, err := c.took("send", n, errno); status != Done || err != nil {
			return status, err
		}
	}
}

// sendable judges a frame before its first byte.
func (c *Channel) sendable(head []byte, size int) error {
	if err := c.ready("send"); err != nil || c.sent > 0 {
		return err
	}
	if size-lengthSize > c.limit {
		return &LimitError{Size: size - lengthSize, Limit: c.limit}
	}
	if len(head) < HeaderSize || ParseHeader(head).Size != size-HeaderSize {
		return errFrame
	}
	return nil
}

func total(pieces [][]byte) int {
	n := 0
	for _, piece := range pieces {
		n += len(piece)
	}
	return n
}

// gather appends to v what comes next after skip bytes of the pieces: as many as there is room for, and no more than maxPiece bytes.
func gather(v []unix.Iovec, pieces [][]byte, skip int) []unix.Iovec {
	room := maxPiece
	for _, piece := range pieces {
		if skip >= len(piece) {
			skip -= len(piece)
			continue
		}
		if len(v) == cap(v) || room == 0 {
			break
		}
		piece = piece[skip:min(len(piece), skip+room)]
		skip = 0
		room -= len(piece)
		part := unix.Iovec{Base: &piece[0]}
		part.SetLen(len(piece))
		v = append(v, part)
	}
	return v
}

func (c *Channel) send(op string, frame []byte) (Status, error) {
	for c.sent < len(frame) {
		end := min(len(frame), c.sent+maxPiece)
		n, errno := sendto(c.fd, frame[c.sent:end])
		if status, err := c.took(op, n, errno); status != Done || err != nil {
			return status, err
		}
	}
	c.sent = 0
	return Done, nil
}

// took counts what the socket has taken of a frame. Done: there may be more to send.
func (c *Channel) took(op string, n int, errno syscall.Errno) (Status, error) {
	switch errno {
	case 0:
		c.sent += n
		c.out.Add(uint64(n))
		return Done, nil
	case syscall.EINTR:
		return Done, nil
	case syscall.EAGAIN:
		return WantWrite, nil
	case syscall.EPIPE, syscall.ECONNRESET:
		if c.sent == 0 {
			return Done, c.fail(op, fmt.Errorf("%w (%w)", ErrStale, errno))
		}
	}
	return Done, c.fail(op, errno)
}
