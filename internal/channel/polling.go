package channel

// An answer is often on its way already, and to look for it a few times more is cheaper than to sleep and be woken; where it is not, as with a call
// now and then, or a function that takes its time, the looking is wasted. So polls that fail are made ever more seldom, and never given up: both
// ends of a channel may be asleep only because the other is.
const (
	// After the second failure in a row the next wait goes without polls, after the third the next 3, and so on up to 2^(maxLevel-1)-1.
	maxLevel = 6

	// Polls that are tried after such a pause go on for longer: the other end, if it answers at once, has to be woken first.
	longer = 4
)

// polling decides how often a wait polls before it becomes a sleep. It knows no clock. py_polling.erl is the same for the node's end.
type polling struct {
	level uint8 // failures in a row
	skip  uint8 // waits that are to go without
	trial bool  // long polls were answered: the next are to show whether short ones would be
	bare  bool  // this wait goes without
	slept bool  // the wait has become a sleep; it goes on without polls
}

// quick reports whether the next wait polls as often as the setting has it, and has no more to find out.
func (p *polling) quick() bool { return p.level == 0 && p.skip == 0 && !p.slept }

// tries returns how often to look, once at least, given the setting.
func (p *polling) tries(poll int) int {
	p.bare = p.slept || p.skip > 0
	switch {
	case p.slept:
	case p.skip > 0:
		p.skip--
	case p.level > 1 && !p.trial:
		return max(1, longer*poll)
	default:
		return max(1, poll)
	}
	return 1
}

// hit is told at which try something was there.
func (p *polling) hit(try, poll int) {
	p.slept = false
	switch {
	case p.bare:
	case try <= poll:
		p.level, p.trial = 0, false
	default:
		p.trial = true
	}
}

// miss is told that nothing was.
func (p *polling) miss() {
	p.slept = true
	if p.bare {
		return
	}
	p.trial = false
	p.level = min(p.level+1, maxLevel)
	p.skip = 1<<(p.level-1) - 1
}
