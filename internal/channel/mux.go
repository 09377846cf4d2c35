package channel

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Frames gather in chunks of this size; a larger frame has one of its own. A chunk is let go of as
// soon as it is written.
const chunkSize = 64 << 10

// Mux is a channel of role async (PROTOCOL.md section 4.1): any number of calls in flight, answered in any order. Unlike a Channel it
// belongs to no thread, and works with goroutines that block. Its methods may be called from any goroutine, and do not block.
type Mux struct {
	options *Options
	answer  func([]Answer) error
	gone    func(*Mux, error)

	bytesIn, bytesOut atomic.Uint64 // of frames, but for the handshake's

	mu      sync.Mutex
	work    *sync.Cond
	out     [][]byte // chunks of frames that wait to be written, the oldest first
	spare   []byte   // an empty chunk, or nil
	limit   int      // the smaller of both max_frame, once known
	closed  bool
	err     error
	conn    net.Conn
	direct  *direct // nil until frames may be written
	writing bool    // the writer is about to, or waits until it can
}

// Answer is an ok or an error frame.
type Answer struct {
	ID      uint32
	OK      bool
	Payload []byte
}

// OpenMux returns a Mux that connects in the background. answer is called with the answers as they come in, as many at a time as have come; what
// it returns ends the connection, unless it is nil. gone is called once when the connection has ended or could not be made. Both are called on a
// goroutine of the Mux's. The payloads belong to the callee, the slice of answers does not.
func OpenMux(o *Options, answer func([]Answer) error, gone func(*Mux, error)) *Mux {
	m := &Mux{options: o, answer: answer, gone: gone, limit: o.maxFrame()}
	m.work = sync.NewCond(&m.mu)
	go m.run()
	return m
}

// Send puts a frame on its way, together with others that are sent at about the same time. The pieces of its payload are copied. A *LimitError
// leaves the Mux as it was.
func (m *Mux) Send(k Kind, id uint32, payload ...[]byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	err := m.put(k, id, payload...)
	if err == nil && !m.writing {
		m.work.Signal()
	}
	return err
}

// SendNow is Send for a frame that others have been gathered in already: it is written right here, if the socket takes it.
func (m *Mux) SendNow(k Kind, id uint32, payload ...[]byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	err := m.put(k, id, payload...)
	if err != nil || m.writing {
		return err
	}
	for m.direct != nil && len(m.out) > 0 {
		if rest := m.direct.write(m.out[0]); len(rest) > 0 {
			m.out[0] = rest
			break
		}
		m.keep(m.first())
	}
	if len(m.out) > 0 {
		m.work.Signal()
	}
	return nil
}

// first takes the oldest chunk.
func (m *Mux) first() []byte {
	chunk := m.out[0]
	m.out = slices.Delete(m.out, 0, 1)
	return chunk
}

// keep has a chunk that is written used again, unless it is larger than others.
func (m *Mux) keep(chunk []byte) {
	if cap(chunk) == chunkSize {
		m.spare = chunk[:0]
	}
}

// chunk returns one with room for so many bytes, the youngest.
func (m *Mux) chunk(size int) *[]byte {
	n := len(m.out)
	if n == 0 || cap(m.out[n-1])-len(m.out[n-1]) < size {
		chunk := m.spare
		m.spare = nil
		if cap(chunk) < size {
			chunk = make([]byte, 0, max(size, chunkSize))
		}
		m.out = append(m.out, chunk)
		n++
	}
	return &m.out[n-1]
}

// put appends a frame to what waits to be written.
func (m *Mux) put(k Kind, id uint32, payload ...[]byte) error {
	if m.err != nil {
		return m.err
	}
	size := total(payload)
	if size+uncounted > m.limit {
		return &LimitError{Size: size + uncounted, Limit: m.limit}
	}
	var header [HeaderSize]byte
	PutHeader(header[:], size, k, id)
	m.bytesOut.Add(uint64(HeaderSize + size))
	chunk := m.chunk(HeaderSize + size)
	*chunk = append(*chunk, header[:]...)
	for _, piece := range payload {
		*chunk = append(*chunk, piece...)
	}
	return nil
}

// BytesIn returns how many bytes of answers have come so far.
func (m *Mux) BytesIn() uint64 { return m.bytesIn.Load() }

// BytesOut returns how many bytes have been sent so far, or wait for it.
func (m *Mux) BytesOut() uint64 { return m.bytesOut.Load() }

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
	in := newMuxReader(conn, max(m.options.maxFrame(), together))
	if err := m.greet(conn, in); err != nil {
		return err
	}
	m.mu.Lock()
	m.direct = newDirect(conn)
	m.mu.Unlock()
	go m.write(conn)
	for {
		answers, err := in.answers()
		if err == nil {
			for i := range answers {
				m.bytesIn.Add(uint64(HeaderSize + len(answers[i].Payload)))
			}
			err = m.answer(answers)
		}
		if err != nil {
			return m.lost("receive", err)
		}
	}
}

func (m *Mux) greet(conn net.Conn, in *muxReader) error {
	hello := make([]byte, HeaderSize, HeaderSize+len(m.options.Hello))
	PutHeader(hello, len(m.options.Hello), Hello, 0)
	if err := conn.SetDeadline(time.Now().Add(OpenLimit)); err != nil {
		return m.lost("hello", err)
	}
	if _, err := conn.Write(append(hello, m.options.Hello...)); err != nil {
		return m.lost("hello", unwrapped(err))
	}
	h, payload, err := in.frame()
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

// write sends whatever has gathered, chunk by chunk.
func (m *Mux) write(conn net.Conn) {
	var chunk []byte
	for {
		m.mu.Lock()
		m.keep(chunk)
		chunk = nil
		m.writing = false
		for len(m.out) == 0 && m.err == nil && !m.closed {
			m.work.Wait()
		}
		if m.err != nil || (m.closed && len(m.out) == 0) {
			m.mu.Unlock()
			conn.Close()
			return
		}
		chunk = m.first()
		m.writing = true
		m.mu.Unlock()
		if _, err := conn.Write(chunk); err != nil {
			conn.Close() // the reader tells
			return
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
