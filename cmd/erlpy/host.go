package main

import (
	"context"
	"io"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/erlpy/erlpy/internal/engine"
)

// The descriptors of a port that was opened with nouse_stdio: the node holds the other ends.
const (
	fromNode = 3
	toNode   = 4
)

// grace is how long a host may take to end in good order once its node is gone.
const grace = 2 * time.Second

func hostCommand() *cobra.Command {
	var python, token string
	var o engine.Options
	cmd := &cobra.Command{
		Use:    "host --beam SOCKET --token TOKEN",
		Short:  "Serve a node (started by the OTP application)",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			watchNode()
			err := host(cmd.Context(), python, o, token)
			if err != nil {
				tellNode(err)
			}
			return err
		},
	}
	cmd.Flags().StringVar(&python, "python", "", "Python executable or venv")
	cmd.Flags().StringVar(&o.BEAM, "beam", "", "socket of the node")
	cmd.Flags().StringVar(&token, "token", "", "what the node will know this host by")
	cmd.Flags().IntVar(&o.MaxFrame, "max-frame", 0, "largest frame in bytes (default 64 MiB)")
	cmd.Flags().IntVar(&o.MaxWorkers, "max-workers", 0, "most threads with a connection (default 1024)")
	cmd.Flags().IntVar(&o.MaxNesting, "max-nesting", 0, "most calls within calls on one thread (default 100)")
	cmd.Flags().IntVar(&o.MaxAsync, "max-async", 0, "most submitted Go functions at once (default 1000)")
	submittedFlag(cmd, &o)
	cmd.Flags().Var(polls{&o.Poll}, "poll", pollUsage)
	for _, name := range []string{"beam", "token"} {
		if err := cmd.MarkFlagRequired(name); err != nil {
			panic(err)
		}
	}
	return cmd
}

func host(ctx context.Context, python string, o engine.Options, token string) error {
	if err := noStdin(); err != nil {
		return &failure{statusFailed, err}
	}
	install, err := findPython(ctx, python)
	if err != nil {
		return err
	}
	shareCores()
	o.Install, o.Main = install, true
	return outcome(engine.RunHost(o, token))
}

// noStdin keeps Python code from reading what is typed into the node's shell, which the host inherits.
func noStdin() error {
	null, err := os.Open(os.DevNull)
	if err != nil {
		return err
	}
	defer null.Close()
	return unix.Dup2(int(null.Fd()), 0)
}

// watchNode ends this process when the node is gone and Python does not end by itself.
func watchNode() {
	if !isPipe(fromNode) {
		return // started by hand
	}
	syscall.CloseOnExec(fromNode)
	syscall.CloseOnExec(toNode)
	node := os.NewFile(fromNode, "node")
	go func() {
		io.Copy(io.Discard, node) // nothing is sent this way: only its end counts
		time.Sleep(grace)
		os.Exit(statusFailed)
	}()
}

// tellNode gives the node the reason why there will be no host, in one line.
func tellNode(err error) {
	if !isPipe(toNode) {
		return
	}
	line := strings.ReplaceAll(message(err), "\n", " ") + "\n"
	// A node that is gone does not read it: nothing to be done about that.
	_, _ = unix.Write(toNode, []byte(line))
}

// isPipe tells a descriptor that the node gave from one that happens to have its number.
func isPipe(fd int) bool {
	var stat unix.Stat_t
	if unix.Fstat(fd, &stat) != nil {
		return false
	}
	kind := stat.Mode & unix.S_IFMT
	return kind == unix.S_IFIFO || kind == unix.S_IFSOCK
}
