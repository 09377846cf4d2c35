package channel_test

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/erlpy/erlpy/internal/channel"
)

func TestOpen(t *testing.T) {
	n := listen(t)
	c, _ := connected(t, n.options(), n, infoEmpty)
	if want := handlerPid(t); c.Handler() != want {
		t.Errorf("Handler() = %v, want %v", c.Handler(), want)
	}
	if !c.Idle() {
		t.Error("not idle after the handshake")
	}
	if s, err := c.Open(); s != channel.Done || err != nil {
		t.Errorf("a second Open: %d, %v", s, err)
	}
	if in, out := c.BytesIn(), c.BytesOut(); in != uint64(len(nodeHello(1, pid, infoEmpty))+9) || out != uint64(len(ourHello)+9) {
		t.Errorf("bytes in %d, out %d", in, out)
	}
}

func TestOpenByteByByte(t *testing.T) {
	n := listen(t)
	c := channel.New(n.options())
	defer c.Close()
	if s, err := c.Open(); s != channel.WantRead || err != nil {
		t.Fatal(s, err)
	}
	p := n.accept()
	hello := frame(channel.Hello, 0, nodeHello(1, pid, maxFrameInfo(9999)))
	for i := range hello {
		if s, err := c.Open(); s != channel.WantRead || err != nil {
			t.Fatalf("after %d bytes: %d, %v", i, s, err)
		}
		p.write(hello[i : i+1])
	}
	if s, err := c.Open(); s != channel.Done || err != nil {
		t.Fatal(s, err)
	}
}

func TestOpenNobodyListens(t *testing.T) {
	dir := t.TempDir()
	missing := filepath.Join(dir, "missing")
	left := filepath.Join(dir, "left")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: left, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	l.Close()
	for _, path := range []string{missing, left, dir, "", "/tmp/" + strings.Repeat("x", 103)} {
		c := channel.New(&channel.Options{Path: path, Hello: ourHello})
		s, err := c.Open()
		if s != channel.Done || !errors.Is(err, channel.ErrDisconnected) || !strings.Contains(err.Error(), path) {
			t.Errorf("Open(%q) = %d, %v", path, s, err)
		}
		if _, again := c.Open(); again != err {
			t.Errorf("Open(%q) again: %v, want the same", path, again)
		}
		c.Close()
	}
}

func TestOpenLongestPath(t *testing.T) {
	dir, err := os.MkdirTemp("/tmp", "c")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	for length, good := range map[int]bool{107: true, 108: false} {
		c := channel.New(&channel.Options{Path: filepath.Join(dir, strings.Repeat("x", length-len(dir)-1)), Hello: ourHello})
		_, err := c.Open()
		if got := errors.Is(err, unix.ENOENT); got != good {
			t.Errorf("path of %d bytes: %v", length, err)
		}
		c.Close()
	}
}

func TestOpenBacklogFull(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "s")
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := errors.Join(unix.Bind(fd, &unix.SockaddrUnix{Name: path}), unix.Listen(fd, 0)); err != nil {
		t.Fatal(err)
	}
	first := channel.New(&channel.Options{Path: path, Hello: ourHello})
	defer first.Close()
	if s, err := first.Open(); s != channel.WantRead || err != nil {
		t.Fatal(s, err)
	}
	second := channel.New(&channel.Options{Path: path, Hello: ourHello})
	defer second.Close()
	for range 3 {
		if s, err := second.Open(); s != channel.Pause || err != nil {
			t.Fatalf("Open with the backlog full: %d, %v", s, err)
		}
	}
	taken, _, err := unix.Accept(fd)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(taken)
	if s, err := second.Open(); s != channel.WantRead || err != nil {
		t.Fatalf("Open with room again: %d, %v", s, err)
	}
}

func TestOpenTimesOut(t *testing.T) {
	n := listen(t)
	c := channel.New(n.options())
	defer c.Close()
	if s, err := c.Open(); s != channel.WantRead || err != nil {
		t.Fatal(s, err)
	}
	if left := c.Remaining(); left <= 0 || left > channel.OpenLimit {
		t.Errorf("Remaining() = %v", left)
	}
	c.Backdate(channel.OpenLimit)
	if s, err := c.Open(); s != channel.Done || !errors.Is(err, channel.ErrTimeout) || !errors.Is(err, channel.ErrDisconnected) {
		t.Fatalf("Open after the limit: %d, %v", s, err)
	}
}

func TestOpenRefused(t *testing.T) {
	for name, heard := range map[string]bool{"heard": true, "unread": false} {
		t.Run(name, func(t *testing.T) {
			n := listen(t)
			c := channel.New(n.options())
			defer c.Close()
			if s, err := c.Open(); s != channel.WantRead || err != nil {
				t.Fatal(s, err)
			}
			p := n.accept()
			if heard {
				p.read()
			}
			p.write(frame(channel.Error, 0, refused("too many workers")))
			p.conn.Close()
			err := open(t, c)
			var r *channel.RefusedError
			if !errors.As(err, &r) || r.Text != "too many workers" || r.Path != n.path {
				t.Fatalf("Open: %v", err)
			}
			if _, err := c.Send(frame(channel.Call, 1, noneAtom)); !errors.As(err, &r) {
				t.Errorf("Send afterwards: %v", err)
			}
		})
	}
}

// The reason of a node that closes while we still send is read all the same.
func TestOpenRefusedUnheard(t *testing.T) {
	n := listen(t)
	o := n.options()
	o.Hello = make([]byte, 4<<20)
	c := channel.New(o)
	defer c.Close()
	if s, err := c.Open(); s != channel.WantWrite || err != nil {
		t.Fatal(s, err)
	}
	p := n.accept()
	p.write(frame(channel.Error, 0, refused("no")))
	p.conn.Close()
	var r *channel.RefusedError
	if err := open(t, c); !errors.As(err, &r) {
		t.Fatalf("Open: %v", err)
	}
}

func TestOpenBadAnswers(t *testing.T) {
	for name, answer := range map[string][]byte{
		"no term":         frame(channel.Hello, 0, []byte{131}),
		"empty":           frame(channel.Hello, 0, nil),
		"another term":    frame(channel.Hello, 0, noneAtom),
		"another kind":    frame(channel.OK, 0, nodeHello(1, pid, infoEmpty)),
		"error":           frame(channel.Error, 0, noneAtom),
		"version 2":       frame(channel.Hello, 0, nodeHello(2, pid, infoEmpty)),
		"no pid":          frame(channel.Hello, 0, nodeHello(1, noneAtom[1:], infoEmpty)),
		"short tuple":     frame(channel.Hello, 0, []byte{131, 104, 2, 119, 5, 'e', 'r', 'l', 'p', 'y', 97, 1}),
		"compressed":      frame(channel.Hello, 0, []byte{131, 80, 0, 0, 0, 1, 0}),
		"length 4":        {0, 0, 0, 4, 1, 0, 0, 0, 0},
		"very long hello": {0, 2, 0, 0, 1, 0, 0, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			n := listen(t)
			c := channel.New(n.options())
			defer c.Close()
			if s, err := c.Open(); s != channel.WantRead || err != nil {
				t.Fatal(s, err)
			}
			n.accept().write(answer)
			err := open(t, c)
			if !errors.Is(err, channel.ErrDisconnected) || !strings.Contains(err.Error(), "protocol error") {
				t.Errorf("Open: %v", err)
			}
		})
	}
}

func TestOpenNodeGone(t *testing.T) {
	n := listen(t)
	c := channel.New(n.options())
	defer c.Close()
	if s, err := c.Open(); s != channel.WantRead || err != nil {
		t.Fatal(s, err)
	}
	n.accept().conn.Close()
	if err := open(t, c); !errors.Is(err, channel.ErrDisconnected) {
		t.Errorf("Open: %v", err)
	}
}
