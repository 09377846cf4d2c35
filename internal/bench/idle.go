package bench

import (
	"context"
	"time"
)

// system is a program and its node, whose use of CPUs is measured together.
type system struct {
	w *worker
	n *node
}

func (l *lab) system(ctx context.Context, v variant) (system, error) {
	w, err := l.worker(ctx, v)
	if err != nil {
		return system{}, err
	}
	return system{w, l.nodes[v]}, nil
}

// cpu returns what both have used so far.
func (y system) cpu() (time.Duration, error) {
	host, err := cpuTime(y.w.pid())
	if err != nil {
		return 0, err
	}
	node, err := cpuTime(y.n.PID())
	return host + node, err
}

// load returns what both use while f runs, in percent of one core.
func (y system) load(f func() error) (float64, error) {
	start := time.Now()
	before, err := y.cpu()
	if err != nil {
		return 0, err
	}
	if err := f(); err != nil {
		return 0, err
	}
	after, err := y.cpu()
	return 100 * float64(after-before) / float64(time.Since(start)), err
}

// runIdle measures what threads cost that have called once and now do something else.
func runIdle(ctx context.Context, l *lab, s *sheet) error {
	y, err := l.system(ctx, polling)
	if err != nil {
		return err
	}
	defer y.w.close()
	if _, err := y.w.ask(request{"do": "hold", "threads": 64, "bound": true}); err != nil {
		return err
	}
	var used Samples
	err = l.rounds(ctx, func() error {
		load, err := y.load(func() error { return sleep(ctx, l.plan.quiet) })
		used = append(used, load)
		return err
	})
	if err != nil {
		return err
	}
	s.row("cpu", "64 threads: CPU, Python and node", Percent, used, below(1))
	return nil
}

// runPaced compares what the same few calls cost with polls and without. The nodes' schedulers do not spin: to do so before each sleep costs next to
// nothing, or some 120 us a call, depending on whether a scheduler waits for the sockets or another thread does, which wakes one. The node decides that by
// itself, with polls and without, and the difference is more than what is compared here.
func runPaced(ctx context.Context, l *lab, s *sheet) error {
	poll, err := l.system(ctx, frugal)
	if err != nil {
		return err
	}
	defer poll.w.close()
	block, err := l.system(ctx, sleeping)
	if err != nil {
		return err
	}
	defer block.w.close()

	type load struct{ cpu, p50 Samples }
	paced := func(y system, threads int, to *load) func() error {
		return func() error {
			var a *answer
			cpu, err := y.load(func() (err error) {
				a, err = y.w.ask(request{"do": "paced", "threads": threads, "per_second": 1000, "seconds": l.plan.quiet.Seconds()})
				return err
			})
			if err == nil {
				to.cpu = append(to.cpu, cpu)
				to.p50 = append(to.p50, a.Latency.Percentile(50))
			}
			return err
		}
	}
	var polled, blocked [2]load
	err = l.rounds(ctx,
		paced(poll, 1, &polled[0]), paced(block, 1, &blocked[0]),
		paced(poll, 16, &polled[1]), paced(block, 16, &blocked[1]))
	if err != nil {
		return err
	}
	for i, by := range []string{"one thread", "16 threads"} {
		name := []string{"1_", "16_"}[i]
		s.row(name+"p50", by+", p50", Nanoseconds, polled[i].p50, nil)
		s.row(name+"block_p50", by+", p50 with poll = 0", Nanoseconds, blocked[i].p50, nil)
		s.row(name+"cpu", by+": CPU, Python and node", Percent, polled[i].cpu, nil)
		s.row(name+"block_cpu", by+": CPU with poll = 0", Percent, blocked[i].cpu, nil)
		s.row(name+"cpu_to_block", by+": CPU, to that with poll = 0", Times, polled[i].cpu.per(blocked[i].cpu), atMost(1.25))
	}
	return nil
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
