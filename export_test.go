package erlpy

// LentCalls is how many calls of the node were made without entering Go.
func (rt *Runtime) LentCalls() uint64 { return rt.engine.Stats().Lent }
