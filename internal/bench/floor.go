package bench

import (
	"context"
	"math/bits"
	"path/filepath"
	"time"

	"github.com/erlpy/erlpy/internal/channel"
)

// floor is the least that a call can cost: the bytes of double_it over the same kind of socket, with no Python at this end and a bare
// process (floor.erl) at the other. How often both look is their own: the defaults may change, a yardstick may not.
type floor struct {
	c     *client
	frame []byte
}

const floorPolls = 300 // for the same reason as in floor.erl

func (l *lab) floor(ctx context.Context) (*floor, error) {
	n, err := l.node(ctx, polling)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(l.dir, "floor")
	if _, err := n.client.call("start_floor", path); err != nil {
		return nil, err
	}
	c, err := dial(ctx, path, floorPolls)
	if err != nil {
		return nil, err
	}
	frame, err := callFrame("double_it", []any{21000})
	if err != nil {
		return nil, err
	}
	return &floor{c, frame}, nil
}

func (f *floor) close() { f.c.close() }

func (f *floor) exchange() error {
	kind, _, err := f.c.exchange(f.frame)
	if err == nil && kind != channel.OK {
		panic("the floor answers with " + kind.String())
	}
	return err
}

// rate returns round trips a second.
func (f *floor) rate(d time.Duration) (float64, error) {
	start, n := time.Now(), 0
	for time.Since(start) < d {
		for range 64 {
			if err := f.exchange(); err != nil {
				return 0, err
			}
		}
		n += 64
	}
	return float64(n) / time.Since(start).Seconds(), nil
}

// latency times each, as measure.py does it.
func (f *floor) latency(d time.Duration) (Histogram, error) {
	counts := map[int64]int64{}
	for start := time.Now(); time.Since(start) < d; {
		before := time.Now()
		if err := f.exchange(); err != nil {
			return nil, err
		}
		counts[step(time.Since(before).Nanoseconds())]++
	}
	return histogramOf(counts), nil
}

// step is the middle of all values that share ns's eight highest bits.
func step(ns int64) int64 {
	shift := max(0, bits.Len64(uint64(ns))-8)
	return ns>>shift<<shift + 1<<shift>>1
}
