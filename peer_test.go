package erlpy_test

import (
	"context"
	"errors"
	"math/big"
	"math/rand/v2"
	"strings"
	"sync"
	"time"

	"github.com/erlpy/erlpy"
)

// peer is what the Python tests call when Go functions answer them: the same names as erlang/test/py_peer.erl.
var peer = map[string]any{
	"double_it":   func(x int) int { return 2 * x },
	"add_one":     func(x int) int { return x + 1 },
	"my_function": func(a, b any) (any, any) { return a, b },
	"maybe_fail":  func(x int) error { return errors.New("maybe_fail: 42") },
	"echo":        func(x any) any { return x },
	"args":        func(args ...any) []any { return args },
	"sleep":       func(ms int) int { time.Sleep(time.Duration(ms) * time.Millisecond); return ms },
	"sleep_random": func(_ context.Context, ms int, x any) any {
		time.Sleep(rand.N(time.Duration(ms)*time.Millisecond + 1))
		return x
	},
	"fail_error":   func() error { return errors.New("badarith") },
	"fail_unicode": func() error { return errors.New("žluťoučký ✓") },
	"fail_go":      func() (int, error) { return 0, errors.New("on purpose") },
	"panic_go":     func() { panic("on purpose") },
	"big":          func() *big.Int { return new(big.Int).Exp(big.NewInt(10), big.NewInt(9999), nil) },
	"nested": func(n int) any {
		var v any = []any{}
		for range n - 1 {
			v = []any{v}
		}
		return v
	},
	"size":   func(b []byte) int { return len(b) },
	"blob":   func(n int) []byte { return []byte(strings.Repeat("\xff", n)) },
	"whoami": func() string { return "goroutine" },
	"hang": func(ctx context.Context, key string) error {
		if key == "" {
			return nil
		}
		fates.Store(key, "running")
		<-ctx.Done()
		fates.Store(key, "ended")
		return ctx.Err()
	},
	// One of the calls 1 to last under key: each waits for the next one, and the last for none.
	"chain": func(link []any) any {
		key, n, last := link[0].(string), link[1].(int), link[2].(int)
		mine := chained(key, n)
		if n < last {
			<-mine
		}
		close(chained(key, n-1))
		return n
	},
	"fate":  func(key string) any { fate, _ := fates.Load(key); return fate },
	"note":  func(key string, value any) { notes.add(key, value) },
	"noted": func(key string) []any { return notes.of(key) },
}

// chains are what the calls of chain wait for.
var chains sync.Map

func chained(key string, n int) chan struct{} {
	link, _ := chains.LoadOrStore([2]any{key, n}, make(chan struct{}))
	return link.(chan struct{})
}

// fates says what became of each call of hang.
var fates sync.Map

// notes are what note has been called with.
var notes notebook

type notebook struct {
	mu    sync.Mutex
	pages map[string][]any
}

func (n *notebook) add(key string, value any) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.pages == nil {
		n.pages = map[string][]any{}
	}
	n.pages[key] = append(n.pages[key], value)
}

func (n *notebook) of(key string) []any {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]any{}, n.pages[key]...)
}

// calling are the functions of the peer that call Python.
func calling(rt *erlpy.Runtime) map[string]any {
	return map[string]any{
		"call_python": func(ctx context.Context, module, function string, args []any) (any, error) {
			return rt.Call(ctx, module, function, args...)
		},
		"eval_python": func(ctx context.Context, code string) (any, error) { return rt.Eval(ctx, code, nil) },
	}
}

func registerPeer(rt *erlpy.Runtime) error {
	for _, functions := range []map[string]any{peer, calling(rt)} {
		for name, fn := range functions {
			if err := rt.Register(name, fn); err != nil {
				return err
			}
		}
	}
	return nil
}
