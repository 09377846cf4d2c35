// Command erlpy runs Python scripts whose threads call functions in Erlang.
//
//	erlpy run --erl functions.erl script.py    a script, with a node of its own
//	erlpy run --beam /path/of/socket script.py the same, attached to a node that runs already
//	erlpy doctor                               what is installed, and what is missing
//
// The OTP application erlang_python starts it as `erlpy host`.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"

	"github.com/spf13/cobra"
)

// Exit statuses besides the script's own.
const (
	statusFailed   = 1
	statusUsage    = 2
	statusNoPython = 127
)

// Python's main thread is the process's main thread, or Ctrl-C would not reach it: main keeps that thread for itself.
func init() { runtime.LockOSThread() }

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

// failure carries an exit status out of a subcommand. One without an error has said all there is to say.
type failure struct {
	status int
	err    error
}

func (f *failure) Error() string {
	if f.err == nil {
		return fmt.Sprint("exit status ", f.status)
	}
	return f.err.Error()
}

func (f *failure) Unwrap() error { return f.err }

// run executes one command line and returns its exit status. Scripts use the process's own standard streams.
func run(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	root := &cobra.Command{
		Use:           "erlpy",
		Short:         "Python threads that call functions in Erlang/OTP and Go",
		Args:          cobra.NoArgs,
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	root.AddCommand(runCommand(), hostCommand(), doctorCommand(), benchCommand(), versionCommand())
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	cmd, err := root.ExecuteC()
	if err == nil {
		return 0
	}
	var f *failure
	if !errors.As(err, &f) { // cobra's own: flags and arguments
		fmt.Fprintf(stderr, "erlpy: %v\nRun '%s --help' for usage.\n", err, cmd.CommandPath())
		return statusUsage
	}
	if f.err != nil {
		fmt.Fprintf(stderr, "erlpy: %v\n", message(f.err))
	}
	return f.status
}
