package channel_test

import (
	"bytes"
	"errors"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/erlpy/erlpy/internal/channel"
)

func sendPieces(t *testing.T, c *channel.Channel, pieces [][]byte) (waits int, err error) {
	t.Helper()
	for {
		s, err := c.SendPieces(pieces)
		if s == channel.Done || err != nil {
			return waits, err
		}
		waits++
		wait(t, c, s)
	}
}

// cut makes pieces out of a frame: the first of size first, those that follow of the given sizes in turn.
func cut(frame []byte, first int, sizes ...int) (pieces [][]byte) {
	n := first
	for i := 0; len(frame) > 0; i++ {
		n = min(n, len(frame))
		pieces, frame = append(pieces, frame[:n]), frame[n:]
		n = sizes[i%len(sizes)]
	}
	return pieces
}

// Pieces of all sizes, empty ones among them, more than go out with one system call, to a reader that is slow and to one that is quick.
func TestSendPieces(t *testing.T) {
	n := listen(t)
	c, p := connected(t, n.options(), n, infoEmpty)
	payload := make([]byte, 3<<20)
	for i := range payload {
		payload[i] = byte(i * 2654435761 >> 13)
	}
	for _, test := range []struct {
		size, first int
		sizes       []int
	}{
		{0, 9, []int{1}},
		{1, 9, []int{1}},
		{100, 10, []int{1}},
		{5000, 9, []int{0, 1, 0, 0, 7}},
		{200_000, 50, []int{128<<10 - 50, 1, 0}},
		{1 << 20, 9, []int{0, 16 << 10, 5}},
		{3 << 20, 9, []int{1 << 20, 5, 0}},
		{3 << 20, 3<<20 + 9, []int{1}},
	} {
		whole := frame(channel.Call, c.NextID(), payload[:test.size])
		pieces := cut(whole, test.first, test.sizes...)
		got := make(chan []byte)
		read := func() {
			_, payload := p.read()
			got <- payload
		}
		out := c.BytesOut()
		if status, err := c.SendPieces(pieces); err != nil || (status == channel.WantWrite) != (test.size > 1<<19) {
			t.Fatalf("%v: SendPieces with nobody reading: %v, %v", test, status, err)
		} else if status == channel.WantWrite {
			if c.Idle() {
				t.Errorf("%v: idle in the middle of a frame", test)
			}
			go read()
			if _, err := sendPieces(t, c, pieces); err != nil {
				t.Fatal(err)
			}
		} else {
			go read()
		}
		if !bytes.Equal(<-got, whole[9:]) {
			t.Fatalf("%v: the node got other bytes", test)
		}
		if !c.Idle() || c.BytesOut()-out != uint64(len(whole)) {
			t.Errorf("%v: idle %v, %d bytes out of %d", test, c.Idle(), c.BytesOut()-out, len(whole))
		}
	}
}

func TestSendPiecesRefuses(t *testing.T) {
	n := listen(t)
	c, _ := connected(t, n.options(), n, maxFrameInfo(1000))
	out := c.BytesOut()
	whole := frame(channel.Call, 1, make([]byte, 996)) // the length field counts 5 bytes more
	var limit *channel.LimitError
	if _, err := c.SendPieces(cut(whole, 9, 100)); !errors.As(err, &limit) || limit.Size != 1001 || limit.Limit != 1000 {
		t.Errorf("a frame over the limit: %v", err)
	}
	if _, err := c.SendPieces([][]byte{whole[:9], whole[9:100]}); err == nil || errors.As(err, &limit) {
		t.Errorf("a frame with a piece missing: %v", err)
	}
	if _, err := c.SendPieces([][]byte{whole[:5], whole[5:]}); err == nil {
		t.Error("a frame whose header is in two pieces was sent")
	}
	if !c.Idle() || c.BytesOut() != out {
		t.Error("something was sent")
	}
	if _, err := sendPieces(t, c, cut(frame(channel.Call, 1, make([]byte, 995)), 9, 100)); err != nil {
		t.Errorf("a frame of the limit's size: %v", err)
	}
}

// The node ends in the middle of a frame, and before the first byte of one.
func TestSendPiecesToNobody(t *testing.T) {
	n := listen(t)
	pieces := cut(frame(channel.Call, 1, make([]byte, 3<<20)), 9, 1<<20)
	c, p := connected(t, n.options(), n, infoEmpty)
	p.conn.Close()
	if _, err := sendPieces(t, c, pieces); !errors.Is(err, channel.ErrStale) {
		t.Errorf("before the first byte: %v", err)
	}
	c, p = connected(t, n.options(), n, infoEmpty)
	if s, err := c.SendPieces(pieces); s != channel.WantWrite || err != nil {
		t.Fatal(s, err)
	}
	p.conn.Close()
	if _, err := sendPieces(t, c, pieces); !errors.Is(err, unix.EPIPE) && !errors.Is(err, unix.ECONNRESET) || errors.Is(err, channel.ErrStale) {
		t.Errorf("in the middle: %v", err)
	}
}
