package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/erlpy/erlpy/internal/pyfind"
)

// check is one row of the table. fix is the command that helps; a row with one counts as missing.
type check struct {
	name, found, fix string
}

func doctorCommand() *cobra.Command {
	var python string
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Show what is installed, and the commands that install what is missing",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, cancel := context.WithTimeout(context.Background(), probeTimeout)
			defer cancel()
			checks := checkPython(ctx, python)
			checks = append(checks, checkErlang(ctx)...)
			checks = append(checks, checkSocket())
			if inCheckout() {
				checks = append(checks, checkBuild()...)
			}
			if printChecks(cmd.OutOrStdout(), checks) > 0 {
				return &failure{status: statusFailed}
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&python, "python", "", "Python executable or venv (default $VIRTUAL_ENV, else python3 on the PATH)")
	return cmd
}

// printChecks writes the table and the commands, and returns how many rows are missing something.
func printChecks(w io.Writer, checks []check) int {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	var missing []check
	for _, c := range checks {
		mark := "ok"
		if c.fix != "" {
			mark = "MISSING"
			missing = append(missing, c)
		}
		fmt.Fprintf(table, "%s\t%s\t%s\n", c.name, mark, c.found)
	}
	table.Flush()
	if len(missing) > 0 {
		fmt.Fprintln(w, "\nTo install what is missing:")
	}
	for _, c := range missing {
		fmt.Fprintf(w, "  %s: %s\n", c.name, c.fix)
	}
	return len(missing)
}

func checkPython(ctx context.Context, python string) []check {
	install, err := pyfind.Find(ctx, python)
	var problem *pyfind.Error
	if err != nil && !errors.As(err, &problem) {
		problem = &pyfind.Error{Python: python, Problem: err.Error(), Fix: "name another Python with --python"}
	}
	if install == nil {
		return []check{{"Python", problem.Python + " " + problem.Problem, problem.Fix}}
	}
	found := fmt.Sprintf("%d.%d.%d  %s", install.Version[0], install.Version[1], install.Version[2], install.Executable)
	if install.Prefix != install.BasePrefix {
		found += "  (venv)"
	}
	switch {
	case err == nil:
		return []check{{"Python", found, ""}, {"libpython", install.Library, ""}}
	case errors.Is(err, pyfind.ErrNoLibrary):
		return []check{{"Python", found, ""}, {"libpython", "none: " + problem.Problem, problem.Fix}}
	}
	return []check{{"Python", found + ": " + problem.Problem, problem.Fix}}
}

// checkSocket looks at the place where a node puts its socket.
func checkSocket() check {
	dir := os.Getenv("XDG_RUNTIME_DIR")
	if dir == "" {
		dir = os.TempDir()
	}
	probe, err := os.MkdirTemp(dir, "erlpy-doctor-")
	if err != nil {
		return check{"socket", err.Error(), "export XDG_RUNTIME_DIR=DIR, a directory of yours that can be written to"}
	}
	defer os.Remove(probe)
	return check{"socket", "in " + dir, ""}
}
