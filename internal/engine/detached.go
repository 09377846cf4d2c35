package engine

import (
	"context"
	"errors"

	"github.com/erlpy/erlpy/etf"
	"github.com/erlpy/erlpy/internal/channel"
	"github.com/erlpy/erlpy/internal/funcs"
)

var errGoexit = errors.New("the function ended its goroutine without returning")

func (e *Engine) submitGo(sub *submission, f *funcs.Func, args []byte) error {
	a := &e.async
	ctx, cancel := context.WithCancel(context.Background())
	a.mu.Lock()
	sub.stop = cancel
	err := a.register(sub)
	a.mu.Unlock()
	if err != nil {
		cancel()
		return err
	}
	go func() {
		defer cancel()
		e.detached(ctx, f, args, func(ok bool, payload []byte) { a.complete(sub, ok, payload) })
	}()
	return nil
}

// detached runs a Go function that no thread waits for, when there is room for one more, and tells how it ended; unless ctx ends before it begins.
func (e *Engine) detached(ctx context.Context, f *funcs.Func, args []byte, over func(ok bool, payload []byte)) {
	select {
	case e.async.slots <- struct{}{}:
		defer func() { <-e.async.slots }()
	case <-ctx.Done():
		return
	}
	err := errGoexit
	var out []byte
	defer func() {
		if err == nil && len(out) > e.options.MaxFrame {
			err = &channel.LimitError{Size: len(out), Limit: e.options.MaxFrame}
		}
		if err != nil {
			out, _ = etf.Marshal(payload(err))
		}
		over(err == nil, out)
	}()
	out, err = f.Call(ctx, args, nil)
}
