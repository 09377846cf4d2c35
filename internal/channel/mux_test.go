package channel_test

import (
	"bytes"
	"errors"
	"io"
	"sync"
	"testing"

	"github.com/erlpy/erlpy/internal/channel"
)

// answer is a frame that a Mux has handed over.
type answer struct {
	id      uint32
	ok      bool
	payload string
}

// openMux opens a Mux at the node and takes its connection, greeted.
func openMux(t *testing.T, n *node, info []byte) (m *channel.Mux, p *peer, answers chan answer, gone chan error) {
	t.Helper()
	answers, gone = make(chan answer, 1000), make(chan error, 1)
	m = channel.OpenMux(n.options(), func(batch []channel.Answer) error {
		for _, a := range batch {
			answers <- answer{a.ID, a.OK, string(a.Payload)}
		}
		return nil
	}, func(_ *channel.Mux, err error) { gone <- err })
	t.Cleanup(m.Close)
	p = n.accept()
	if h, payload := p.read(); h.Kind != channel.Hello || !bytes.Equal(payload, ourHello) {
		t.Fatalf("hello %v %q", h, payload)
	}
	p.write(frame(channel.Hello, 0, nodeHello(1, pid, info)))
	return m, p, answers, gone
}

func TestMuxAnswersInAnyOrder(t *testing.T) {
	m, p, answers, gone := openMux(t, listen(t), infoEmpty)
	var senders sync.WaitGroup
	for id := range uint32(100) {
		senders.Add(1)
		go func() {
			defer senders.Done()
			if err := m.Send(channel.Call, id+1, []byte{byte(id)}); err != nil {
				t.Error(err)
			}
		}()
	}
	seen := map[uint32]byte{}
	for range 100 {
		h, payload := p.read()
		if h.Kind != channel.Call || len(payload) != 1 {
			t.Fatalf("got %v %q", h, payload)
		}
		seen[h.ID] = payload[0]
	}
	senders.Wait()
	for id := uint32(100); id > 0; id-- {
		kind := channel.OK
		if id%2 == 0 {
			kind = channel.Error
		}
		p.write(frame(kind, id, []byte{seen[id]}))
	}
	for id := uint32(100); id > 0; id-- {
		if got := <-answers; got != (answer{id, id%2 == 1, string([]byte{byte(id - 1)})}) {
			t.Errorf("call %d: %+v", id, got)
		}
	}
	if err := m.Send(channel.Cancel, 7, nil); err != nil {
		t.Fatal(err)
	}
	if h, _ := p.read(); h.Kind != channel.Cancel || h.ID != 7 {
		t.Errorf("got %v, want the cancel of 7", h)
	}
	p.conn.Close()
	if err := <-gone; !errors.Is(err, channel.ErrDisconnected) || !errors.Is(err, io.EOF) {
		t.Errorf("gone: %v", err)
	}
	if err := m.Send(channel.Call, 8, nil); !errors.Is(err, channel.ErrDisconnected) {
		t.Errorf("Send afterwards: %v", err)
	}
}

func TestMuxLimit(t *testing.T) {
	m, p, _, _ := openMux(t, listen(t), maxFrameInfo(100))
	if err := m.Send(channel.Call, 1, make([]byte, 10)); err != nil {
		t.Fatal(err)
	}
	p.read() // so that the node's limit is known
	var limit *channel.LimitError
	if err := m.Send(channel.Call, 2, make([]byte, 96)); !errors.As(err, &limit) || limit.Limit != 100 {
		t.Errorf("a frame over the node's limit: %v", err)
	}
	if err := m.Send(channel.Call, 3, make([]byte, 95)); err != nil {
		t.Error(err)
	}
	if h, _ := p.read(); h.ID != 3 {
		t.Errorf("got call %d, want 3", h.ID)
	}
}

func TestMuxCannotOpen(t *testing.T) {
	gone := make(chan error, 1)
	tell := func(_ *channel.Mux, err error) { gone <- err }
	nobody := func([]channel.Answer) error { t.Error("an answer from nobody"); return nil }

	m := channel.OpenMux(&channel.Options{Path: "/nowhere/s", Hello: ourHello}, nobody, tell)
	_ = m.Send(channel.Call, 1, nil) // may be on its way before that is known
	if err := <-gone; !errors.Is(err, channel.ErrDisconnected) {
		t.Errorf("nobody listens: %v", err)
	}

	n := listen(t)
	channel.OpenMux(n.options(), nobody, tell)
	p := n.accept()
	p.read()
	p.write(frame(channel.Error, 0, refused("too many")))
	var no *channel.RefusedError
	if err := <-gone; !errors.As(err, &no) || no.Text != "too many" {
		t.Errorf("refused: %v", err)
	}
}

func TestMuxProtocolErrors(t *testing.T) {
	for name, bytes := range map[string][]byte{
		"a call":           frame(channel.Call, 1, []byte{131, 106}),
		"an unknown kind":  frame(99, 1, nil),
		"too short":        {0, 0, 0, 2, 3, 0, 0, 0, 1},
		"longer than ever": {255, 255, 255, 255, 3, 0, 0, 0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			_, p, _, gone := openMux(t, listen(t), infoEmpty)
			p.write(bytes)
			if err := <-gone; !errors.Is(err, channel.ErrDisconnected) {
				t.Errorf("gone: %v", err)
			}
		})
	}
}

func TestMuxClose(t *testing.T) {
	m, p, _, gone := openMux(t, listen(t), infoEmpty)
	if err := m.Send(channel.Call, 1, []byte{131, 106}); err != nil {
		t.Fatal(err)
	}
	p.read()
	m.Close()
	m.Close()
	if err := <-gone; err == nil {
		t.Error("gone without a reason")
	}
}
