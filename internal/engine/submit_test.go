package engine

import (
	"context"
	"encoding/binary"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/erlpy/erlpy/etf"
	"github.com/erlpy/erlpy/internal/channel"
	"github.com/erlpy/erlpy/internal/cpython"
	"github.com/erlpy/erlpy/internal/funcs"
)

// bounded is an engine with a bound on the bytes of submitted calls, and a Go function "size" that
// ends when it is let: by a token in release.
type bounded struct {
	*Engine
	t       *testing.T
	release chan struct{}
}

func newBounded(t *testing.T, bound int) *bounded {
	b := &bounded{t: t, release: make(chan struct{}, 100)}
	var r funcs.Registry
	err := r.Register("size", func(ctx context.Context, data []byte) int {
		select {
		case <-b.release:
		case <-ctx.Done():
		}
		return len(data)
	})
	if err != nil {
		t.Fatal(err)
	}
	if b.Engine, err = New(Options{Funcs: &r, MaxSubmittedBytes: bound}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Closing)
	return b
}

func (b *bounded) thread() *cpython.Thread {
	t := cpython.NewThread()
	b.t.Cleanup(func() {
		b.Exit(t)
		if t.WakeFD() >= 0 {
			unix.Close(t.WakeFD())
		}
		t.Free()
	})
	return t
}

func (b *bounded) frame(t *cpython.Thread, token uint64, v any) {
	b.t.Helper()
	frame, err := etf.Append(make([]byte, cpython.HeaderSize), v)
	if err == nil {
		err = t.SetFrame(frame)
	}
	if err != nil {
		b.t.Fatal(err)
	}
	t.SetToken(token)
}

// start submits, or offers, size(n bytes).
func (b *bounded) start(t *cpython.Thread, ev cpython.Event, token uint64, n int) cpython.Action {
	b.t.Helper()
	b.frame(t, token, etf.Tuple{"size", []any{make([]byte, n)}})
	return b.Step(t, ev)
}

func (b *bounded) want(what string, got, want cpython.Action) {
	b.t.Helper()
	if got != want {
		b.t.Fatalf("%s: action %d, want %d", what, got, want)
	}
}

// awake waits until something has woken the thread.
func (b *bounded) awake(t *cpython.Thread) {
	b.t.Helper()
	fds := []unix.PollFd{{Fd: int32(t.WakeFD()), Events: unix.POLLIN}}
	for {
		if n, err := unix.Poll(fds, 20_000); err != unix.EINTR {
			if n != 1 {
				b.t.Fatalf("nobody has woken the thread: %d, %v", n, err)
			}
			break
		}
	}
	var count [8]byte
	unix.Read(t.WakeFD(), count[:])
}

func (b *bounded) asleep(t *cpython.Thread) {
	b.t.Helper()
	fds := []unix.PollFd{{Fd: int32(t.WakeFD()), Events: unix.POLLIN}}
	if n, _ := unix.Poll(fds, 0); n != 0 {
		b.t.Fatal("the thread has been woken")
	}
}

// completionTokens are those of the completions in the frame.
func completionTokens(t *cpython.Thread) (list []uint64) {
	for p := t.Frame()[cpython.HeaderSize:]; len(p) > 0; p = p[cpython.CompletionSize+int(binary.BigEndian.Uint32(p[9:])):] {
		list = append(list, binary.BigEndian.Uint64(p))
	}
	return list
}

// reap waits for completions, and has the thread keep them when keep is set.
func (b *bounded) reap(t *cpython.Thread, keep bool) []uint64 {
	b.t.Helper()
	action := b.Step(t, cpython.Reap)
	for action == cpython.Sleep {
		b.awake(t)
		action = b.Step(t, cpython.Resume)
	}
	b.want("reap", action, cpython.Done)
	if keep {
		b.want("reaped", b.Step(t, cpython.Reaped), cpython.Done)
	}
	return completionTokens(t)
}

// size is that of a call with so many bytes, in the budget.
func (b *bounded) size(n int) int {
	t := b.thread()
	b.frame(t, 0, etf.Tuple{"size", []any{make([]byte, n)}})
	return int(callSize(t))
}

func TestSubmitWaitsForRoom(t *testing.T) {
	b := newBounded(t, newBounded(t, 0).size(1000)+callOverhead)
	first, second, reaper := b.thread(), b.thread(), b.thread()
	b.want("the first", b.start(first, cpython.Submit, 1, 1000), cpython.Done)
	b.want("the second", b.start(second, cpython.Submit, 2, 1000), cpython.Sleep)
	if s := b.Stats(); s.Waiting != 1 || s.SubmittedBytes != b.size(1000) {
		t.Errorf("%d wait, %d bytes", s.Waiting, s.SubmittedBytes)
	}
	b.release <- struct{}{}
	// The answer counts until Python has it.
	if got := b.reap(reaper, false); !slices.Equal(got, []uint64{1}) {
		t.Fatalf("reaped %v", got)
	}
	b.asleep(second)
	b.want("woken for another reason", b.Step(second, cpython.Resume), cpython.Sleep)
	if got := b.reap(reaper, true); !slices.Equal(got, []uint64{1}) {
		t.Fatalf("what is not reaped is given again: %v", got)
	}
	b.awake(second)
	b.want("the second, again", b.Step(second, cpython.Resume), cpython.Done)
	b.release <- struct{}{}
	if got := b.reap(reaper, true); !slices.Equal(got, []uint64{2}) {
		t.Fatalf("reaped %v", got)
	}
	if n := b.Stats().SubmittedBytes; n != 0 {
		t.Errorf("%d bytes under way at the end", n)
	}
}

func TestOneLargerThanTheBoundGoesAlone(t *testing.T) {
	b := newBounded(t, 100)
	first, second, reaper := b.thread(), b.thread(), b.thread()
	b.want("the first", b.start(first, cpython.Submit, 1, 1000), cpython.Done)
	b.want("the second", b.start(second, cpython.Submit, 2, 1), cpython.Sleep)
	b.release <- struct{}{}
	b.reap(reaper, true)
	b.awake(second)
	b.want("the second, again", b.Step(second, cpython.Resume), cpython.Done)
}

// Who waits gives its place to the next, or its room if it has that already.
func TestWaitingForRoomIsGivenUp(t *testing.T) {
	b := newBounded(t, newBounded(t, 0).size(1000))
	first, big, small, reaper := b.thread(), b.thread(), b.thread(), b.thread()
	b.want("the first", b.start(first, cpython.Submit, 1, 400), cpython.Done)
	b.want("a big one", b.start(big, cpython.Submit, 2, 1000), cpython.Sleep)
	b.want("a small one behind it", b.start(small, cpython.Submit, 3, 1), cpython.Sleep)
	b.want("Ctrl-C", b.Step(big, cpython.Abort), cpython.Failed)
	b.awake(small)
	b.want("the small one", b.Step(small, cpython.Resume), cpython.Done)
	b.want("again", b.start(big, cpython.Submit, 4, 1000), cpython.Sleep)
	b.release <- struct{}{}
	b.release <- struct{}{}
	for n := 0; n < 2; n += len(b.reap(reaper, true)) {
	}
	b.awake(big)
	b.want("Ctrl-C when there is room", b.Step(big, cpython.Abort), cpython.Failed)
	if s := b.Stats(); s.SubmittedBytes != 0 || s.Waiting != 0 {
		t.Errorf("%d bytes, %d wait", s.SubmittedBytes, s.Waiting)
	}
	b.want("the next", b.start(first, cpython.Submit, 5, 1000), cpython.Done)
	b.want("one that waits at the end", b.start(big, cpython.Submit, 6, 1000), cpython.Sleep)
	b.want("its time is over", b.Step(big, cpython.Timeout), cpython.Failed)
	b.want("one that waits at the end", b.start(big, cpython.Submit, 7, 1000), cpython.Sleep)
	b.Closing()
	b.want("the end", b.Step(big, cpython.Resume), cpython.Failed)
	if !strings.Contains(string(big.Frame()), "shutting down") {
		t.Errorf("failed with %q", big.Frame())
	}
}

// started reports what an offer was answered with.
func started(t *cpython.Thread) bool { return strings.HasSuffix(string(t.Frame()), "true") }

func (b *bounded) offer(t *cpython.Thread, token uint64, n int) bool {
	b.t.Helper()
	b.want("an offer", b.start(t, cpython.Offer, token, n), cpython.Done)
	return started(t)
}

func TestOffersInOrder(t *testing.T) {
	b := newBounded(t, newBounded(t, 0).size(1000))
	loop, blocked, reaper := b.thread(), b.thread(), b.thread()
	if !b.offer(loop, 1, 1000) || b.offer(loop, 2, 10) || b.offer(loop, 3, 10) {
		t.Fatal("not the first alone has room")
	}
	b.release <- struct{}{}
	if got := append(b.reap(reaper, true), b.reap(reaper, true)...); !slices.Equal(got, []uint64{1, 2, 3}) {
		t.Fatalf("reaped %v, of which 2 and 3 are hints", got)
	}
	// The loop may be blocked by a thread that waits for this room, its own even. It comes later, and
	// finds room all the same.
	b.want("a thread meanwhile", b.start(blocked, cpython.Submit, 4, 400), cpython.Done)
	if b.offer(loop, 5, 10) {
		t.Error("one that comes later goes first")
	}
	if !b.offer(loop, 2, 10) || !b.offer(loop, 3, 10) {
		t.Error("a promise is not kept")
	}
	for range 3 {
		b.release <- struct{}{}
	}
	for !slices.Contains(b.reap(reaper, true), 5) {
	}
	if !b.offer(loop, 5, 10) {
		t.Error("no room for the last one")
	}
}

// What a blocked loop is promised keeps no other loop waiting.
func TestLoopsDoNotWaitForEachOther(t *testing.T) {
	b := newBounded(t, newBounded(t, 0).size(1000))
	blocked, loop, reaper := b.thread(), b.thread(), b.thread()
	b.want("a call", b.start(b.thread(), cpython.Submit, 1, 1000), cpython.Done)
	if b.offer(blocked, 2, 900) || b.offer(blocked, 3, 10) || b.offer(loop, 4, 900) {
		t.Fatal("there is room")
	}
	b.release <- struct{}{}
	hints := slices.Concat(b.reap(reaper, true), b.reap(reaper, true))
	if !slices.Equal(hints, []uint64{1, 2, 4}) {
		t.Fatalf("reaped %v, of which 2 and 4 are hints", hints)
	}
	if !b.offer(loop, 4, 900) {
		t.Error("a promise is not kept")
	}
	b.Exit(blocked)
	if s := b.Stats(); s.Waiting != 1 {
		t.Errorf("%d wait", s.Waiting)
	}
}

func TestOffersThatAreOver(t *testing.T) {
	b := newBounded(t, 1)
	loop, reaper := b.thread(), b.thread()
	if !b.offer(loop, 1, 1000) || b.offer(loop, 2, 10) || b.offer(loop, 3, 10) {
		t.Fatal("not the first alone has room")
	}
	loop.SetToken(2)
	b.want("one is cancelled", b.Step(loop, cpython.Cancel), cpython.Done)
	if got := b.reap(reaper, true); !slices.Equal(got, []uint64{2}) {
		t.Fatalf("reaped %v", got)
	}
	b.release <- struct{}{}
	b.reap(reaper, true)
	b.reap(reaper, true) // the hint for 3
	loop.SetToken(3)
	b.want("one that has a hint is cancelled", b.Step(loop, cpython.Cancel), cpython.Done)
	b.reap(reaper, true)
	if !b.offer(loop, 4, 10) {
		t.Error("a hint that nobody wants any more counts")
	}
	b.frame(loop, 5, etf.Tuple{"size", []any{[]byte{1}}})
	b.Engine.async.mu.Lock()
	waiting := &submission{token: 5, wait: waiter{size: 1, wake: func() {}}}
	b.async.byToken[5] = waiting
	b.limit(waiting, time.Nanosecond)
	b.Engine.async.mu.Unlock()
	if got := b.reap(reaper, true); !slices.Equal(got, []uint64{5}) {
		t.Fatalf("its time runs while it waits: %v", got)
	}
}

func TestTheCompletionThreadDoesNotWait(t *testing.T) {
	b := newBounded(t, 1)
	reaper := b.thread()
	b.want("nothing to reap", b.Step(reaper, cpython.Reap), cpython.Sleep)
	b.want("the first", b.start(b.thread(), cpython.Submit, 1, 10), cpython.Done)
	b.release <- struct{}{}
	b.awake(reaper)
	b.want("reap", b.Step(reaper, cpython.Resume), cpython.Done)
	b.want("a callback", b.start(reaper, cpython.Submit, 2, 10), cpython.Failed)
	if text := string(reaper.Frame()); !strings.Contains(text, "max_submitted_bytes") || !strings.Contains(text, "another thread") {
		t.Errorf("failed with %q", text)
	}
	b.want("a loop there", b.start(reaper, cpython.Offer, 3, 10), cpython.Failed)
	if n := len(b.async.byToken); n != 0 {
		t.Errorf("%d calls are left", n)
	}
}

// A map lets one item in whoever has the room, and more as long as there is some.
func TestMapKeepsToTheBound(t *testing.T) {
	b := newBounded(t, newBounded(t, 0).size(1000))
	thread := b.thread()
	if err := thread.SetFrame(append(make([]byte, cpython.HeaderSize), "size"...)); err != nil {
		t.Fatal(err)
	}
	thread.SetToken(10)
	b.want("a map", b.Step(thread, cpython.MapBegin), cpython.Done)
	number := thread.Token()
	put := func(n int) cpython.Action {
		term, _ := etf.AppendBytes(nil, make([]byte, n))
		if err := thread.SetFrame(append(make([]byte, cpython.HeaderSize), term...)); err != nil {
			t.Fatal(err)
		}
		thread.SetToken(number)
		return b.Step(thread, cpython.MapItem)
	}
	b.want("a call", b.start(b.thread(), cpython.Submit, 1, 1000), cpython.Done)
	b.want("the first item", put(2000), cpython.Done)
	b.want("the second item", put(1), cpython.Refused)
	for range 2 {
		b.release <- struct{}{}
	}
	thread.SetToken(number)
	action := b.Step(thread, cpython.MapResults)
	for action == cpython.Sleep {
		b.awake(thread)
		action = b.Step(thread, cpython.Resume)
	}
	b.want("its result", action, cpython.Done)
	b.want("the second item, again", put(1), cpython.Done)
	b.want("the third", put(2000), cpython.Refused)
	thread.SetToken(number)
	b.want("the end", b.Step(thread, cpython.MapEnd), cpython.Done)
}

func TestIDsInUseAreNotGivenOutAgain(t *testing.T) {
	var a async
	a.init(1, 1)
	a.last = math.MaxUint32 - 1
	a.byID[math.MaxUint32], a.byID[2] = &submission{}, &submission{}
	a.batches[1] = &batch{}
	for _, want := range []uint32{3, 4} {
		if got := a.nextID(); got != want {
			t.Errorf("id %d, want %d", got, want)
		}
	}
	s := &session{forgotten: []uint32{1, 3}}
	ch, other := channel.New(&channel.Options{}), channel.New(&channel.Options{})
	s.stack = []entry{{kind: outgoing, id: 2, ch: ch}, {kind: outgoing, id: 4, ch: other}, {kind: incoming, id: 5, ch: ch}}
	for _, want := range []uint32{4, 5, 6} {
		if got := s.nextID(ch); got != want {
			t.Errorf("id %d, want %d", got, want)
		}
	}
	s.stack[0].id = 10
	if got := s.lastID(ch, 6); got != 9 {
		t.Errorf("a loan may count to %d, want 9", got)
	}
	if got := s.lastID(ch, 10); got != math.MaxUint32 {
		t.Errorf("a loan may count to %d", got)
	}
}
