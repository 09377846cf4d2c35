package channel

import (
	"errors"
	"fmt"
	"syscall"
)

var errFrame = errors.New("not one whole frame: its length field does not fit it")

// Send writes a whole frame, header included. While the status is WantWrite it wants to be called again with the same
// bytes. A *LimitError comes before anything was sent and leaves the channel as it was. Any other error ends the
// channel; it is ErrStale when the node took no byte of the frame.
func (c *Channel) Send(frame []byte) (Status, error) {
	if err := c.ready("send"); err != nil {
		return Done, err
	}
	if c.sent == 0 {
		if len(frame)-lengthSize > c.limit {
			return Done, &LimitError{Size: len(frame) - lengthSize, Limit: c.limit}
		}
		if len(frame) < HeaderSize || ParseHeader(frame).Size != len(frame)-HeaderSize {
			return Done, errFrame
		}
	}
	return c.send("send", frame)
}

func (c *Channel) send(op string, frame []byte) (Status, error) {
	for c.sent < len(frame) {
		end := min(len(frame), c.sent+maxPiece)
		n, errno := sendto(c.fd, frame[c.sent:end])
		switch errno {
		case 0:
			c.sent += n
			c.out.Add(uint64(n))
		case syscall.EAGAIN:
			return WantWrite, nil
		case syscall.EINTR:
		case syscall.EPIPE, syscall.ECONNRESET:
			if c.sent == 0 {
				return Done, c.fail(op, fmt.Errorf("%w (%w)", ErrStale, errno))
			}
			return Done, c.fail(op, errno)
		default:
			return Done, c.fail(op, errno)
		}
	}
	c.sent = 0
	return Done, nil
}
