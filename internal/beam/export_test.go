//go:build linux

package beam

import "time"

// SetStopLimit changes how long Stop waits, and returns what undoes it.
func SetStopLimit(d time.Duration) (undo func()) {
	old := stopLimit
	stopLimit = d
	return func() { stopLimit = old }
}
