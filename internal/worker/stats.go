package worker

import "github.com/erlpy/erlpy/internal/channel"

// Stats are the figures of a pool. All but Idle and Bound are sums since the pool was made.
type Stats struct {
	Idle       int // workers that wait for a thread
	Bound      int // workers that have one
	Retired    uint64
	BytesIn    uint64
	BytesOut   uint64
	Reconnects uint64
}

// Stats returns the figures of this moment. Those of a call that is under way may be counted in part.
func (p *Pool) Stats() Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := p.past
	for w := range p.alive {
		if w.channel != nil {
			s.addChannel(w.channel)
		}
	}
	s.Idle = len(p.idle)
	s.Bound = len(p.alive) - s.Idle
	return s
}

func (s *Stats) addChannel(c *channel.Channel) {
	s.BytesIn += c.BytesIn()
	s.BytesOut += c.BytesOut()
}
