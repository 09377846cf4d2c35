package bench

import "math"

// scale maps a range of figures to a range of pixels.
type scale struct {
	log      bool
	min, max float64 // of the figures
	from, to float64 // pixels
}

func (s scale) at(v float64) float64 {
	min, max := s.min, s.max
	if s.log {
		v, min, max = math.Log(v), math.Log(min), math.Log(max)
	}
	if max == min {
		return (s.from + s.to) / 2
	}
	return s.from + (v-min)/(max-min)*(s.to-s.from)
}

// niceScale widens a range so that it begins and ends with a tick, and returns the ticks.
func niceScale(log bool, least, most float64) (s scale, ticks []float64) {
	if log {
		ticks = logTicks(least, most)
	} else {
		ticks = linearTicks(most)
	}
	return scale{log: log, min: ticks[0], max: ticks[len(ticks)-1]}, ticks
}

// linearTicks are 0 and some four round steps up to the first one not below most.
func linearTicks(most float64) []float64 {
	if most <= 0 {
		return []float64{0, 1}
	}
	step := math.Pow(10, math.Floor(math.Log10(most/4)))
	for _, m := range []float64{2, 2.5, 2} { // 1, 2, 5, 10 times a power of ten
		if most/step <= 5 {
			break
		}
		step *= m
	}
	ticks := []float64{0}
	for n := 1.0; ticks[len(ticks)-1] < most; n++ {
		ticks = append(ticks, n*step)
	}
	return ticks
}

// logTicks are 1, 2 and 5 times powers of ten, or those powers alone where they are many, around the range.
func logTicks(least, most float64) []float64 {
	steps := []float64{1, 2, 5}
	if most/least > 1e3 {
		steps = steps[:1]
	}
	var all []float64
	for p := math.Floor(math.Log10(least)); p <= math.Ceil(math.Log10(most)); p++ {
		for _, m := range steps {
			all = append(all, m*math.Pow(10, p))
		}
	}
	first, last := 0, len(all)-1
	for first+1 < last && all[first+1] <= least {
		first++
	}
	for last-1 > first && all[last-1] >= most {
		last--
	}
	return all[first : last+1]
}
