package bench

import "time"

// plan is how much is measured.
type plan struct {
	rounds   int
	span     time.Duration // of one measurement of a rate or a latency
	fair     time.Duration // of one in which each thread's calls are counted
	quiet    time.Duration // of one of CPU time
	short    time.Duration // of one of larger values
	threads  []int
	payloads []int
	flight   int // calls that are submitted at once
	mapped   int
	crowd    int // threads whose memory is compared
	repeats  int // of a Python loop that takes loop
	loop     time.Duration
}

// The thread counts that the aims are about are in every plan.
var (
	fullPlan = plan{
		rounds: 5, span: 500 * time.Millisecond, fair: time.Second, quiet: 2 * time.Second, short: 300 * time.Millisecond,
		threads:  []int{1, 2, 4, 8, 16, 32, 64, 128, 256, 512},
		payloads: []int{1, 16, 256, 4 << 10, 64 << 10, 1 << 20, 16 << 20},
		flight:   10_000, mapped: 100_000, crowd: 500, repeats: 4, loop: 50 * time.Millisecond,
	}
	quickPlan = plan{
		rounds: 1, span: 50 * time.Millisecond, fair: 100 * time.Millisecond, quiet: 100 * time.Millisecond, short: 20 * time.Millisecond,
		threads:  []int{1, 16, 64},
		payloads: []int{1, 4 << 10, 1 << 20},
		flight:   1000, mapped: 10_000, crowd: 50, repeats: 1, loop: 10 * time.Millisecond,
	}
)
