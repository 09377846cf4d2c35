package bench

import (
	"context"
	"fmt"
)

// runMemory compares threads that have called with threads that have not, each in a process of its own.
func runMemory(ctx context.Context, l *lab, s *sheet) error {
	n, err := l.node(ctx, polling)
	if err != nil {
		return err
	}
	// held returns the growth of the Python process and of its node by many threads, in KiB.
	held := func(bound bool) (host, node float64, err error) {
		w, err := l.worker(ctx, polling)
		if err != nil {
			return 0, 0, err
		}
		defer w.close()
		// One thread first, so that what is there once is not counted.
		if _, err := w.ask(request{"do": "hold", "threads": 1, "bound": bound}); err != nil {
			return 0, 0, err
		}
		hostBefore, nodeBefore, err := memories(w, n)
		if err != nil {
			return 0, 0, err
		}
		if _, err := w.ask(request{"do": "hold", "threads": l.plan.crowd, "bound": bound}); err != nil {
			return 0, 0, err
		}
		hostAfter, nodeAfter, err := memories(w, n)
		return float64(hostAfter-hostBefore) / 1024, float64(nodeAfter-nodeBefore) / 1024, err
	}
	var host, node Samples
	err = l.rounds(ctx, func() error {
		idleHost, _, err := held(false)
		if err != nil {
			return err
		}
		boundHost, boundNode, err := held(true)
		threads := float64(l.plan.crowd)
		host = append(host, (boundHost-idleHost)/threads)
		node = append(node, boundNode/threads)
		return err
	})
	if err != nil {
		return err
	}
	s.row("host", "each thread, in the Python process, beyond Python's own", KiB, host, nil)
	s.row("node", "each thread, in the node", KiB, node, nil)
	s.row("both", "each thread, together", KiB, host.plus(node), below(64))
	return nil
}

func memories(w *worker, n *node) (host, node int, err error) {
	if host, _, err = memory(w.pid()); err != nil {
		return 0, 0, err
	}
	total, err := n.client.call("memory")
	if err != nil {
		return 0, 0, err
	}
	node, ok := total.(int)
	if !ok {
		return 0, 0, fmt.Errorf("memory of the node: %v", total)
	}
	return host, node, nil
}
