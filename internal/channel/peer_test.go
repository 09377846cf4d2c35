package channel_test

import (
	"bytes"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/erlpy/erlpy/etf"
	"github.com/erlpy/erlpy/internal/channel"
)

func TestMain(m *testing.M) {
	before := descriptors()
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		if after := descriptors(); code == 0 && after > before+1 { // one more is the runtime's own epoll or eventfd
			os.Stderr.WriteString("descriptors were leaked\n")
			code = 1
		}
		os.Exit(code)
	}))
}

func descriptors() int {
	// The first use of the network poller opens descriptors that stay.
	if l, err := net.Listen("tcp", "127.0.0.1:0"); err == nil {
		l.Close()
	}
	list, _ := os.ReadDir("/dev/fd")
	return len(list)
}

// Terms, written by hand from the format's description.
var (
	ourHello  = []byte{131, 104, 4, 119, 5, 'e', 'r', 'l', 'p', 'y', 97, 1, 119, 6, 't', 'h', 'r', 'e', 'a', 'd', 116, 0, 0, 0, 0}
	pid       = []byte{88, 119, 3, 'n', '@', 'h', 0, 0, 0, 80, 0, 0, 0, 2, 0, 0, 0, 1}
	infoEmpty = []byte{116, 0, 0, 0, 0}
	noneAtom  = []byte{131, 119, 4, 'n', 'o', 'n', 'e'}
)

// nodeHello is {erlpy, Version, Handler, Info}.
func nodeHello(version byte, handler, info []byte) []byte {
	return bytes.Join([][]byte{{131, 104, 4, 119, 5, 'e', 'r', 'l', 'p', 'y', 97, version}, handler, info}, nil)
}

func maxFrameInfo(n uint32) []byte {
	return append([]byte{116, 0, 0, 0, 1, 119, 9, 'm', 'a', 'x', '_', 'f', 'r', 'a', 'm', 'e', 98},
		byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
}

func refused(text string) []byte {
	head := []byte{131, 104, 2, 119, 7, 'r', 'e', 'f', 'u', 's', 'e', 'd', 109, 0, 0, 0, byte(len(text))}
	return append(head, text...)
}

func frame(k channel.Kind, id uint32, payload []byte) []byte {
	b := make([]byte, channel.HeaderSize, channel.HeaderSize+len(payload))
	channel.PutHeader(b, len(payload), k, id)
	return append(b, payload...)
}

// memory is a Buffer as the C side has it: it grows by doubling, and counts that.
type memory struct {
	b     []byte
	grown int
}

func (m *memory) Bytes() []byte { return m.b }

func (m *memory) Grow(n int) ([]byte, error) {
	m.grown++
	b := make([]byte, max(n, 2*len(m.b)))
	copy(b, m.b)
	m.b = b
	return b, nil
}

// node is the listening end.
type node struct {
	t        testing.TB
	path     string
	listener *net.UnixListener
}

func listen(t testing.TB) *node {
	t.Helper()
	dir, err := os.MkdirTemp("", "channel")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, "s")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return &node{t: t, path: path, listener: l}
}

func (n *node) options() *channel.Options { return &channel.Options{Path: n.path, Hello: ourHello} }

// accept takes the next connection. It does not wait long.
func (n *node) accept() *peer {
	n.t.Helper()
	n.listener.SetDeadline(time.Now().Add(5 * time.Second))
	conn, err := n.listener.AcceptUnix()
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	return &peer{n.t, conn}
}

// peer is the node's end of one channel.
type peer struct {
	t    testing.TB
	conn *net.UnixConn
}

func (p *peer) write(b []byte) {
	p.t.Helper()
	if _, err := p.conn.Write(b); err != nil {
		p.t.Fatal(err)
	}
}

func (p *peer) read() (channel.Header, []byte) {
	p.t.Helper()
	head := make([]byte, channel.HeaderSize)
	if _, err := io.ReadFull(p.conn, head); err != nil {
		p.t.Fatal(err)
	}
	h := channel.ParseHeader(head)
	payload := make([]byte, h.Size)
	if _, err := io.ReadFull(p.conn, payload); err != nil {
		p.t.Fatal(err)
	}
	return h, payload
}

// wait does what C does between two calls.
func wait(t testing.TB, c *channel.Channel, s channel.Status) {
	t.Helper()
	events := map[channel.Status]int16{channel.WantRead: unix.POLLIN, channel.WantWrite: unix.POLLOUT}[s]
	if events == 0 {
		t.Fatalf("nothing to poll on for status %d", s)
	}
	fds := []unix.PollFd{{Fd: int32(c.FD()), Events: events}}
	for {
		n, err := unix.Poll(fds, 10_000)
		if err == unix.EINTR {
			continue
		}
		if n != 1 || err != nil {
			t.Fatalf("poll: %d, %v", n, err)
		}
		return
	}
}

func open(t testing.TB, c *channel.Channel) error {
	t.Helper()
	for {
		s, err := c.Open()
		if s == channel.Done || err != nil {
			return err
		}
		wait(t, c, s)
	}
}

func send(t testing.TB, c *channel.Channel, b []byte) (waits int, err error) {
	t.Helper()
	for {
		s, err := c.Send(b)
		if s == channel.Done || err != nil {
			return waits, err
		}
		waits++
		wait(t, c, s)
	}
}

func receive(t testing.TB, c *channel.Channel, m *memory) (h channel.Header, waits int, err error) {
	t.Helper()
	for {
		h, s, err := c.Receive(m)
		if s == channel.Done || err != nil {
			return h, waits, err
		}
		waits++
		wait(t, c, s)
	}
}

// connected returns both ends of an open channel. The handshake needs no goroutine: a socket takes a hello without a
// reader.
func connected(t testing.TB, o *channel.Options, n *node, info []byte) (*channel.Channel, *peer) {
	t.Helper()
	c := channel.New(o)
	t.Cleanup(c.Close)
	if s, err := c.Open(); s != channel.WantRead || err != nil {
		t.Fatalf("Open before the node's hello: %d, %v", s, err)
	}
	p := n.accept()
	h, payload := p.read()
	if h.Kind != channel.Hello || h.ID != 0 || !bytes.Equal(payload, ourHello) {
		t.Fatalf("hello was %v %q", h, payload)
	}
	p.write(frame(channel.Hello, 0, nodeHello(1, pid, info)))
	if err := open(t, c); err != nil {
		t.Fatal(err)
	}
	return c, p
}

func handlerPid(t testing.TB) etf.Pid {
	t.Helper()
	var v etf.Pid
	if err := etf.Unmarshal(append([]byte{131}, pid...), &v); err != nil {
		t.Fatal(err)
	}
	return v
}
