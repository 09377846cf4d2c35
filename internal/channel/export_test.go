package channel

import "time"

// Backdate makes the handshake older than it is.
func (c *Channel) Backdate(d time.Duration) { c.began = c.began.Add(-d) }

// Overrun sets the number of calls made so far.
func (c *Channel) Overrun(id uint32) { c.id = id }
