package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"github.com/erlpy/erlpy/bench"
	"github.com/erlpy/erlpy/internal/beam"
	"github.com/erlpy/erlpy/internal/pyfind"
)

// lab holds what the workloads share.
type lab struct {
	plan    plan
	install *pyfind.Install
	program string // erlpy itself
	stderr  io.Writer
	dir     string // the files of the package bench, and the floor's socket
	nodes   map[variant]*node
}

// variant is one way to run a node, and the programs that call it.
type variant string

// The variants.
const (
	polling  variant = "polling"   // as it comes
	blocking variant = "blocking"  // poll = 0 at both ends
	frugal   variant = "frugal"    // as it comes, but for the node's schedulers, which do not spin
	sleeping variant = "sleeping"  // poll = 0 at both ends, and they do not either
	oneHost  variant = "one host"  // a node that runs Python itself
	twoHosts variant = "two hosts" // the same, with two processes
)

func (v variant) settings(python string) map[string]string {
	switch v {
	case blocking, sleeping:
		return map[string]string{"poll": "0"}
	case oneHost:
		return map[string]string{"hosts": "1", "python": strconv.Quote(python)}
	case twoHosts:
		return map[string]string{"hosts": "2", "python": strconv.Quote(python)}
	}
	return nil
}

func (v variant) flags() []string {
	if v == blocking || v == sleeping {
		return []string{"--poll", "0"}
	}
	return nil
}

func (v variant) noSpin() bool { return v == frugal || v == sleeping }

// node is a running node and the driver's connection to it.
type node struct {
	*beam.Node
	client *client
}

func newLab(install *pyfind.Install, p plan, stderr io.Writer) (*lab, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "erlpy-bench-")
	if err != nil {
		return nil, err
	}
	l := &lab{plan: p, install: install, program: program, stderr: stderr, dir: dir, nodes: map[variant]*node{}}
	if err := os.CopyFS(dir, bench.Files); err != nil {
		l.close()
		return nil, err
	}
	return l, nil
}

// close ends all nodes and removes the files.
func (l *lab) close() error {
	var errs []error
	for _, n := range l.nodes {
		n.client.close()
		errs = append(errs, n.Stop())
	}
	return errors.Join(append(errs, os.RemoveAll(l.dir))...)
}

// node returns the node of a variant, which is started the first time.
func (l *lab) node(ctx context.Context, v variant) (*node, error) {
	if n := l.nodes[v]; n != nil {
		return n, nil
	}
	files, err := fs.Glob(bench.Files, "*.erl")
	if err != nil {
		return nil, err
	}
	for i, name := range files {
		files[i] = filepath.Join(l.dir, name)
	}
	b, err := beam.Start(ctx, beam.Options{
		Files: files, Stdout: l.stderr, Stderr: l.stderr,
		Settings: v.settings(l.install.Executable), NoSpin: v.noSpin(),
	})
	if err != nil {
		return nil, fmt.Errorf("the node (%s): %w", v, err)
	}
	c, err := dial(ctx, b.Socket(), 0)
	if err != nil {
		return nil, errors.Join(err, b.Stop())
	}
	l.nodes[v] = &node{b, c}
	return l.nodes[v], nil
}

// rounds runs each of the measurements in turn, over and over.
func (l *lab) rounds(ctx context.Context, measurements ...func() error) error {
	for range l.plan.rounds {
		for _, measure := range measurements {
			if err := ctx.Err(); err != nil {
				return err
			}
			if err := measure(); err != nil {
				return err
			}
		}
	}
	return nil
}
