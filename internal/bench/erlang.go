package bench

import (
	"context"
	"fmt"
	"time"

	"github.com/erlpy/erlpy/etf"
)

// runPyCall calls Python from one Erlang process.
func runPyCall(ctx context.Context, l *lab, s *sheet) error {
	n, err := l.node(ctx, oneHost)
	if err != nil {
		return err
	}
	if _, err := n.client.call("py_rate", 1); err != nil { // waits for the host
		return err
	}
	ms := l.plan.span.Milliseconds()
	var c cost
	err = l.rounds(ctx, func() error {
		rate, err := n.client.call("py_rate", ms)
		if err != nil {
			return err
		}
		times, err := n.client.call("py_latency", ms)
		if err != nil {
			return err
		}
		calls, took, err := pair(rate)
		if err != nil {
			return err
		}
		latency, err := pairs(times)
		c.add(float64(calls)/time.Duration(took).Seconds(), latency)
		return err
	})
	if err != nil {
		return err
	}
	s.cost("", "py:call(math, sqrt, [16])", &c, nil)
	return nil
}

// runParallel has two processes of a node run Python loops at once, with one Python process and with two.
func runParallel(ctx context.Context, l *lab, s *sheet) error {
	one, err := l.node(ctx, oneHost)
	if err != nil {
		return err
	}
	two, err := l.node(ctx, twoHosts)
	if err != nil {
		return err
	}
	steps, err := calibrate(l, one, two)
	if err != nil {
		return err
	}
	measure := func(n *node, to *Samples) func() error {
		return func() error {
			var sum time.Duration
			for range l.plan.repeats {
				took, err := loops(n, 2, steps)
				if err != nil {
					return err
				}
				sum += took
			}
			*to = append(*to, float64(sum)/float64(l.plan.repeats))
			return nil
		}
	}
	var alone, together Samples
	if err := l.rounds(ctx, measure(one, &alone), measure(two, &together)); err != nil {
		return err
	}
	s.row("one_host", "two Python loops at once, {hosts, 1}", Nanoseconds, alone, nil)
	s.row("two_hosts", "two Python loops at once, {hosts, 2}", Nanoseconds, together, nil)
	s.row("speed_up", "speed-up of {hosts, 2}", Times, alone.per(together), atLeast(1.8))
	return nil
}

// calibrate returns how many steps a loop of the plan's length has, once the Python processes of all nodes are up.
func calibrate(l *lab, nodes ...*node) (steps int, err error) {
	const some = 100_000
	for _, n := range nodes {
		if _, err := loops(n, 2, some); err != nil {
			return 0, err
		}
	}
	took, err := loops(nodes[0], 1, some)
	return int(some * l.plan.loop / max(took, 1)), err
}

// loops has so many Python loops done at once, and returns how long that took.
func loops(n *node, processes, steps int) (time.Duration, error) {
	took, err := n.client.call("py_parallel", processes, steps)
	if err != nil {
		return 0, err
	}
	ns, ok := took.(int)
	if !ok {
		return 0, fmt.Errorf("py_parallel took %v", took)
	}
	return time.Duration(ns), nil
}

// pair reads a tuple of two integers.
func pair(v any) (a, b int, err error) {
	if t, ok := v.(etf.Tuple); ok && len(t) == 2 {
		a, okA := t[0].(int)
		b, okB := t[1].(int)
		if okA && okB {
			return a, b, nil
		}
	}
	return 0, 0, fmt.Errorf("not two integers: %v", v)
}

// pairs reads a list of such tuples as a histogram.
func pairs(v any) (Histogram, error) {
	counts := map[int64]int64{}
	list, _ := v.([]any)
	for _, x := range list {
		value, n, err := pair(x)
		if err != nil {
			return nil, err
		}
		counts[int64(value)] = int64(n)
	}
	return histogramOf(counts), nil
}
