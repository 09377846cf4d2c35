package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"time"

	"github.com/erlpy/erlpy/internal/pyfind"
)

// Options say what to run. The zero value of all but Install is usable.
type Options struct {
	Install  *pyfind.Install // the Python that calls
	Version  string          // of erlpy, for the report
	Only     []string        // names of workloads; none: all
	Quick    bool            // for orientation: everything once, and briefly
	Rounds   int             // 0: as many as the plan has
	Progress io.Writer       // gets a line for each workload; nil: nobody does
	Stderr   io.Writer       // gets what the programs have to complain about
}

// Run runs the benchmark. A workload that fails does not keep the others from running: the report has what was found, and the error
// says what was not. Whatever happens, nothing that it started is left.
func Run(ctx context.Context, o Options) (*Report, error) {
	before, errBefore := busyNow()
	r, err := run(ctx, o)
	after, errAfter := busyNow() // when everything has ended, and so is counted as ours
	if r != nil && errBefore == nil && errAfter == nil {
		r.Machine.Others = others(before, after, r.Machine.CPUs)
	}
	return r, err
}

func run(ctx context.Context, o Options) (_ *Report, err error) {
	p := fullPlan
	if o.Quick {
		p = quickPlan
	}
	if o.Rounds > 0 {
		p.rounds = o.Rounds
	}
	if o.Progress == nil {
		o.Progress = io.Discard
	}
	l, err := newLab(o.Install, p, o.Stderr)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, l.close()) }()
	r := &Report{Format: Format, When: time.Now().UTC().Truncate(time.Second), Machine: thisMachine(), Quick: o.Quick, Rounds: p.rounds}
	if r.Versions, err = l.versions(ctx, o.Version); err != nil {
		return nil, err
	}
	var failed []error
	for _, w := range workloads {
		if len(o.Only) > 0 && !slices.Contains(o.Only, w.name) {
			continue
		}
		fmt.Fprintf(o.Progress, "%-9s %s ...", w.name, w.title)
		start := time.Now()
		s := &sheet{workload: w.name}
		err := w.run(ctx, l, s)
		if ctx.Err() != nil {
			fmt.Fprintln(o.Progress)
			return nil, ctx.Err()
		}
		if err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", w.name, err))
			fmt.Fprintln(o.Progress, " failed")
			continue
		}
		r.Rows = append(r.Rows, s.rows...)
		r.Series = append(r.Series, s.series...)
		fmt.Fprintf(o.Progress, " %.0f s\n", time.Since(start).Seconds())
	}
	return r, errors.Join(failed...)
}

func (l *lab) versions(ctx context.Context, erlpy string) (Versions, error) {
	n, err := l.node(ctx, polling)
	if err != nil {
		return Versions{}, err
	}
	otp, err := n.client.call("release")
	v := l.install.Version
	return Versions{
		Erlpy: erlpy, Go: runtime.Version(), OTP: fmt.Sprint(otp),
		Python: fmt.Sprintf("%d.%d.%d", v[0], v[1], v[2]),
	}, err
}
