package bench

import (
	"context"
	"fmt"
	"time"
)

// runTerms sends larger values there and back.
func runTerms(ctx context.Context, l *lab, s *sheet) error {
	if err := echoes(ctx, l, s); err != nil {
		return err
	}
	return peak(ctx, l, s)
}

func echoes(ctx context.Context, l *lab, s *sheet) error {
	w, err := l.worker(ctx, polling)
	if err != nil {
		return err
	}
	defer w.close()
	kinds := []struct {
		name, what string
		aim        time.Duration
	}{
		{"list", "a list of 10,000 integers", 400 * time.Microsecond},
		{"str", "a str of 1 MB", 1200 * time.Microsecond},
		{"dicts", "1,000 small dicts", time.Millisecond},
	}
	// An echo, and beside it what the node needs for one, and Python's pickle for as much.
	ways := []string{"echo", "node", "pickled"}
	p50 := map[string]Samples{}
	rates := map[int]Samples{}
	var measurements []func() error
	for _, kind := range kinds {
		for _, way := range ways {
			measurements = append(measurements, func() error {
				a, err := w.ask(request{"do": way, "kind": kind.name, "seconds": l.plan.short.Seconds()})
				if err == nil {
					name := kind.name + "_" + way
					p50[name] = append(p50[name], a.Latency.Percentile(50))
				}
				return err
			})
		}
	}
	for _, size := range l.plan.payloads {
		measurements = append(measurements, func() error {
			a, err := w.ask(request{"do": "payload", "size": size, "seconds": l.plan.short.Seconds()})
			if err == nil {
				rates[size] = append(rates[size], a.rate())
			}
			return err
		})
	}
	if err := l.rounds(ctx, measurements...); err != nil {
		return err
	}
	for _, kind := range kinds {
		s.row(kind.name, kind.what+", p50", Nanoseconds, p50[kind.name+"_echo"], atMost(float64(kind.aim)))
		s.row(kind.name+"_node", "  of that, the node: to read it and to write it", Nanoseconds, p50[kind.name+"_node"], nil)
		s.row(kind.name+"_pickle", "  Python's pickle, to compare", Nanoseconds, p50[kind.name+"_pickled"], nil)
	}
	for _, size := range l.plan.payloads {
		s.row(fmt.Sprint("bytes_", size), "bytes of "+binarySize(size), PerSecond, rates[size], nil)
	}
	s.plot("payload", "calls", "bytes", PerSecond, l.plan.payloads, rates)
	return nil
}

// peak measures what the Python process needs to send a large binary, the binary included. Each time in a new process, as what is to
// be seen is its highest mark.
func peak(ctx context.Context, l *lab, s *sheet) error {
	const size = 64_000_000
	var grown Samples
	err := l.rounds(ctx, func() error {
		w, err := l.worker(ctx, polling)
		if err != nil {
			return err
		}
		defer w.close()
		if _, err := w.ask(request{"do": "large", "size": 1}); err != nil {
			return err
		}
		before, _, err := memory(w.pid())
		if err != nil {
			return err
		}
		if _, err := w.ask(request{"do": "large", "size": size}); err != nil {
			return err
		}
		_, most, err := memory(w.pid())
		grown = append(grown, float64(most-before)/size)
		return err
	})
	if err != nil {
		return err
	}
	s.row("peak", "64 MB of bytes as argument: memory of Python, to their size", Times, grown, below(3))
	return nil
}
