// Package bench carries what `erlpy bench` runs: Python workloads, and the Erlang functions that they call.
package bench

import "embed"

// Files holds worker.py, which is the program, its modules, and Erlang modules whose exported functions of one argument are to be
// registered on a node.
//
//go:embed *.py *.erl
var Files embed.FS
