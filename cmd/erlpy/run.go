package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/erlpy/erlpy/internal/beam"
	"github.com/erlpy/erlpy/internal/engine"
	"github.com/erlpy/erlpy/internal/pyfind"
)

func runCommand() *cobra.Command {
	var python string
	var files []string
	var o engine.Options
	cmd := &cobra.Command{
		Use:   "run [flags] SCRIPT [ARGS...]",
		Short: "Run a Python script that can call functions in Erlang",
		Long: `Runs SCRIPT as its main program, as python3 would: sys.argv, exit status, Ctrl-C. In it, and in all its threads, the
module erlang calls the functions of a node: one started for the script with --erl, or one that runs already with --beam.`,
		Example: "  erlpy run --erl functions.erl script.py",
		Args:    scriptArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			return runScript(cmd.Context(), python, o, files, args[0], args[1:])
		},
	}
	cmd.Flags().SetInterspersed(false) // what follows the script is the script's
	cmd.Flags().StringVar(&python, "python", "", "Python executable or venv (default $VIRTUAL_ENV, else python3 on the PATH)")
	cmd.Flags().StringArrayVar(&files, "erl", nil, "start a node, compile this Erlang file and register its exported functions of one argument; repeatable")
	cmd.Flags().StringVar(&o.BEAM, "beam", "", "attach to the node that listens on this socket")
	submittedFlag(cmd, &o)
	cmd.Flags().Var(polls{&o.Poll}, "poll", pollUsage)
	cmd.MarkFlagsMutuallyExclusive("erl", "beam")
	return cmd
}

// submittedFlag gives a command the flag of the bound on submitted calls.
func submittedFlag(cmd *cobra.Command, o *engine.Options) {
	cmd.Flags().IntVar(&o.MaxSubmittedBytes, "max-submitted-bytes", 0,
		"most bytes of submit, async_call and map under way; more of them wait (default 64 MiB)")
}

func scriptArgs(_ *cobra.Command, args []string) error {
	if len(args) == 0 {
		return errors.New("run needs the path of a script")
	}
	return nil
}

func runScript(ctx context.Context, python string, o engine.Options, files []string, script string, args []string) error {
	if err := readable(script); err != nil {
		return err
	}
	install, err := findPython(ctx, python)
	if err != nil {
		return err
	}
	if len(files) > 0 {
		node, err := beam.Start(context.Background(), beam.Options{Files: files, Stdout: os.Stdout, Stderr: os.Stderr})
		if err != nil {
			return &failure{statusFailed, err}
		}
		defer node.Stop()
		o.BEAM = node.Socket()
	}
	if o.BEAM != "" {
		shareCores()
	}
	o.Install, o.Main = install, true
	status, err := engine.RunScript(o, script, args)
	return outcome(status, err)
}

// readable refuses a script that is not there before anything is started for it.
func readable(script string) error {
	info, err := os.Stat(script)
	if err == nil && !info.IsDir() {
		var file *os.File
		if file, err = os.Open(script); err == nil {
			return file.Close()
		}
	}
	problem := "is a directory"
	var pathError *fs.PathError
	switch {
	case errors.Is(err, fs.ErrNotExist):
		problem = "no such file"
	case errors.As(err, &pathError):
		problem = pathError.Err.Error()
	}
	return &failure{statusUsage, fmt.Errorf("can't open '%s': %s", script, problem)}
}

func findPython(ctx context.Context, python string) (*pyfind.Install, error) {
	if ctx == nil {
		ctx = context.Background()
	}
	install, err := pyfind.Find(ctx, python)
	switch {
	case errors.Is(err, pyfind.ErrNoPython):
		return nil, &failure{statusNoPython, err}
	case err != nil:
		return nil, &failure{statusFailed, err}
	}
	return install, nil
}

// outcome turns what the engine returns into a command's error.
func outcome(status int, err error) error {
	switch {
	case err != nil && status == 0:
		return &failure{statusFailed, err}
	case err != nil || status != 0:
		return &failure{status, err}
	}
	return nil
}

// message is an error's text without the name of the program, which packages of the library put in front.
func message(err error) string { return strings.TrimPrefix(err.Error(), "erlpy: ") }
