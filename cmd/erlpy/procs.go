package main

import (
	"os"
	"runtime"
)

// shareCores has as many threads converse with the node at a time as there are pairs of cores: a thread that polls keeps one busy, the process that
// it polls for another. More of them would get into each other's way, see RATIONALE.md. GOMAXPROCS in the environment counts.
func shareCores() {
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(max(1, runtime.GOMAXPROCS(0)/2))
	}
}
