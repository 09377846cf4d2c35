package bench

import "testing"

func TestUnitFormat(t *testing.T) {
	for _, test := range []struct {
		unit Unit
		v    float64
		want string
	}{
		{Nanoseconds, 0, "0.00 ns"},
		{Nanoseconds, 85.25, "85.2 ns"},
		{Nanoseconds, 999.4, "999 ns"},
		{Nanoseconds, 999.6, "1.00 us"},
		{Nanoseconds, 4096, "4.10 us"},
		{Nanoseconds, 1.2e6, "1.20 ms"},
		{Nanoseconds, 5e12, "5000 s"},
		{PerSecond, 29.5, "29.5 /s"},
		{PerSecond, 237123, "237 k/s"},
		{PerSecond, 4.01e6, "4.01 M/s"},
		{Times, 1.304, "1.30"},
		{Times, 12.34, "12.3"},
		{Percent, 0.943, "0.94 %"},
		{KiB, 26.61, "26.6 KiB"},
		{KiB, 2048, "2.00 MiB"},
		{KiB, -3, "-3.00 KiB"},
	} {
		if got := test.unit.format(test.v); got != test.want {
			t.Errorf("%v %s is %q, want %q", test.v, test.unit, got, test.want)
		}
	}
}

func TestBinarySize(t *testing.T) {
	for n, want := range map[int]string{1: "1 B", 256: "256 B", 1000: "1000 B", 4096: "4 KiB", 1 << 20: "1 MiB", 16 << 20: "16 MiB", 1 << 30: "1024 MiB"} {
		if got := binarySize(n); got != want {
			t.Errorf("%d is %q, want %q", n, got, want)
		}
	}
}
