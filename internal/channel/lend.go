package channel

import "syscall"

// Loan is what it takes to make calls on a channel in its stead, as long as each is one small frame out and one in.
type Loan struct {
	FD    int
	ID    uint32 // of the last call
	Polls int    // how often to look for an answer
	Limit int    // the largest frame, either way, with its length field
}

// Lend lends the channel, which is to be left alone until TakeBack. false: calls on it are not quick, and it is kept.
func (c *Channel) Lend() (Loan, bool) {
	if !c.Idle() || !c.polling.quick() || c.options.Poll <= 1 {
		return Loan{}, false
	}
	return Loan{c.fd, c.id, c.options.Poll, min(c.limit+lengthSize, readAhead)}, true
}

// TakeBack ends a loan, and is told the last call's number.
func (c *Channel) TakeBack(id uint32) { c.id = id }

// Continue takes up a call that was begun during the loan: so many bytes of a frame of that size have been sent, so many that came are in the
// buffer that Receive will be given, and errno is that of the last look for them, 0 when it found some or the end of the stream. Send, when
// there is more to send, and Receive go on from there.
func (c *Channel) Continue(size, sent, got int, errno syscall.Errno) {
	c.out.Add(uint64(sent))
	c.in.Add(uint64(got))
	switch {
	case sent < size:
		c.sent = sent
	case got > 0:
		c.have = got
	case errno == syscall.EAGAIN || errno == syscall.EINTR:
		c.polling.miss()
	case errno != 0:
		_ = c.fail("receive", errno) // which is what Receive will say
	}
}
