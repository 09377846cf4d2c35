package bench

import (
	"context"

	"github.com/erlpy/erlpy/internal/engine"
	"github.com/erlpy/erlpy/internal/funcs"
	"github.com/erlpy/erlpy/internal/pyfind"
)

// RunGoWorker runs a Python program whose functions are Go's, on the calling thread, which must be the OS main thread.
func RunGoWorker(install *pyfind.Install, script string) (status int, err error) {
	var r funcs.Registry
	if err := r.Register("double_it", func(x int) int { return 2 * x }); err != nil {
		return 1, err
	}
	return engine.RunScript(engine.Options{Install: install, Funcs: &r, Main: true}, script, nil)
}

// runGo compares calls of a Go function with a C method that only releases the GIL and takes it again.
func runGo(ctx context.Context, l *lab, s *sheet) error {
	w, err := l.goWorker(ctx)
	if err != nil {
		return err
	}
	defer w.close()
	took := map[string]Samples{}
	err = l.rounds(ctx, func() error {
		a, err := w.ask(request{"do": "go", "seconds": 3 * l.plan.span.Seconds()})
		if err != nil {
			return err
		}
		for way, seconds := range a.Took {
			took[way] = append(took[way], 1e9*seconds)
		}
		return nil
	})
	if err != nil {
		return err
	}
	s.row("name", "erlang.call('double_it', i)", Nanoseconds, took["name"], nil)
	s.row("bound", "f = erlang.double_it; f(i)", Nanoseconds, took["bound"], nil)
	const (
		nothing      = "a C method that only releases the GIL"
		nameRatio    = "erlang.call, to that method"
		boundRatio   = "f(i), to that method"
		noSuchMethod = "this build has no _erlang.nothing"
	)
	if took["nothing"] == nil {
		s.missing("nothing", nothing, Nanoseconds, nil, noSuchMethod)
		s.missing("name_to_nothing", nameRatio, Times, atMost(4), noSuchMethod)
		s.missing("bound_to_nothing", boundRatio, Times, atMost(3), noSuchMethod)
		return nil
	}
	s.row("nothing", nothing, Nanoseconds, took["nothing"], nil)
	s.row("name_to_nothing", nameRatio, Times, took["name"].per(took["nothing"]), atMost(4))
	s.row("bound_to_nothing", boundRatio, Times, took["bound"].per(took["nothing"]), atMost(3))
	return nil
}
