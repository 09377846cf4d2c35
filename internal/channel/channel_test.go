package channel_test

import (
	"bytes"
	"errors"
	"io"
	"math"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/erlpy/erlpy/internal/channel"
)

func TestRoundTrip(t *testing.T) {
	for _, poll := range []int{0, 1, 30} {
		n := listen(t)
		o := n.options()
		o.Poll = poll
		c, p := connected(t, o, n, infoEmpty)
		m := &memory{b: make([]byte, 1024)}
		for i := range 100 {
			payload := bytes.Repeat([]byte{byte(i)}, i)
			id := c.NextID()
			if _, err := send(t, c, frame(channel.Call, id, payload)); err != nil {
				t.Fatal(err)
			}
			if _, s, err := c.Receive(m); s != channel.WantRead || err != nil {
				t.Fatalf("Receive with nothing there: %d, %v", s, err)
			}
			h, got := p.read()
			if want := (channel.Header{Kind: channel.Call, ID: uint32(i + 1), Size: i}); h != want || !bytes.Equal(got, payload) {
				t.Fatalf("the node got %v %q, want %v %q", h, got, want, payload)
			}
			p.write(frame(channel.OK, id, payload))
			h, _, err := receive(t, c, m)
			if want := (channel.Header{Kind: channel.OK, ID: id, Size: i}); err != nil || h != want || !bytes.Equal(m.b[9:9+i], payload) {
				t.Fatalf("received %v %q, %v", h, m.b[9:9+h.Size], err)
			}
		}
		if m.grown != 0 {
			t.Errorf("the buffer grew %d times for small frames", m.grown)
		}
	}
}

func TestNextIDWraps(t *testing.T) {
	c := channel.New(&channel.Options{})
	c.Overrun(math.MaxUint32 - 1)
	for _, want := range []uint32{math.MaxUint32, 1, 2} {
		if got := c.NextID(); got != want {
			t.Errorf("NextID() = %d, want %d", got, want)
		}
	}
}

func TestReceiveByteByByte(t *testing.T) {
	n := listen(t)
	c, p := connected(t, n.options(), n, infoEmpty)
	m := &memory{}
	for i, f := range [][]byte{frame(channel.OK, 1, noneAtom), frame(channel.Bye, 0, nil), frame(channel.Error, 7, bytes.Repeat([]byte("x"), 600))} {
		for at := range f {
			if _, s, err := c.Receive(m); s != channel.WantRead || err != nil {
				t.Fatalf("frame %d after %d bytes: %d, %v", i, at, s, err)
			}
			if c.Idle() != (at == 0) {
				t.Fatalf("Idle() after %d bytes of a frame: %v", at, c.Idle())
			}
			p.write(f[at : at+1])
		}
		h, s, err := c.Receive(m)
		if s != channel.Done || err != nil || h != channel.ParseHeader(f) || !bytes.Equal(m.b[:len(f)], f) {
			t.Fatalf("frame %d: %v, %d, %v", i, h, s, err)
		}
	}
}

// Frames that come in one piece, into buffers of several sizes, come out one by one.
func TestReceiveManyAtOnce(t *testing.T) {
	for _, size := range []int{0, 512, 4096, 1 << 20} {
		n := listen(t)
		c, p := connected(t, n.options(), n, infoEmpty)
		var all []byte
		const count = 500
		for i := range count {
			all = append(all, frame(channel.Cast, uint32(i), bytes.Repeat([]byte{byte(i)}, i*7%1500))...)
		}
		go p.conn.Write(all)
		buffers := []*memory{{b: make([]byte, size)}, {}} // the next frame may go to a smaller one
		for i := range count {
			m := buffers[i%2]
			h, _, err := receive(t, c, m)
			if err != nil || h.ID != uint32(i) || h.Size != i*7%1500 || bytes.Count(m.b[9:9+h.Size], []byte{byte(i)}) != h.Size {
				t.Fatalf("frame %d in a buffer of %d: %v, %v", i, size, h, err)
			}
		}
		if !c.Idle() {
			t.Error("not idle after the last frame")
		}
	}
}

func TestLargeFrames(t *testing.T) {
	n := listen(t)
	c, p := connected(t, n.options(), n, infoEmpty)
	large := frame(channel.Call, 1, bytes.Repeat([]byte("0123456789abcde"), 1<<20)) // 15 MiB
	if s, err := c.Send(large); s != channel.WantWrite || err != nil {
		t.Fatalf("Send with nobody reading: %d, %v", s, err)
	}
	if c.Idle() {
		t.Error("idle in the middle of a frame")
	}
	back, rest := make(chan []byte), make(chan struct{})
	go func() {
		got := make([]byte, len(large))
		io.ReadFull(p.conn, got)
		back <- got
		p.conn.Write(got[:len(got)/2])
		<-rest
		p.conn.Write(got[len(got)/2:])
	}()
	if _, err := send(t, c, large); err != nil {
		t.Fatalf("Send: %v", err)
	}
	if !bytes.Equal(<-back, large) {
		t.Fatal("the node got other bytes")
	}
	m := &memory{b: make([]byte, 4096)}
	// The second half comes only after the first has run out.
	for half := c.BytesIn() + uint64(len(large)/2); c.BytesIn() < half; {
		wait(t, c, channel.WantRead)
		if _, s, err := c.Receive(m); s != channel.WantRead || err != nil {
			t.Fatalf("Receive of a half: %d, %v", s, err)
		}
	}
	close(rest)
	h, _, err := receive(t, c, m)
	if err != nil || h.Size != len(large)-9 || !bytes.Equal(m.b[:len(large)], large) {
		t.Fatalf("received %v, %v", h, err)
	}
	if m.grown != 1 {
		t.Errorf("the buffer grew %d times", m.grown)
	}
	if c.BytesIn() < uint64(len(large)) || c.BytesOut() < uint64(len(large)) {
		t.Errorf("bytes in %d, out %d", c.BytesIn(), c.BytesOut())
	}
}

func TestSendLimit(t *testing.T) {
	for name, test := range map[string]struct {
		own  int
		info []byte
		want int
	}{
		"own":       {1000, infoEmpty, 1000},
		"the nodes": {2000, maxFrameInfo(1000), 1000},
		"smaller":   {1000, maxFrameInfo(2000), 1000},
		"default":   {0, infoEmpty, 64 << 20},
	} {
		t.Run(name, func(t *testing.T) {
			n := listen(t)
			o := n.options()
			o.MaxFrame = test.own
			c, p := connected(t, o, n, test.info)
			s, err := c.Send(frame(channel.Call, 1, make([]byte, test.want-5+1)))
			var limit *channel.LimitError
			if s != channel.Done || !errors.As(err, &limit) || limit.Limit != test.want || limit.Size != test.want+1 {
				t.Fatalf("Send over the limit: %d, %v", s, err)
			}
			if !strings.Contains(err.Error(), "max_frame") || errors.Is(err, channel.ErrDisconnected) {
				t.Errorf("the error is %v", err)
			}
			if test.want > 1<<20 {
				return
			}
			if _, err := send(t, c, frame(channel.Call, 1, make([]byte, test.want-5))); err != nil {
				t.Fatalf("Send at the limit: %v", err)
			}
			if h, _ := p.read(); h.Size != test.want-5 {
				t.Errorf("the node got %v", h)
			}
		})
	}
}

func TestSendNoFrame(t *testing.T) {
	n := listen(t)
	c, _ := connected(t, n.options(), n, infoEmpty)
	whole := frame(channel.Call, 1, noneAtom)
	for _, b := range [][]byte{nil, whole[:5], whole[:len(whole)-1], append(whole, 0)} {
		if s, err := c.Send(b); s != channel.Done || err == nil {
			t.Errorf("Send(%q) = %d, %v", b, s, err)
		}
	}
	if !c.Idle() {
		t.Error("the channel is spoilt")
	}
}

func TestReceiveProtocolErrors(t *testing.T) {
	for name, sent := range map[string][]byte{
		"length 0":      {0, 0, 0, 0, 3, 0, 0, 0, 1},
		"length 4":      {0, 0, 0, 4, 3, 0, 0, 0, 1},
		"kind 0":        {0, 0, 0, 5, 0, 0, 0, 0, 1},
		"kind 8":        {0, 0, 0, 5, 8, 0, 0, 0, 1},
		"over limit":    {0, 0, 4, 1, 3, 0, 0, 0, 1},
		"huge":          {255, 255, 255, 255, 3, 0, 0, 0, 1},
		"another hello": frame(channel.Hello, 0, nodeHello(1, pid, infoEmpty)),
	} {
		t.Run(name, func(t *testing.T) {
			n := listen(t)
			o := n.options()
			o.MaxFrame = 1024
			c, p := connected(t, o, n, infoEmpty)
			p.write(sent)
			m := &memory{b: make([]byte, 512)}
			_, _, err := receive(t, c, m)
			if !errors.Is(err, channel.ErrDisconnected) || !strings.Contains(err.Error(), "protocol error") {
				t.Errorf("Receive: %v", err)
			}
			if m.grown != 0 {
				t.Error("the buffer grew for a frame that was refused")
			}
			if _, again := c.Send(frame(channel.Call, 1, noneAtom)); again != err {
				t.Errorf("Send afterwards: %v, want the same error", again)
			}
			if c.Idle() {
				t.Error("idle although broken")
			}
		})
	}
}

func TestNodeDies(t *testing.T) {
	call := frame(channel.Call, 1, noneAtom)
	t.Run("before a call", func(t *testing.T) {
		n := listen(t)
		c, p := connected(t, n.options(), n, infoEmpty)
		p.conn.Close()
		if s, err := c.Send(call); s != channel.Done || !errors.Is(err, channel.ErrStale) || !errors.Is(err, channel.ErrDisconnected) {
			t.Fatalf("Send: %d, %v", s, err)
		}
	})
	t.Run("before the answer", func(t *testing.T) {
		n := listen(t)
		c, p := connected(t, n.options(), n, infoEmpty)
		send(t, c, call)
		p.read()
		p.conn.Close()
		_, _, err := receive(t, c, &memory{})
		if !errors.Is(err, channel.ErrDisconnected) || !errors.Is(err, io.EOF) || errors.Is(err, channel.ErrStale) {
			t.Fatalf("Receive: %v", err)
		}
	})
	t.Run("without having read the call", func(t *testing.T) {
		n := listen(t)
		c, p := connected(t, n.options(), n, infoEmpty)
		send(t, c, call)
		p.conn.Close()
		if _, _, err := receive(t, c, &memory{}); !errors.Is(err, channel.ErrDisconnected) || errors.Is(err, channel.ErrStale) {
			t.Fatalf("Receive: %v", err)
		}
	})
	t.Run("in the middle of an answer", func(t *testing.T) {
		n := listen(t)
		c, p := connected(t, n.options(), n, infoEmpty)
		p.write(frame(channel.OK, 1, noneAtom)[:11])
		p.conn.Close()
		if _, _, err := receive(t, c, &memory{}); !errors.Is(err, channel.ErrDisconnected) || !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatalf("Receive: %v", err)
		}
	})
	t.Run("in the middle of a call", func(t *testing.T) {
		n := listen(t)
		c, p := connected(t, n.options(), n, infoEmpty)
		large := frame(channel.Call, 1, make([]byte, 8<<20))
		if s, err := c.Send(large); s != channel.WantWrite || err != nil {
			t.Fatal(s, err)
		}
		p.conn.Close()
		if _, err := send(t, c, large); !errors.Is(err, channel.ErrDisconnected) || errors.Is(err, channel.ErrStale) {
			t.Fatalf("Send: %v", err)
		}
	})
}

func TestClose(t *testing.T) {
	t.Run("idle", func(t *testing.T) {
		n := listen(t)
		c, p := connected(t, n.options(), n, infoEmpty)
		fd := c.FD()
		c.Close()
		c.Close()
		if h, _ := p.read(); h != (channel.Header{Kind: channel.Bye}) {
			t.Errorf("the node got %v", h)
		}
		if rest, err := io.ReadAll(p.conn); len(rest) != 0 || err != nil {
			t.Errorf("after the bye: %q, %v", rest, err)
		}
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != unix.EBADF || c.FD() != -1 {
			t.Errorf("the socket is still open: %v, %d", err, c.FD())
		}
	})
	t.Run("in the middle of a frame", func(t *testing.T) {
		n := listen(t)
		c, p := connected(t, n.options(), n, infoEmpty)
		p.write([]byte{0, 0})
		if _, s, _ := c.Receive(&memory{}); s != channel.WantRead {
			t.Fatal(s)
		}
		c.Close()
		if rest, err := io.ReadAll(p.conn); len(rest) != 0 || err != nil {
			t.Errorf("the node got %q, %v", rest, err)
		}
	})
	t.Run("uses afterwards", func(t *testing.T) {
		n := listen(t)
		c, _ := connected(t, n.options(), n, infoEmpty)
		c.Close()
		_, sent := c.Send(frame(channel.Call, 1, noneAtom))
		_, _, received := c.Receive(&memory{})
		_, opened := c.Open()
		for _, err := range []error{sent, received, opened} {
			if !errors.Is(err, channel.ErrDisconnected) {
				t.Errorf("error %v", err)
			}
		}
	})
	t.Run("never opened", func(t *testing.T) {
		c := channel.New(&channel.Options{Path: "/nowhere"})
		if _, err := c.Send(frame(channel.Call, 1, noneAtom)); !errors.Is(err, channel.ErrDisconnected) {
			t.Errorf("Send: %v", err)
		}
		c.Close()
	})
}

// A call that goes out and comes back allocates nothing. The node's end is driven from the same goroutine.
func TestNoAllocation(t *testing.T) {
	n := listen(t)
	c, p := connected(t, n.options(), n, infoEmpty)
	file, err := p.conn.File()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	fd := int(file.Fd())
	call, b, m := frame(channel.Call, 1, noneAtom), make([]byte, 64), &memory{b: make([]byte, 512)}
	twice := append(frame(channel.OK, 1, noneAtom), frame(channel.OK, 2, noneAtom)...)
	allocated := testing.AllocsPerRun(200, func() {
		c.Send(call)
		unix.Read(fd, b)
		unix.Write(fd, twice)
		for range 2 {
			if _, s, err := c.Receive(m); s != channel.Done || err != nil {
				t.Fatal(s, err)
			}
		}
	})
	if allocated != 0 {
		t.Errorf("%v allocations per call", allocated)
	}
}

// FuzzReceive feeds any bytes to an open channel, in two pieces.
func FuzzReceive(f *testing.F) {
	n := listen(f)
	f.Add([]byte{}, 0)
	f.Add(frame(channel.OK, 1, noneAtom), 3)
	f.Add(append(frame(channel.Cast, 1, noneAtom), frame(channel.Bye, 0, nil)...), 12)
	f.Add([]byte{0, 0, 0, 4, 3, 0, 0, 0, 1}, 9)
	f.Add([]byte{0, 1, 0, 0, 3, 0, 0, 0, 1}, 9)
	f.Add([]byte{255, 255, 255, 255, 3, 0, 0, 0, 1}, 4)
	f.Fuzz(func(t *testing.T, sent []byte, cut int) {
		if len(sent) > 32<<10 {
			return
		}
		cut = min(max(cut, 0), len(sent))
		o := n.options()
		o.MaxFrame = 16 << 10
		c := channel.New(o)
		defer c.Close()
		c.Open()
		p := (&node{t, n.path, n.listener}).accept()
		defer p.conn.Close()
		p.write(frame(channel.Hello, 0, nodeHello(1, pid, infoEmpty)))
		p.write(sent[:cut])
		if err := open(t, c); err != nil {
			t.Fatal(err)
		}
		m, rest, written := &memory{}, sent, false
		for {
			h, s, err := c.Receive(m)
			switch {
			case err != nil:
				if !errors.Is(err, channel.ErrDisconnected) {
					t.Fatal(err)
				}
				if len(m.b) > 2*o.MaxFrame {
					t.Errorf("the buffer grew to %d bytes", len(m.b))
				}
				return
			case s == channel.Done:
				size := channel.HeaderSize + h.Size
				if !bytes.Equal(m.b[:size], rest[:size]) {
					t.Fatalf("received %q, want %q", m.b[:size], rest[:size])
				}
				rest = rest[size:]
			case !written:
				p.write(sent[cut:])
				p.conn.CloseWrite()
				written = true
			default:
				t.Fatal("waits for more after the end")
			}
		}
	})
}

func BenchmarkRoundTrip(b *testing.B) {
	n := listen(b)
	o := n.options()
	o.Poll = 100
	c, p := connected(b, o, n, infoEmpty)
	file, err := p.conn.File()
	if err != nil {
		b.Fatal(err)
	}
	defer file.Close()
	fd := int(file.Fd())
	call, got, m := frame(channel.Call, 1, noneAtom), make([]byte, 64), &memory{b: make([]byte, 4096)}
	for b.Loop() {
		c.Send(call)
		unix.Read(fd, got)
		unix.Write(fd, got[:len(call)])
		if _, s, err := c.Receive(m); s != channel.Done || err != nil {
			b.Fatal(s, err)
		}
	}
}
