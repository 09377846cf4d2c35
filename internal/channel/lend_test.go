package channel_test

import (
	"errors"
	"io"
	"math"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/erlpy/erlpy/internal/channel"
)

// lent is an open channel that has been lent after a call.
func lent(t *testing.T, o channel.Options) (*channel.Channel, *peer, *memory, channel.Loan) {
	t.Helper()
	n := listen(t)
	o.Path, o.Hello = n.path, ourHello
	c, p := connected(t, &o, n, maxFrameInfo(1000))
	m := &memory{b: make([]byte, 1024)}
	if _, err := send(t, c, frame(channel.Call, c.NextID(), noneAtom)); err != nil {
		t.Fatal(err)
	}
	p.read()
	p.write(frame(channel.OK, 1, noneAtom))
	if _, _, err := c.Receive(m); err != nil {
		t.Fatal(err)
	}
	l, ok := c.Lend()
	if !ok {
		t.Fatal("a channel with a quick call behind it is not lent")
	}
	return c, p, m, l
}

func TestLend(t *testing.T) {
	c, _, _, l := lent(t, channel.Options{Poll: 7})
	if want := (channel.Loan{FD: c.FD(), ID: 1, Polls: 7, Limit: 1004}); l != want {
		t.Errorf("lent %+v, want %+v", l, want)
	}
	c.TakeBack(41)
	if id := c.NextID(); id != 42 {
		t.Errorf("call %d follows 41", id)
	}
	c.TakeBack(math.MaxUint32)
	if id := c.NextID(); id != 1 {
		t.Errorf("call %d follows the last number", id)
	}
}

func TestLendNot(t *testing.T) {
	for name, spoil := range map[string]func(c *channel.Channel, p *peer, m *memory){
		"never opened": func(c *channel.Channel, _ *peer, _ *memory) { *c = *channel.New(&channel.Options{Poll: 7}) },
		"closed":       func(c *channel.Channel, _ *peer, _ *memory) { c.Close() },
		"bytes ahead": func(c *channel.Channel, p *peer, m *memory) {
			p.write(append(frame(channel.OK, 2, nil), 0))
			_, _, _ = c.Receive(m)
		},
		"part of a frame": func(c *channel.Channel, p *peer, m *memory) {
			p.write([]byte{0})
			_, _, _ = c.Receive(m)
		},
		"not answered while polled": func(c *channel.Channel, p *peer, m *memory) {
			_, _, _ = c.Receive(m)
			p.write(frame(channel.OK, 2, nil))
			_, _, _ = c.Receive(m)
		},
	} {
		c, p, m, _ := lent(t, channel.Options{Poll: 7})
		spoil(c, p, m)
		if l, ok := c.Lend(); ok {
			t.Errorf("%s: lent %+v", name, l)
		}
	}
	n := listen(t)
	o := n.options()
	o.Poll = 1
	c, _ := connected(t, o, n, infoEmpty)
	if l, ok := c.Lend(); ok {
		t.Errorf("without polls: lent %+v", l)
	}
}

// Calls that others have begun are ended here, wherever they had come to.
func TestContinue(t *testing.T) {
	call, answer := frame(channel.Call, 2, noneAtom), frame(channel.OK, 2, noneAtom)
	for name, begun := range map[string]struct {
		sent, got int
		errno     syscall.Errno
	}{
		"sent in part":     {sent: 4},
		"not answered":     {sent: len(call), errno: syscall.EAGAIN},
		"interrupted":      {sent: len(call), errno: syscall.EINTR},
		"answered in part": {sent: len(call), got: 3},
		"answered":         {sent: len(call), got: len(answer)},
	} {
		t.Run(name, func(t *testing.T) {
			c, p, m, l := lent(t, channel.Options{Poll: 7})
			in, out := c.BytesIn(), c.BytesOut()
			if _, err := unix.Write(l.FD, call[:begun.sent]); err != nil {
				t.Fatal(err)
			}
			copy(m.b, answer[:begun.got])
			c.TakeBack(2)
			c.Continue(len(call), begun.sent, begun.got, begun.errno)
			if begun.sent < len(call) {
				if _, err := send(t, c, call); err != nil {
					t.Fatal(err)
				}
			}
			if h, _ := p.read(); h != (channel.Header{Kind: channel.Call, ID: 2, Size: len(noneAtom)}) {
				t.Errorf("the node got %v", h)
			}
			p.write(answer[begun.got:])
			h, waits, err := receive(t, c, m)
			if err != nil || h != (channel.Header{Kind: channel.OK, ID: 2, Size: len(noneAtom)}) || waits > 0 {
				t.Errorf("received %v after %d waits, %v", h, waits, err)
			}
			if !c.Idle() {
				t.Error("something is left on the channel")
			}
			if in, out = c.BytesIn()-in, c.BytesOut()-out; in != uint64(len(answer)) || out != uint64(len(call)) {
				t.Errorf("%d bytes in, %d out", in, out)
			}
			if _, again := c.Lend(); again != (begun.errno == 0) {
				t.Errorf("lent again: %v", again)
			}
		})
	}
}

// What ended the stream is what the call fails with.
func TestContinueAfterTheEnd(t *testing.T) {
	for _, want := range []error{syscall.ECONNRESET, io.EOF} {
		c, p, m, _ := lent(t, channel.Options{Poll: 7})
		p.conn.Close()
		c.TakeBack(2)
		errno, _ := want.(syscall.Errno)
		c.Continue(14, 14, 0, errno)
		if _, _, err := c.Receive(m); !errors.Is(err, channel.ErrDisconnected) || !errors.Is(err, want) {
			t.Errorf("%v, want %v", err, want)
		}
	}
}
