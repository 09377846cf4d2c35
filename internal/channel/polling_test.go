package channel

import "testing"

// wait plays one wait for something that would be seen at that look, and returns how many looks it took and whether it became a sleep.
func (p *polling) wait(poll, at int) (looks int, slept bool) {
	tries := p.tries(poll)
	if at <= tries {
		p.hit(at, poll)
		return at, false
	}
	p.miss()
	p.hit(p.tries(poll), poll) // after the sleep it is there
	return tries, true
}

// waits plays many, and returns the looks and the sleeps.
func (p *polling) waits(n, poll, at int) (looks, slept int) {
	for range n {
		more, asleep := p.wait(poll, at)
		looks += more
		if asleep {
			slept++
		}
	}
	return looks, slept
}

func TestPollingAnswersSoon(t *testing.T) {
	var p polling
	if looks, slept := p.waits(100, 50, 3); looks != 300 || slept != 0 {
		t.Errorf("%d looks, %d sleeps", looks, slept)
	}
	// One that is late now and then does not keep the others waiting.
	for range 10 {
		if _, slept := p.wait(50, 1000); !slept {
			t.Fatal("it has waited for ever")
		}
		if looks, slept := p.waits(9, 50, 3); looks != 27 || slept != 0 {
			t.Errorf("after one that is late: %d looks, %d sleeps", looks, slept)
		}
	}
}

// Late for the polls, also for the long ones or not: they are made seldom. And when answers come soon again, that is found out.
func TestPollingAnswersLate(t *testing.T) {
	for _, at := range []int{51, 120, 200, 201, 100_000} {
		var p polling
		looks, _ := p.waits(1000, 50, at)
		if looks < 1000 || looks > 1000*50/4 {
			t.Errorf("answers at look %d: %d looks in 1000 waits", at, looks)
		}
		looks, _ = p.waits(1000, 50, at)
		if looks > 1000*50/5 {
			t.Errorf("answers at look %d, later on: %d looks in 1000 waits", at, looks)
		}
		if _, slept := p.waits(100, 50, 3); slept > 32 {
			t.Errorf("after answers at look %d: %d of 100 waits slept", at, slept)
		}
		if _, slept := p.waits(100, 50, 3); slept != 0 {
			t.Errorf("after answers at look %d, later on: %d of 100 waits slept", at, slept)
		}
	}
}

func TestPollingNever(t *testing.T) {
	for _, poll := range []int{-1, 0, 1} {
		var p polling
		if looks, slept := p.waits(100, poll, 1000); looks > 4*100 || slept != 100 {
			t.Errorf("poll %d: %d looks, %d sleeps", poll, looks, slept)
		}
		if _, slept := p.waits(100, poll, 1); slept != 0 {
			t.Errorf("poll %d: %d sleeps over what is there", poll, slept)
		}
	}
}

// Each end answers at once when it is awake, and too late for the other's polls when it has to be woken. Both get out of that.
func TestPollingBothAsleep(t *testing.T) {
	const soon, woken = 3, 90
	var ours, theirs polling
	ours.waits(1000, 50, 100_000)
	theirs.waits(1000, 25, 100_000)
	sleeps := 0
	for slept, asleep, round := true, true, 0; round < 200; round++ {
		at := soon
		if slept {
			at = woken
		}
		_, asleep = theirs.wait(25, at)
		at = soon
		if asleep {
			at = woken
		}
		if _, slept = ours.wait(50, at); slept || asleep {
			sleeps++
		}
	}
	if sleeps > 70 {
		t.Errorf("%d of 200 rounds had a sleep", sleeps)
	}
}
