package engine

import (
	"runtime"

	"github.com/erlpy/erlpy/internal/cpython"
)

// maxStreak is how many calls of the node a thread makes before it lets others go first. Fewer than one in a hundred waits for its turn, then, so that the
// 99th percentile is that of those that do not; and among 64 threads each has its turn every 100 ms.
const maxStreak = 256

// takeTurn is called before each call of the node that goes through Go; the others have turns of their own, in the shim. A thread that polls keeps its P,
// and has it again on its next entry into Go, as it was away for microseconds only; so GOMAXPROCS threads converse at a time, and the others wait
// to get in. The scheduler alone would make them wait for 10 ms each: of 64 threads most would not be served within a second.
func (e *Engine) takeTurn(t *cpython.Thread, s *session) {
	if s.streak++; s.streak < maxStreak {
		return
	}
	s.streak = 0
	if cpython.OthersWait() || e.async.underWay() {
		t.LetOthers(runtime.Gosched)
	}
}
