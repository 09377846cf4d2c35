package bench

import (
	"bufio"
	"os"
	"runtime"
	"strings"

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
}

func thisMachine() Machine {
	m := Machine{System: runtime.GOOS + "/" + runtime.GOARCH, CPUs: runtime.NumCPU(), CPU: cpuModel()}
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
