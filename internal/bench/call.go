package bench

import (
	"context"
	"time"
)

// cost is what calls were measured by, round by round.
type cost struct{ p50, p99, rate Samples }

func (c *cost) add(rate float64, latency Histogram) {
	c.rate = append(c.rate, rate)
	c.p50 = append(c.p50, latency.Percentile(50))
	c.p99 = append(c.p99, latency.Percentile(99))
}

// measure asks a program for the rate, and then, as that must not be slowed by clocks, for the latency.
func (c *cost) measure(w *worker, threads int, rate, latency time.Duration) (*answer, error) {
	r, err := w.ask(request{"do": "rate", "threads": threads, "seconds": rate.Seconds()})
	if err != nil {
		return nil, err
	}
	t, err := w.ask(request{"do": "latency", "threads": threads, "seconds": latency.Seconds()})
	if err != nil {
		return nil, err
	}
	c.add(r.rate(), t.Latency)
	return r, nil
}

// cost adds the three rows of a cost; p99 may have an aim.
func (s *sheet) cost(name, what string, c *cost, p99 *Aim) {
	s.row(name+"p50", what+", p50", Nanoseconds, c.p50, nil)
	s.row(name+"p99", what+", p99", Nanoseconds, c.p99, p99)
	s.row(name+"rate", what+", calls", PerSecond, c.rate, nil)
}

// runCall compares one thread's calls with the floor and with calls that sleep at once.
func runCall(ctx context.Context, l *lab, s *sheet) error {
	f, err := l.floor(ctx)
	if err != nil {
		return err
	}
	defer f.close()
	poll, err := l.worker(ctx, polling)
	if err != nil {
		return err
	}
	defer poll.close()
	block, err := l.worker(ctx, blocking)
	if err != nil {
		return err
	}
	defer block.close()

	var least, polled, blocked cost
	onFloor := func() error {
		rate, err := f.rate(l.plan.span)
		if err != nil {
			return err
		}
		latency, err := f.latency(l.plan.span)
		least.add(rate, latency)
		return err
	}
	by := func(w *worker, c *cost) func() error {
		return func() error {
			_, err := c.measure(w, 1, l.plan.span, l.plan.span)
			return err
		}
	}
	if err := l.rounds(ctx, onFloor, by(poll, &polled), by(block, &blocked)); err != nil {
		return err
	}
	s.cost("floor_", "floor: no Python, no look-up", &least, nil)
	s.cost("", "a call", &polled, nil)
	s.cost("block_", "with poll = 0", &blocked, nil)
	s.row("p50_to_floor", "p50, to the floor's", Times, polled.p50.per(least.p50), atMost(1.3))
	s.row("floor_to_block", "the floor's calls, to those with poll = 0", Times, least.rate.per(blocked.rate), nil)
	s.row("rate_to_block", "calls, to those with poll = 0", Times, polled.rate.per(blocked.rate), atLeast(4))
	return nil
}
