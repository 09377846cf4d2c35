package erlpy

import "time"

// LentCalls is how many calls of the node were made without entering Go.
func (rt *Runtime) LentCalls() uint64 { return rt.engine.Stats().Lent }

// SetGrace is how long interrupted Python code may take to end; before the first call.
func (rt *Runtime) SetGrace(d time.Duration) { rt.engine.SetGrace(d) }

// Waiting is how many calls wait for a Python thread.
func (rt *Runtime) Waiting() int { return rt.engine.Waiting() }
