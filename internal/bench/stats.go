package bench

import (
	"cmp"
	"math"
	"slices"
)

// Samples are what one quantity was in each round.
type Samples []float64

// Median returns the middle value, or the mean of the two in the middle; NaN of none.
func (s Samples) Median() float64 {
	if len(s) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(s))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// per divides round by round.
func (s Samples) per(other Samples) Samples {
	ratios := make(Samples, min(len(s), len(other)))
	for i := range ratios {
		ratios[i] = s[i] / other[i]
	}
	return ratios
}

// plus adds round by round.
func (s Samples) plus(other Samples) Samples {
	sums := make(Samples, min(len(s), len(other)))
	for i := range sums {
		sums[i] = s[i] + other[i]
	}
	return sums
}

// Histogram is how often each value was seen, in ascending order.
type Histogram []Bin

// Bin is a value, in nanoseconds where it is a time, and how often it was seen. In JSON it is a pair.
type Bin [2]int64

// histogramOf counts values that a map has.
func histogramOf(counts map[int64]int64) Histogram {
	h := make(Histogram, 0, len(counts))
	for value, n := range counts {
		h = append(h, Bin{value, n})
	}
	slices.SortFunc(h, func(a, b Bin) int { return cmp.Compare(a[0], b[0]) })
	return h
}

// Count returns the number of values.
func (h Histogram) Count() int64 {
	var n int64
	for _, b := range h {
		n += b[1]
	}
	return n
}

// Percentile returns the least value that p percent of all values are not above; NaN of none.
func (h Histogram) Percentile(p float64) float64 {
	rank := int64(math.Ceil(p / 100 * float64(h.Count())))
	for _, b := range h {
		if rank -= b[1]; rank <= 0 {
			return float64(b[0])
		}
	}
	return math.NaN()
}
