package bench

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
)

// plots are the pictures: each shows series of one workload.
var plots = []struct {
	file, title, workload string
	series                []string
	log                   bool // the scale of the figures; what they depend on always has such a scale
}{
	{"latency.svg", "Latency of a call over threads that call at once", "threads", []string{"p50", "p99"}, true},
	{"rate.svg", "Calls a second, of all threads together", "threads", []string{"rate"}, false},
	{"payload.svg", "Calls a second over the size of the bytes that go there and back", "terms", []string{"payload"}, true},
}

// WritePlots writes SVG files into a directory, which it makes if need be. What was not measured is not drawn.
func (r *Report) WritePlots(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	var errs []error
	for _, p := range plots {
		c := chart{title: p.title, log: p.log}
		for _, name := range p.series {
			for _, s := range r.Series {
				if s.Workload == p.workload && s.Name == name {
					c.lines = append(c.lines, s)
				}
			}
		}
		if len(c.lines) > 0 {
			errs = append(errs, os.WriteFile(filepath.Join(dir, p.file), c.svg(), 0o644))
		}
	}
	return errors.Join(errs...)
}

// label is a point's x as people write it.
func (s Series) label(x float64) string {
	if s.X == "bytes" {
		return binarySize(int(x))
	}
	return strconv.Itoa(int(x))
}
