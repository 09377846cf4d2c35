package bench

import "context"

// runPipeline has many calls in flight at once.
func runPipeline(ctx context.Context, l *lab, s *sheet) error {
	w, err := l.worker(ctx, polling)
	if err != nil {
		return err
	}
	defer w.close()
	rates := map[string]Samples{}
	many := func(what string, calls int) func() error {
		return func() error {
			a, err := w.ask(request{"do": what, "calls": calls})
			if err == nil {
				rates[what] = append(rates[what], a.rate())
			}
			return err
		}
	}
	err = l.rounds(ctx, many("mapped", l.plan.mapped), many("gathered", l.plan.flight),
		many("loop", l.plan.flight), many("submitted", l.plan.flight))
	if err != nil {
		return err
	}
	s.row("map", "erlang.map('double_it', range(n))", PerSecond, rates["mapped"], atLeast(500_000))
	s.row("async_call", "async_call, gathered", PerSecond, rates["gathered"], atLeast(50_000))
	s.row("loop", "asyncio alone: futures, gathered", PerSecond, rates["loop"], nil)
	s.row("submit", "submit", PerSecond, rates["submitted"], nil)
	return nil
}
