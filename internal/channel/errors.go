package channel

import (
	"errors"
	"fmt"
	"io"
	"syscall"
)

// Sentinels for errors.Is.
var (
	// ErrDisconnected is what every *DisconnectedError is: the node is gone, was never there, or broke the protocol.
	ErrDisconnected = errors.New("disconnected")

	// ErrStale marks a *DisconnectedError of Send that came before the first byte of the frame was taken. The node saw
	// nothing of the call, so the caller may repeat it on a new channel.
	ErrStale = errors.New("connection was already closed")

	// ErrTimeout marks a handshake that took longer than OpenLimit.
	ErrTimeout = errors.New("the node did not answer in time")

	errClosed    = errors.New("this side has closed it")
	errNotOpened = errors.New("it has not been opened")
)

// DisconnectedError is the end of a channel, or of the attempt to open one.
type DisconnectedError struct {
	Path string // the socket
	Op   string // "connect", "hello", "send" or "receive"
	Err  error  // the cause: a syscall.Errno, io.EOF, ErrTimeout, a protocol error...
}

// Error names the socket and the cause.
func (e *DisconnectedError) Error() string {
	switch {
	case e.Op == "connect" && (errors.Is(e.Err, syscall.ENOENT) || errors.Is(e.Err, syscall.ECONNREFUSED)):
		return fmt.Sprintf("no node listens on %s: %v", e.Path, e.Err)
	case errors.Is(e.Err, io.EOF):
		return fmt.Sprintf("the node closed the connection (%s)", e.Path)
	case errors.Is(e.Err, io.ErrUnexpectedEOF):
		return fmt.Sprintf("the node closed the connection in the middle of a frame (%s)", e.Path)
	}
	return fmt.Sprintf("%s %s: %v", e.Op, e.Path, e.Err)
}

// Is reports whether target is ErrDisconnected.
func (e *DisconnectedError) Is(target error) bool { return target == ErrDisconnected }

// Unwrap returns the cause.
func (e *DisconnectedError) Unwrap() error { return e.Err }

// LimitError refuses a frame that is larger than this side or the node accepts. Nothing was sent; the channel is still
// good.
type LimitError struct {
	Size  int // the length field that the frame would have had
	Limit int
}

// Error names the setting.
func (e *LimitError) Error() string {
	return fmt.Sprintf("frame of %d bytes is over the limit of %d bytes (max_frame)", e.Size, e.Limit)
}

// RefusedError is the node's answer to a hello that it does not accept: another version, an unknown token, too many
// workers.
type RefusedError struct {
	Path string
	Text string // the node's words
}

// Error gives the node's words.
func (e *RefusedError) Error() string {
	return fmt.Sprintf("the node at %s refused the connection: %s", e.Path, e.Text)
}

// protocolError says what the node sent that it must not send.
type protocolError string

func (e protocolError) Error() string { return "protocol error: " + string(e) }
