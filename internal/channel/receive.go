package channel

import (
	"fmt"
	"io"
	"syscall"
)

const (
	minBuffer = 512      // a smaller buffer grows to this at once
	readAhead = 64 << 10 // bytes asked for while the length of the frame is unknown
)

// Receive reads the next frame into b: header and payload are b.Bytes()[:HeaderSize+Size] when it is Done. It tries
// Options.Poll times before WantRead; until it is Done it wants the same buffer, with its content untouched. Bytes
// read past the frame are kept for the next Receive. Every error is a *DisconnectedError and ends the channel.
func (c *Channel) Receive(b Buffer) (Header, Status, error) {
	if err := c.ready("receive"); err != nil {
		return Header{}, Done, err
	}
	header, status, err := c.receive("receive", b)
	if err == nil && status == Done && header.Kind == Hello {
		err = c.fail("receive", protocolError("a second hello"))
	}
	return header, status, err
}

func (c *Channel) receive(op string, b Buffer) (Header, Status, error) {
	memory, err := atLeast(b, minBuffer)
	if err != nil {
		return Header{}, Done, c.fail(op, err)
	}
	for {
		want := HeaderSize
		if c.have >= HeaderSize {
			header := ParseHeader(memory)
			if err := judge(header, c.options.maxFrame()); err != nil {
				return header, Done, c.fail(op, err)
			}
			want += header.Size
			if c.have >= want {
				c.keep(memory[want:c.have])
				c.have = 0
				return header, Done, nil
			}
			if memory, err = atLeast(b, want); err != nil {
				return header, Done, c.fail(op, err)
			}
		}
		n, errno := c.read(memory, want)
		switch {
		case errno == syscall.EAGAIN:
			return Header{}, WantRead, nil
		case errno != 0:
			return Header{}, Done, c.fail(op, errno)
		case n == 0 && c.have == 0:
			return Header{}, Done, c.fail(op, io.EOF)
		case n == 0:
			return Header{}, Done, c.fail(op, io.ErrUnexpectedEOF)
		}
		c.have += n
	}
}

// judge refuses what PROTOCOL.md says a node never sends. It comes before the buffer grows.
func judge(h Header, limit int) error {
	switch {
	case h.Size < 0:
		return protocolError(fmt.Sprintf("a frame of length %d", h.Size+uncounted))
	case h.Size+uncounted > limit:
		return protocolError(fmt.Sprintf("a frame of %d bytes, over the limit of %d bytes (max_frame)", h.Size+uncounted, limit))
	case !h.Kind.valid(), h.Kind == Calls:
		return protocolError(fmt.Sprintf("a frame of %v", h.Kind))
	}
	return nil
}

// read gets more of the frame whose first want bytes are needed, out of what was read ahead, or from the socket.
func (c *Channel) read(memory []byte, want int) (int, syscall.Errno) {
	if c.aheadAt < len(c.ahead) {
		n := copy(memory[c.have:want], c.ahead[c.aheadAt:])
		c.aheadAt += n
		return n, 0
	}
	// A small frame comes whole with its header in one call; of a large one no more than its rest is asked for, so
	// that what is left over stays small.
	end := want
	if c.have < HeaderSize {
		end = min(len(memory), readAhead)
	}
	n, errno := c.poll(memory[c.have:min(end, c.have+maxPiece)])
	c.in.Add(uint64(n))
	return n, errno
}

// poll tries to read: Options.Poll times, and once at least. An answer is often on its way, and to look a few times
// more is cheaper than to sleep and be woken.
func (c *Channel) poll(b []byte) (n int, errno syscall.Errno) {
	for tries := max(1, c.options.Poll); tries > 0; tries-- {
		n, errno = recvfrom(c.fd, b)
		if errno == 0 {
			return n, 0
		}
		if errno != syscall.EAGAIN && errno != syscall.EINTR {
			return 0, errno
		}
	}
	return 0, syscall.EAGAIN
}

// keep puts by the bytes that follow a frame. Only a read from the socket goes past a frame, and only when nothing was
// left from before, so there is no older rest to lose.
func (c *Channel) keep(rest []byte) {
	if len(rest) > 0 {
		c.ahead, c.aheadAt = append(c.ahead[:0], rest...), 0
	}
}

func atLeast(b Buffer, n int) ([]byte, error) {
	if memory := b.Bytes(); len(memory) >= n {
		return memory, nil
	}
	return b.Grow(n)
}
