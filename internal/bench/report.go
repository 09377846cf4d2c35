package bench

import (
	"slices"
	"time"
)

// Format is the version of the report's shape, which docs/benchmarks.md describes.
const Format = 1

// Report is all that a run has found. It names no host and no path.
type Report struct {
	Format   int       `json:"format"`
	When     time.Time `json:"when"`
	Versions Versions  `json:"versions"`
	Machine  Machine   `json:"machine"`
	Quick    bool      `json:"quick"`
	Rounds   int       `json:"rounds"`
	Rows     []Row     `json:"rows"`
	Series   []Series  `json:"series"`
}

// Unit is what a figure is counted in.
type Unit string

// The units.
const (
	Nanoseconds Unit = "ns"
	PerSecond   Unit = "/s"
	Times       Unit = "x" // a ratio
	Percent     Unit = "%"
	KiB         Unit = "KiB"
)

// Row is one figure. Workload and Name together are its identity from one run to another.
type Row struct {
	Workload string  `json:"workload"`
	Name     string  `json:"name"`
	What     string  `json:"what"`
	Unit     Unit    `json:"unit"`
	Rounds   Samples `json:"rounds"` // empty: not measured, Note says why
	Median   float64 `json:"median"`
	Least    float64 `json:"least"`
	Most     float64 `json:"most"`
	Aim      *Aim    `json:"aim,omitempty"`
	Met      *bool   `json:"met,omitempty"`
	Note     string  `json:"note,omitempty"`
}

// Aim is what a figure should be.
type Aim struct {
	Op    string  `json:"op"`
	Value float64 `json:"value"`
}

func atMost(v float64) *Aim  { return &Aim{"<=", v} }
func atLeast(v float64) *Aim { return &Aim{">=", v} }
func below(v float64) *Aim   { return &Aim{"<", v} }

func (a Aim) met(v float64) bool {
	switch a.Op {
	case "<=":
		return v <= a.Value
	case ">=":
		return v >= a.Value
	}
	return v < a.Value
}

// more reports whether a larger figure is the better one.
func (r Row) more() bool {
	if r.Aim != nil {
		return r.Aim.Op == ">="
	}
	return r.Unit == PerSecond
}

// Series is a figure that depends on another one.
type Series struct {
	Workload string  `json:"workload"`
	Name     string  `json:"name"`
	What     string  `json:"what"`
	X        string  `json:"x"` // what grows: threads, or bytes
	Unit     Unit    `json:"unit"`
	Points   []Point `json:"points"`
}

// Point is the figure at one X.
type Point struct {
	X      float64 `json:"x"`
	Median float64 `json:"median"`
	Least  float64 `json:"least"`
	Most   float64 `json:"most"`
}

// sheet collects what one workload finds.
type sheet struct {
	workload string
	rows     []Row
	series   []Series
}

// row adds a figure; aim may be nil.
func (s *sheet) row(name, what string, unit Unit, rounds Samples, aim *Aim) {
	r := Row{Workload: s.workload, Name: name, What: what, Unit: unit, Rounds: rounds, Aim: aim}
	if len(rounds) > 0 {
		r.Median, r.Least, r.Most = rounds.Median(), slices.Min(rounds), slices.Max(rounds)
		if aim != nil {
			met := aim.met(r.Median)
			r.Met = &met
		}
	}
	s.rows = append(s.rows, r)
}

// missing adds a row for what could not be measured.
func (s *sheet) missing(name, what string, unit Unit, aim *Aim, note string) {
	s.row(name, what, unit, Samples{}, aim)
	s.rows[len(s.rows)-1].Note = note
}

// plot adds a series of the samples at each x.
func (s *sheet) plot(name, what, x string, unit Unit, xs []int, at map[int]Samples) {
	series := Series{Workload: s.workload, Name: name, What: what, X: x, Unit: unit}
	for _, x := range xs {
		rounds := at[x]
		series.Points = append(series.Points, Point{float64(x), rounds.Median(), slices.Min(rounds), slices.Max(rounds)})
	}
	s.series = append(s.series, series)
}
