package bench

import (
	"bufio"
	"os"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Versions are what was measured.
type Versions struct {
	Erlpy  string `json:"erlpy"`
	Python string `json:"python"`
	OTP    string `json:"otp"`
	Go     string `json:"go"`
}

// Machine is where.
type Machine struct {
	System string `json:"system"` // with the kernel's version
	CPUs   int    `json:"cpus"`
	CPU    string `json:"cpu"`

	// Others is what other programs used of all CPUs meanwhile, in percent; negative where that is not known.
	Others float64 `json:"others"`
}

func thisMachine() Machine {
	m := Machine{System: runtime.GOOS + "/" + runtime.GOARCH, CPUs: runtime.NumCPU(), CPU: cpuModel(), Others: -1}
	var name unix.Utsname
	if unix.Uname(&name) == nil {
		m.System += " " + unix.ByteSliceToString(name.Release[:])
	}
	return m
}

func cpuModel() string {
	file, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return "unknown"
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		if name, value, _ := strings.Cut(lines.Text(), ":"); strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}

// busy is the CPU time used so far by all programs, and by this one with those that it has started and seen end.
type busy struct {
	at        time.Time
	all, ours time.Duration
}

// others is what other programs have used of all CPUs, in percent.
func others(before, after busy, cpus int) float64 {
	theirs := (after.all - before.all) - (after.ours - before.ours)
	return max(0, 100*float64(theirs)/float64(after.at.Sub(before.at))/float64(cpus))
}
