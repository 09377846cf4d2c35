// Package bench measures erlpy on this machine: the aims of the project, and what a call costs as threads and payloads grow.
//
// # Who measures whom
//
// The driver, this package, runs no Python. It starts nodes, and programs under `erlpy run` that do what they are told on their
// standard input (worker.py in the directory bench at the root); each workload has programs of its own, so that none inherits the
// memory or the connections of another. CPU time and memory are read from outside, by process id.
//
// # Rounds
//
// What is to be compared is measured in turn, A B C A B C, so that a noisy machine cannot favour one. Each figure is the median of
// the rounds, with the least and the most; a ratio is taken within each round first.
//
// # The end
//
// A program ends with its standard input, a node with its line to the driver: whatever ends the driver, both are closed.
package bench
