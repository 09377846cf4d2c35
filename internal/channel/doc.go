// Package channel carries frames between one Python thread and one Erlang process over a Unix-domain socket, as
// PROTOCOL.md lays down.
//
// # Never blocking
//
// The callers of this package are threads of Python that have come down into Go through C. A thread that sleeps with a
// Go frame below it cannot be interrupted, so nothing here sleeps: [Channel.Open], [Channel.Send] and
// [Channel.Receive] do what can be done at once and answer with a [Status]. On [WantRead] and [WantWrite] the caller
// waits, in C, until [Channel.FD] is readable or writable; on [Pause] it waits for [PauseFor]. Then it makes the same
// call again. Reads and writes are raw system calls with MSG_DONTWAIT: the Go scheduler is not told of them, which is
// sound for calls that cannot block, and costs a tenth of a microsecond less.
//
// # Threads
//
// A Channel belongs to one thread at a time. Only [Channel.BytesIn] and [Channel.BytesOut] may be called from others.
//
// # Memory
//
// Payloads are read straight into the caller's [Buffer], and sent straight from the caller's frame. Once a channel is
// open, sending and receiving allocate nothing.
//
// # Failures
//
// A failure is final: the channel answers every later call with the same error, and wants to be closed. The exception
// is [*LimitError], which is found out before anything was sent.
package channel
