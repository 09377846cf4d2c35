package worker_test

import (
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/erlpy/erlpy/internal/channel"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// {erlpy, 1, thread, #{}} and {erlpy, 1, <a pid>, #{}}.
const (
	ourHello  = "\x83h\x04w\x05erlpya\x01w\x06threadt\x00\x00\x00\x00"
	nodeHello = "\x83h\x04w\x05erlpya\x01Xw\x03n@h\x00\x00\x00\x50\x00\x00\x00\x02\x00\x00\x00\x01t\x00\x00\x00\x00"
)

// node greets every connection, echoes every call and counts the byes.
type node struct {
	options *channel.Options
	handled sync.WaitGroup

	mu    sync.Mutex
	conns []net.Conn
	byes  int
}

func startNode(t testing.TB) *node {
	t.Helper()
	dir, err := os.MkdirTemp("", "worker")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	n := &node{options: &channel.Options{Path: path, Hello: []byte(ourHello), Poll: 5}}
	n.handled.Add(1)
	go func() {
		defer n.handled.Done()
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			n.mu.Lock()
			n.conns = append(n.conns, conn)
			n.mu.Unlock()
			n.handled.Add(1)
			go func() {
				defer n.handled.Done()
				n.handle(conn)
			}()
		}
	}()
	t.Cleanup(func() {
		l.Close()
		n.kill()
		n.handled.Wait()
		os.RemoveAll(dir)
	})
	return n
}

func (n *node) handle(conn net.Conn) {
	defer conn.Close()
	for {
		b := make([]byte, channel.HeaderSize)
		if _, err := io.ReadFull(conn, b); err != nil {
			return
		}
		h := channel.ParseHeader(b)
		b = append(b, make([]byte, h.Size)...)
		if _, err := io.ReadFull(conn, b[channel.HeaderSize:]); err != nil {
			return
		}
		switch h.Kind {
		case channel.Hello:
			b = append(b[:channel.HeaderSize], nodeHello...)
			channel.PutHeader(b, len(nodeHello), channel.Hello, 0)
		case channel.Call:
			channel.PutHeader(b, h.Size, channel.OK, h.ID)
		case channel.Bye:
			n.mu.Lock()
			n.byes++
			n.mu.Unlock()
			return
		}
		if _, err := conn.Write(b); err != nil {
			return
		}
	}
}

// ended is how many have said goodbye.
func (n *node) ended() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.byes
}

// kill closes every connection, as the death of the node would.
func (n *node) kill() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, conn := range n.conns {
		conn.Close()
	}
	n.conns = nil
}

type memory []byte

func (m memory) Bytes() []byte            { return m }
func (m memory) Grow(int) ([]byte, error) { return nil, io.ErrShortBuffer }

// step repeats f until it is done, polling in between.
func step(c *channel.Channel, f func() (channel.Status, error)) error {
	for {
		s, err := f()
		if s == channel.Done || err != nil {
			return err
		}
		if s == channel.Pause {
			time.Sleep(channel.PauseFor)
			continue
		}
		events := int16(unix.POLLIN)
		if s == channel.WantWrite {
			events = unix.POLLOUT
		}
		unix.Poll([]unix.PollFd{{Fd: int32(c.FD()), Events: events}}, 10_000)
	}
}

// call makes one call on an open channel, and returns what it got for the number that it sent.
func call(c *channel.Channel, number byte) (byte, error) {
	b := []byte{0, 0, 0, 0, 0, 0, 0, 0, 0, 131, 97, number}
	id := c.NextID()
	channel.PutHeader(b, 3, channel.Call, id)
	if err := step(c, func() (channel.Status, error) { return c.Send(b) }); err != nil {
		return 0, err
	}
	m := make(memory, 512)
	err := step(c, func() (s channel.Status, err error) {
		_, s, err = c.Receive(m)
		return s, err
	})
	return m[11], err
}
