package bench

import (
	"fmt"
	"math"
	"strconv"
)

// format gives a figure three digits and a prefix that suits it.
func (u Unit) format(v float64) string {
	switch u {
	case Nanoseconds:
		return scaled(v, 1000, "ns", "us", "ms", "s")
	case PerSecond:
		return scaled(v, 1000, "/s", "k/s", "M/s", "G/s")
	case Times:
		return digits(v)
	case KiB:
		return scaled(v, 1024, "KiB", "MiB", "GiB")
	}
	return digits(v) + " " + string(u)
}

// scaled divides by step until the figure is short, and takes the unit that this leads to.
func scaled(v, step float64, units ...string) string {
	i := 0
	// 999.6 would be rounded to 1000.
	for ; math.Abs(v) >= step-0.5 && i < len(units)-1; i++ {
		v /= step
	}
	return digits(v) + " " + units[i]
}

// digits gives three significant digits, as 0.05, 1.23, 12.3, 123, and all of those before the point.
func digits(v float64) string {
	switch a := math.Abs(v); {
	case a >= 99.95:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case a >= 9.995:
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	return strconv.FormatFloat(v, 'f', 2, 64)
}

// binarySize is a number of bytes that is mostly a power of two.
func binarySize(n int) string {
	units := []string{"B", "KiB", "MiB"}
	i := 0
	for ; n >= 1024 && n%1024 == 0 && i < len(units)-1; i++ {
		n /= 1024
	}
	return fmt.Sprint(n, " ", units[i])
}
