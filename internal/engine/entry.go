package engine

import "github.com/erlpy/erlpy/internal/channel"

// kind says what an entry of a thread's stack is.
type kind uint8

const (
	outgoing  kind = iota // a call of an Erlang function
	task                  // a Go function on a goroutine of its own
	incoming              // a call of Python that came over the channel, and runs
	listening             // waits for calls from the node: a context, or the host's control channel
	jobServer             // waits for the Go program's own calls
	reaper                // waits for the ends of submitted calls
	mapping               // waits for the results of a map
)

// phase of an outgoing or listening entry.
type phase uint8

const (
	opening phase = iota
	sending
	receiving
)

// entry is one thing that is under way on a thread.
type entry struct {
	kind    kind
	phase   phase
	op      string           // of an outgoing call of ours: "registered", "self"
	cast    bool             // an outgoing call that is over when it has been sent
	retried bool             // its connection was stale once already
	id      uint32           // of the call, in its direction
	ch      *channel.Channel // that the call is bound to; when the worker's is another by now, the conversation is over
	early   []byte           // the answer, with its header, if it came during a nested call; see session.outer
	earlyOK bool
	task    *goTask
	server  *server
	pipe    *pipe
}

// abandon lets go of what would otherwise reach for a thread that is not there any more.
func (x *entry) abandon() {
	if x.task != nil {
		x.task.abandon()
	}
	if x.server != nil {
		x.server.abandon()
	}
	if x.pipe != nil {
		x.pipe.await(-1)
	}
}
