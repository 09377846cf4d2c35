// Package worker hands out workers to Python threads, and takes them back when the threads end.
//
// A [Worker] is bound to one thread at a time: the thread's first call acquires it from the [Pool], the end of the
// thread releases it. It carries the thread's channel to the node, if the thread has called Erlang yet; a thread that
// calls only Go functions has a worker with no channel.
//
// # A worker's life
//
//	idle     released, its channel healthy or absent; the next Acquire takes the one released last
//	bound    belongs to a thread
//	retired  its channel broke, or it had no use for long; closed, never handed out again
//
// A bound worker whose channel broke stays bound: [Worker.Drop] closes the channel, and the next call opens another by
// [Worker.Connect]. In the figures of [Stats] that is a retirement too, of the channel and the handler behind it.
//
// # Locks
//
// The pool has one mutex, held for some list operations and never over a system call. A bound worker's own thread
// takes it only to bind, connect and release, not to call.
package worker
