package worker

// Trim runs the pool's trim now.
func (p *Pool) Trim() { p.trim() }
