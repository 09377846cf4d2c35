package bench

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// runThreads has the same calls made by ever more threads.
func runThreads(ctx context.Context, l *lab, s *sheet) error {
	w, err := l.worker(ctx, polling)
	if err != nil {
		return err
	}
	defer w.close()
	costs := map[int]*cost{}
	fair := map[int]Samples{}
	var measurements []func() error
	for _, n := range l.plan.threads {
		costs[n] = &cost{}
		measurements = append(measurements, func() error {
			counted, err := costs[n].measure(w, n, l.plan.fair, l.plan.span)
			if err == nil {
				fair[n] = append(fair[n], fairness(counted.Calls))
			}
			return err
		})
	}
	if err := l.rounds(ctx, measurements...); err != nil {
		return err
	}
	for _, n := range []int{16, 64} {
		var p99 *Aim
		if n == 16 {
			p99 = below(500 * float64(time.Microsecond))
		}
		name, what := fmt.Sprintf("%d_", n), fmt.Sprintf("%d threads", n)
		s.cost(name, what, costs[n], p99)
		s.row(name+"rate_to_one", what+": calls, to those of one", Times, costs[n].rate.per(costs[1].rate), atLeast(0.6))
		s.row(name+"fairness", what+": the least served, to the average", Times, fair[n], atLeast(0.5))
	}

	p50, p99, rate := map[int]Samples{}, map[int]Samples{}, map[int]Samples{}
	for n, c := range costs {
		p50[n], p99[n], rate[n] = c.p50, c.p99, c.rate
	}
	s.plot("p50", "p50", "threads", Nanoseconds, l.plan.threads, p50)
	s.plot("p99", "p99", "threads", Nanoseconds, l.plan.threads, p99)
	s.plot("rate", "calls", "threads", PerSecond, l.plan.threads, rate)
	s.plot("fairness", "the least served, to the average", "threads", Times, l.plan.threads, fair)
	return nil
}

// fairness is how many calls the least served thread had, as a part of the average.
func fairness(calls []int64) float64 {
	var sum int64
	for _, n := range calls {
		sum += n
	}
	return float64(slices.Min(calls)) * float64(len(calls)) / float64(sum)
}
