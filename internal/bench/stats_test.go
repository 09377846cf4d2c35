package bench

import (
	"fmt"
	"math"
	"testing"
)

func TestMedian(t *testing.T) {
	for _, test := range []struct {
		samples Samples
		want    float64
	}{
		{Samples{3}, 3},
		{Samples{9, 1, 2}, 2},
		{Samples{4, 1, 3, 2}, 2.5},
		{Samples{5, 5, 5, 100}, 5},
	} {
		before := fmt.Sprint(test.samples)
		if got := test.samples.Median(); got != test.want {
			t.Errorf("the median of %v is %v, want %v", test.samples, got, test.want)
		}
		if after := fmt.Sprint(test.samples); after != before {
			t.Errorf("Median made %s of %s", after, before)
		}
	}
	if got := (Samples{}).Median(); !math.IsNaN(got) {
		t.Errorf("the median of nothing is %v", got)
	}
}

// A ratio of two medians could be that of two different moments.
func TestRatiosAreTakenWithinARound(t *testing.T) {
	slow, fast := Samples{10, 40, 20}, Samples{5, 10, 10}
	if got, want := fmt.Sprint(slow.per(fast)), "[2 4 2]"; got != want {
		t.Errorf("ratios are %s, want %s", got, want)
	}
	if got, want := fmt.Sprint(slow.plus(fast)), "[15 50 30]"; got != want {
		t.Errorf("sums are %s, want %s", got, want)
	}
}

func TestPercentile(t *testing.T) {
	hundred := Histogram{}
	for i := range int64(100) {
		hundred = append(hundred, Bin{i + 1, 1})
	}
	for _, test := range []struct {
		name string
		h    Histogram
		p    float64
		want float64
	}{
		{"one value", Histogram{{7, 1}}, 50, 7},
		{"one value, the last percent", Histogram{{7, 1}}, 99, 7},
		{"half", hundred, 50, 50},
		{"99 of 100", hundred, 99, 99},
		{"all", hundred, 100, 100},
		{"many in the first bin", Histogram{{1, 99}, {1000, 1}}, 99, 1},
		{"one more in the last", Histogram{{1, 98}, {1000, 2}}, 99, 1000},
		{"the middle of two", Histogram{{1, 1}, {2, 1}}, 50, 1},
	} {
		if got := test.h.Percentile(test.p); got != test.want {
			t.Errorf("%s: p%v is %v, want %v", test.name, test.p, got, test.want)
		}
	}
	if got := (Histogram{}).Percentile(50); !math.IsNaN(got) {
		t.Errorf("the median of nothing is %v", got)
	}
}

func TestHistogramOf(t *testing.T) {
	h := histogramOf(map[int64]int64{30: 1, 10: 2, 20: 3})
	if got, want := fmt.Sprint(h), "[[10 2] [20 3] [30 1]]"; got != want || h.Count() != 6 {
		t.Errorf("%s with %d values, want %s with 6", got, h.Count(), want)
	}
}

// A step is narrow enough not to be seen in three digits, and in its own middle.
func TestStep(t *testing.T) {
	for _, ns := range []int64{0, 1, 255, 256, 257, 4321, 123456789} {
		got := step(ns)
		if off := math.Abs(float64(got - ns)); off > float64(ns)/250 {
			t.Errorf("%d counts as %d", ns, got)
		}
		if again := step(got); again != got {
			t.Errorf("%d is not in its own step, but in that of %d", got, again)
		}
	}
}

func TestFairness(t *testing.T) {
	for _, test := range []struct {
		calls []int64
		want  float64
	}{{[]int64{5}, 1}, {[]int64{10, 10}, 1}, {[]int64{0, 10}, 0}, {[]int64{5, 10, 15}, 0.5}} {
		if got := fairness(test.calls); got != test.want {
			t.Errorf("fairness of %v is %v, want %v", test.calls, got, test.want)
		}
	}
}

func TestRate(t *testing.T) {
	if got := (&answer{Calls: []int64{100, 300}, Seconds: 2}).rate(); got != 200 {
		t.Errorf("%v calls a second, want 200", got)
	}
}
