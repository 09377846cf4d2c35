package channel

import (
	"fmt"
	"io"
)

// Answers of a batch come together up to about so many bytes, whatever our limit of a frame is.
const together = 20 << 10

// muxReader takes the frames of a Mux out of its connection, as many at a time as have come.
type muxReader struct {
	conn   io.Reader
	limit  int // of a frame
	buf    []byte
	got    []byte // the part of buf that has been read and not been used yet
	batch  []Answer
	ending error // what came behind the answers that were given last
}

func newMuxReader(conn io.Reader, limit int) *muxReader {
	return &muxReader{conn: conn, limit: limit, buf: make([]byte, readAhead)}
}

// answers waits for at least one answer and returns all that have come. The slice is good until the next call, the payloads are the caller's.
func (r *muxReader) answers() ([]Answer, error) {
	if r.ending != nil {
		return nil, r.ending
	}
	r.batch = r.batch[:0]
	size := 0
	for {
		answer, err := r.answer()
		if err != nil {
			r.ending = err
			break
		}
		r.batch = append(r.batch, answer)
		if !r.large(len(answer.Payload)) {
			size += len(answer.Payload)
		}
		if !r.whole() {
			break
		}
	}
	if len(r.batch) == 0 {
		return nil, r.ending
	}
	// The buffer is needed again. One allocation for all payloads that lie there.
	block := make([]byte, 0, size)
	for i := range r.batch {
		if p := &r.batch[i].Payload; !r.large(len(*p)) {
			at := len(block)
			block = append(block, *p...)
			*p = block[at:len(block):len(block)]
		}
	}
	return r.batch, nil
}

func (r *muxReader) answer() (Answer, error) {
	h, payload, err := r.frame()
	switch {
	case err != nil:
		return Answer{}, err
	case h.Kind == OK || h.Kind == Error:
		return Answer{h.ID, h.Kind == OK, payload}, nil
	case h.Kind == Bye:
		return Answer{}, io.EOF
	}
	return Answer{}, protocolError(fmt.Sprintf("a frame of %v on an async channel", h.Kind))
}

// frame waits for a frame. Its payload is good until the next call, unless it is large: then it is the caller's.
func (r *muxReader) frame() (Header, []byte, error) {
	if err := r.fill(HeaderSize); err != nil {
		return Header{}, nil, err
	}
	h := ParseHeader(r.got)
	if err := judge(h, r.limit); err != nil {
		return h, nil, err
	}
	if r.large(h.Size) {
		payload := make([]byte, h.Size)
		n := copy(payload, r.got[HeaderSize:])
		r.got = nil
		_, err := io.ReadFull(r.conn, payload[n:])
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return h, payload, err
	}
	if err := r.fill(HeaderSize + h.Size); err != nil {
		return h, nil, err
	}
	payload := r.got[HeaderSize : HeaderSize+h.Size]
	r.got = r.got[HeaderSize+h.Size:]
	return h, payload, nil
}

// large reports whether a payload has no room in the buffer.
func (r *muxReader) large(size int) bool { return HeaderSize+size > len(r.buf) }

// whole reports whether the next frame needs no reading, so that what was taken out of the buffer stays.
func (r *muxReader) whole() bool {
	if len(r.got) < HeaderSize {
		return false
	}
	h := ParseHeader(r.got)
	return h.Size < 0 || len(r.got) >= HeaderSize+h.Size
}

// fill reads until n bytes are there.
func (r *muxReader) fill(n int) error {
	if len(r.got) >= n {
		return nil
	}
	have := copy(r.buf, r.got)
	more, err := io.ReadAtLeast(r.conn, r.buf[have:], n-have)
	if err == io.EOF && have > 0 {
		err = io.ErrUnexpectedEOF
	}
	r.got = r.buf[:have+more]
	return err
}
