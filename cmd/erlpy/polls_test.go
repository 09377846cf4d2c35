package main

import "testing"

func TestPolls(t *testing.T) {
	for text, want := range map[string]int{"0": -1, "1": 1, "500": 500} {
		n := 0
		if err := (polls{&n}).Set(text); err != nil || n != want {
			t.Errorf("--poll %s: %d, %v; want %d", text, n, err, want)
		}
	}
	for _, text := range []string{"-1", "", "x", "1.5"} {
		n := 7
		if err := (polls{&n}).Set(text); err == nil || n != 7 {
			t.Errorf("--poll %q: %d, %v; want an error", text, n, err)
		}
	}
}
