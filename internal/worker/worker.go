package worker

import "github.com/erlpy/erlpy/internal/channel"

type state uint8

const (
	bound state = iota
	idle
	retired
)

// Worker is what one Python thread calls with. All of its methods are for the thread that it is bound to.
type Worker struct {
	// ID is never 0, and never that of another worker of the pool, living or gone.
	ID uint64

	pool  *Pool
	state state // guarded by pool.mu

	// The thread reads channel without the lock. It writes it under pool.mu, because Stats reads it there.
	channel   *channel.Channel
	connected bool // has had a channel
	reserved  bool // its channel has a role of its own: no other thread may have it
}

// Channel returns the channel, or nil before Connect and after Drop.
func (w *Worker) Channel() *channel.Channel { return w.channel }

// Connect gives the worker a new channel, which wants to be opened, and closes the one it had. Without a node it
// returns nil.
func (w *Worker) Connect() *channel.Channel { return w.connect(w.pool.options.Channel) }

// ConnectAs is Connect with a hello of the caller's own: for a thread that serves calls. Such a worker is retired when
// its thread ends, since the node knows it under that role.
func (w *Worker) ConnectAs(o *channel.Options) *channel.Channel {
	w.reserved = true
	return w.connect(o)
}

func (w *Worker) connect(o *channel.Options) *channel.Channel {
	if o == nil {
		return nil
	}
	w.replace(channel.New(o))
	return w.channel
}

// Drop closes the channel after a failure. The worker stays bound, and may Connect again.
func (w *Worker) Drop() { w.replace(nil) }

// replace changes the channel, and keeps what the old one had counted.
func (w *Worker) replace(next *channel.Channel) {
	p := w.pool
	p.mu.Lock()
	old := w.channel
	w.channel = next
	if old != nil {
		p.past.addChannel(old)
		p.past.Retired++
	}
	if next != nil {
		if w.connected {
			p.past.Reconnects++
		}
		w.connected = true
	}
	p.mu.Unlock()
	if old != nil {
		old.Close()
	}
}

// reusable reports whether another thread may have the worker: its channel, if it has one, is open and between frames.
func (w *Worker) reusable() bool {
	return !w.reserved && (w.channel == nil || w.channel.Idle())
}
