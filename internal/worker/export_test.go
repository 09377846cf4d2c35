package worker

// Trim does at once what the pool does once in a while.
func (p *Pool) Trim() { p.trim() }
