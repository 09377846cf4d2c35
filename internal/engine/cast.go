package engine

import (
	"context"
	"sync"

	"github.com/erlpy/erlpy/internal/funcs"
)

// casts are the Go functions that a thread has called without waiting. They run one after the other, in the order of the thread's casts, as
// they do in an Erlang handler; on a goroutine that lives only while there are some.
type casts struct {
	mu      sync.Mutex
	running bool
	queue   []cast
}

type cast struct {
	ctx  context.Context
	f    *funcs.Func
	args []byte
}

func (c *casts) add(ctx context.Context, f *funcs.Func, args []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.queue = append(c.queue, cast{ctx, f, args})
	if !c.running {
		c.running = true
		go c.run()
	}
}

func (c *casts) run() {
	// A function that ends its goroutine must not take the others' with it.
	ended := false
	defer func() {
		if !ended {
			go c.run()
		}
	}()
	for {
		c.mu.Lock()
		if len(c.queue) == 0 {
			c.running, ended = false, true
			c.mu.Unlock()
			return
		}
		next := c.queue[0]
		c.queue = c.queue[1:]
		c.mu.Unlock()
		// What it returns, and how it fails, is nobody's business.
		_, _ = next.f.Call(next.ctx, next.args, nil)
	}
}
