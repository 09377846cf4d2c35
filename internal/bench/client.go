package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/erlpy/erlpy/etf"
	"github.com/erlpy/erlpy/internal/channel"
)

// client is the driver's own connection to a node, or to the floor. It waits where it is called.
type client struct {
	ctx    context.Context
	ch     *channel.Channel
	memory buffer
}

// patience is for one answer. A test has less.
var patience = 2 * time.Minute

var hello = func() []byte {
	b, err := etf.Marshal(etf.Tuple{etf.Atom("erlpy"), 1, etf.Atom("thread"), map[any]any{etf.Atom("os_pid"): os.Getpid()}})
	if err != nil {
		panic(err)
	}
	return b
}()

// dial connects. polls is how often the client looks for an answer before it sleeps.
func dial(ctx context.Context, path string, polls int) (*client, error) {
	c := &client{ctx: ctx, ch: channel.New(&channel.Options{Path: path, Hello: hello, Poll: polls}), memory: make(buffer, 64<<10)}
	if err := c.finish(c.ch.Open); err != nil {
		c.ch.Close()
		return nil, err
	}
	return c, nil
}

func (c *client) close() { c.ch.Close() }

// call calls a registered function.
func (c *client) call(name string, args ...any) (any, error) {
	if args == nil {
		args = []any{}
	}
	frame, err := callFrame(name, args)
	if err != nil {
		return nil, err
	}
	kind, payload, err := c.exchange(frame)
	if err != nil {
		return nil, err
	}
	var v any
	if err := etf.Unmarshal(payload, &v); err != nil {
		return nil, err
	}
	if kind != channel.OK {
		return nil, fmt.Errorf("the node's %s: %v", name, v)
	}
	return v, nil
}

// callFrame is a call with room for its header.
func callFrame(name string, args []any) ([]byte, error) {
	frame, err := etf.Append(make([]byte, channel.HeaderSize), etf.Tuple{name, args})
	if err != nil {
		return nil, err
	}
	return frame, nil
}

// exchange sends a call under the next number, and returns the answer, which is good until the next exchange.
func (c *client) exchange(frame []byte) (channel.Kind, []byte, error) {
	channel.PutHeader(frame, len(frame)-channel.HeaderSize, channel.Call, c.ch.NextID())
	if s, err := c.ch.Send(frame); err != nil {
		return 0, nil, err
	} else if s != channel.Done {
		if err := c.finish(func() (channel.Status, error) { return c.ch.Send(frame) }); err != nil {
			return 0, nil, err
		}
	}
	h, s, err := c.ch.Receive(c.memory)
	if s != channel.Done {
		err = c.finish(func() (channel.Status, error) {
			h, s, err = c.ch.Receive(c.memory)
			return s, err
		})
	}
	return h.Kind, c.memory[channel.HeaderSize : channel.HeaderSize+max(0, h.Size)], err
}

// finish repeats a step of the channel until it is done.
func (c *client) finish(step func() (channel.Status, error)) error {
	for end := time.Now().Add(patience); ; {
		s, err := step()
		if err != nil || s == channel.Done {
			return err
		}
		if err := c.ctx.Err(); err != nil {
			return err
		}
		if time.Now().After(end) {
			return errors.New("the node does not answer")
		}
		if s == channel.Pause {
			time.Sleep(channel.PauseFor)
			continue
		}
		events := int16(unix.POLLIN)
		if s == channel.WantWrite {
			events = unix.POLLOUT
		}
		// Not for long, as ctx is looked at in between.
		_, _ = unix.Poll([]unix.PollFd{{Fd: int32(c.ch.FD()), Events: events}}, 100)
	}
}

// buffer is large enough for every answer.
type buffer []byte

func (b buffer) Bytes() []byte            { return b }
func (b buffer) Grow(int) ([]byte, error) { return nil, io.ErrShortBuffer }
