package channel

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"syscall"
	"time"
)

// Mux is a channel of role async (PROTOCOL.md section 4.1): any number of calls in flight, answered in any order. Unlike a Channel it
// belongs to no thread, and works with goroutines that block. Its methods may be called from any goroutine, and do not block.
type Mux struct {
	options *Options
	answer  func(id uint32, ok bool, payload []byte)
	gone    func(*Mux, error)

	mu     sync.Mutex
	work   *sync.Cond
	out    []byte // frames that wait to be written
	limit  int    // the smaller of both max_frame, once known
	closed bool
	err    error
	conn   net.Conn
}

// OpenMux returns a Mux that connects in the background. answer is called for every ok and error frame, gone once when the connection has
// ended or could not be made; both on a goroutine of the Mux's. payload belongs to the callee.
func OpenMux(o *Options, answer func(id uint32, ok bool, payload []byte), gone func(*Mux, error)) *Mux {
	m := &Mux{options: o, answer: answer, gone: gone, limit: o.maxFrame()}
	m.work = sync.NewCond(&m.mu)
	go m.run()
	return m
}

// Send puts a frame of kind Call, Cast or Cancel on its way, with a payload in any number of pieces, which are copied. A *LimitError leaves the
// Mux as it was.
func (m *Mux) Send(k Kind, id uint32, payload ...[]byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err != nil {
		return m.err
	}
	size := total(payload)
	if size+uncounted > m.limit {
		return &LimitError{Size: size + uncounted, Limit: m.limit}
	}
	var header [HeaderSize]byte
	PutHeader(header[:], size, k, id)
	m.out = append(slices.Grow(m.out, HeaderSize+size), header[:]...)
	for _, piece := range payload {
		m.out = append(m.out, piece...)
	}
	m.work.Signal()
	return nil
}

// Close ends the connection; gone is called.
func (m *Mux) Close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	m.work.Signal()
	if m.conn != nil {
		m.conn.Close()
	}
}

func (m *Mux) run() {
	err := m.serve()
	m.mu.Lock()
	m.err = err
	m.out = nil
	m.work.Signal() // ends the writer
	m.mu.Unlock()
	m.gone(m, err)
}

// serve connects, and reads until the end.
func (m *Mux) serve() error {
	if path := m.options.Path; path == "" || len(path) > maxPath {
		return m.lost("connect", fmt.Errorf("the path of a socket has 1 to %d bytes, this one has %d", maxPath, len(path)))
	}
	conn, err := net.DialTimeout("unix", m.options.Path, OpenLimit)
	if err != nil {
		return m.lost("connect", unwrapped(err))
	}
	defer conn.Close()
	m.mu.Lock()
	m.conn = conn
	closed := m.closed
	m.mu.Unlock()
	if closed {
		return m.lost("connect", errClosed)
	}
	in := bufio.NewReaderSize(conn, readAhead)
	if err := m.greet(conn, in); err != nil {
		return err
	}
	go m.write(conn)
	for {
		h, payload, err := m.read(in)
		if err != nil {
			return m.lost("receive", err)
		}
		switch h.Kind {
		case OK, Error:
			m.answer(h.ID, h.Kind == OK, payload)
		case Bye:
			return m.lost("receive", io.EOF)
		default:
			return m.lost("receive", protocolError(fmt.Sprintf("a frame of %v on an async channel", h.Kind)))
		}
	}
}

func (m *Mux) greet(conn net.Conn, in *bufio.Reader) error {
	hello := make([]byte, HeaderSize, HeaderSize+len(m.options.Hello))
	PutHeader(hello, len(m.options.Hello), Hello, 0)
	if err := conn.SetDeadline(time.Now().Add(OpenLimit)); err != nil {
		return m.lost("hello", err)
	}
	if _, err := conn.Write(append(hello, m.options.Hello...)); err != nil {
		return m.lost("hello", unwrapped(err))
	}
	h, payload, err := m.read(in)
	if err != nil {
		return m.lost("hello", unwrapped(err))
	}
	_, limit, err := welcome(m.options, h.Kind, payload)
	if err != nil {
		return err
	}
	m.mu.Lock()
	m.limit = limit
	m.mu.Unlock()
	return conn.SetDeadline(time.Time{})
}

func (m *Mux) read(in *bufio.Reader) (Header, []byte, error) {
	var head [HeaderSize]byte
	if _, err := io.ReadFull(in, head[:]); err != nil {
		return Header{}, nil, err
	}
	h := ParseHeader(head[:])
	if err := judge(h, m.options.maxFrame()); err != nil {
		return h, nil, err
	}
	payload := make([]byte, h.Size)
	_, err := io.ReadFull(in, payload)
	return h, payload, err
}

// write sends whatever has gathered, in one piece.
func (m *Mux) write(conn net.Conn) {
	var spare []byte
	for {
		m.mu.Lock()
		for len(m.out) == 0 && m.err == nil && !m.closed {
			m.work.Wait()
		}
		if m.err != nil || (m.closed && len(m.out) == 0) {
			m.mu.Unlock()
			conn.Close()
			return
		}
		batch := m.out
		m.out = spare[:0]
		m.mu.Unlock()
		if _, err := conn.Write(batch); err != nil {
			conn.Close() // the reader tells
			return
		}
		if spare = batch; cap(spare) > 1<<20 {
			spare = nil
		}
	}
}

func (m *Mux) lost(op string, err error) error {
	return &DisconnectedError{Path: m.options.Path, Op: op, Err: err}
}

// unwrapped takes the system's error out of net's, whose text says the path again.
func unwrapped(err error) error {
	var op *net.OpError
	if !errors.As(err, &op) {
		return err
	}
	var errno syscall.Errno
	if errors.As(op.Err, &errno) {
		return errno
	}
	return op.Err
}
