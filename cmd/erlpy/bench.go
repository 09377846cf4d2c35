package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/erlpy/erlpy/internal/bench"
)

const statusInterrupted = 130

func benchCommand() *cobra.Command {
	var o bench.Options
	var python, json, svg, compare string
	cmd := &cobra.Command{
		Use:   "bench [flags]",
		Short: "Measure this machine: a table, and files to compare with",
		Long: `Measures what calls cost here, in a few minutes: against the least that they can cost, over threads, over payloads, and beside
the aims of the project. Aims that are not met are no failure.`,
		Example: "  erlpy bench --json new.json --compare old.json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkBench(o); err != nil {
				return err
			}
			var old *bench.Report
			if compare != "" {
				var err error
				if old, err = bench.Read(compare); err != nil {
					return &failure{statusUsage, err}
				}
			}
			if err := writable(json, svg); err != nil {
				return err
			}
			report, err := runBench(cmd, o, python)
			if report == nil {
				return err
			}
			return errors.Join(err, writeBench(cmd.OutOrStdout(), report, old, json, svg))
		},
	}
	cmd.Flags().StringVar(&python, "python", "", "Python executable or venv (default $VIRTUAL_ENV, else python3 on the PATH)")
	cmd.Flags().BoolVar(&o.Quick, "quick", false, "in seconds, for orientation: everything once, and briefly")
	cmd.Flags().StringSliceVar(&o.Only, "only", nil, "run these workloads: "+strings.Join(bench.Names(), ","))
	cmd.Flags().IntVar(&o.Rounds, "rounds", 0, "how often to measure each (default 5)")
	cmd.Flags().StringVar(&json, "json", "", "write all figures to this file")
	cmd.Flags().StringVar(&svg, "svg", "", "write plots into this directory")
	cmd.Flags().StringVar(&compare, "compare", "", "compare with the figures of an earlier --json")
	cmd.AddCommand(benchWorkerCommand())
	return cmd
}

func checkBench(o bench.Options) error {
	for _, name := range o.Only {
		if !slices.Contains(bench.Names(), name) {
			return fmt.Errorf("no workload %q: there are %s", name, strings.Join(bench.Names(), ", "))
		}
	}
	if o.Rounds < 0 {
		return fmt.Errorf("--rounds cannot be negative: %d", o.Rounds)
	}
	return nil
}

// writable refuses what cannot be written, before anything is measured for it.
func writable(json, svg string) error {
	if json != "" {
		_, missing := os.Stat(json)
		file, err := os.OpenFile(json, os.O_WRONLY|os.O_CREATE, 0o644)
		if err != nil {
			return fmt.Errorf("--json: %w", err)
		}
		file.Close()
		if missing != nil {
			os.Remove(json) // a benchmark that is broken off leaves none
		}
	}
	if svg != "" {
		if err := os.MkdirAll(svg, 0o755); err != nil {
			return fmt.Errorf("--svg: %w", err)
		}
	}
	return nil
}

func runBench(cmd *cobra.Command, o bench.Options, python string) (*bench.Report, error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var err error
	if o.Install, err = findPython(ctx, python); err != nil {
		return nil, err
	}
	o.Version, o.Stderr = version, cmd.ErrOrStderr()
	if isTerminal(o.Stderr) {
		o.Progress = o.Stderr
	}
	report, err := bench.Run(ctx, o)
	switch {
	case ctx.Err() != nil:
		return nil, &failure{status: statusInterrupted}
	case err != nil:
		err = &failure{statusFailed, err}
	}
	return report, err
}

func writeBench(w io.Writer, report, old *bench.Report, json, svg string) error {
	errs := []error{report.WriteTable(w)}
	if old != nil {
		fmt.Fprintln(w)
		errs = append(errs, report.WriteComparison(w, old))
	}
	if json != "" {
		errs = append(errs, report.WriteJSON(json))
	}
	if svg != "" {
		errs = append(errs, report.WritePlots(svg))
	}
	if err := errors.Join(errs...); err != nil {
		return &failure{statusFailed, err}
	}
	return nil
}

func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	if !ok {
		return false
	}
	_, err := unix.IoctlGetWinsize(int(file.Fd()), unix.TIOCGWINSZ)
	return err == nil
}

// benchWorkerCommand is a Python program of the benchmark whose functions are Go's.
func benchWorkerCommand() *cobra.Command {
	var python string
	cmd := &cobra.Command{
		Use:    "worker SCRIPT",
		Hidden: true,
		Args:   cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			install, err := findPython(cmd.Context(), python)
			if err != nil {
				return err
			}
			return outcome(bench.RunGoWorker(install, args[0]))
		},
	}
	cmd.Flags().StringVar(&python, "python", "", "Python executable or venv")
	return cmd
}
