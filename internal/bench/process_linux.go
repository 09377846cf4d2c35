package bench

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// ownGroup keeps Ctrl-C, which is for the driver, from a program of its; and ends that with the driver, should nothing else have
// done so.
func ownGroup() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// cpuTime returns what a process has used of all cores so far.
func cpuTime(pid int) (time.Duration, error) {
	// The kernel's number for the CPU clock of another process, as clock_getcpuclockid(3) makes it.
	const sched = 2
	var t unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|sched), &t); err != nil {
		return 0, fmt.Errorf("the CPU time of process %d: %w", pid, err)
	}
	return time.Duration(t.Nano()), nil
}

func busyNow() (busy, error) {
	const tick = 10 * time.Millisecond // USER_HZ is 100 on every platform of Go's
	b := busy{at: time.Now()}
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return b, err
	}
	line, _, _ := strings.Cut(string(text), "\n")
	// user, nice, system, idle, iowait, irq, softirq, steal: proc(5)
	for i, field := range strings.Fields(strings.TrimPrefix(line, "cpu")) {
		if n, err := strconv.Atoi(field); err == nil && i < 8 && i != 3 && i != 4 {
			b.all += time.Duration(n) * tick
		}
	}
	for _, who := range []int{unix.RUSAGE_SELF, unix.RUSAGE_CHILDREN} {
		var usage unix.Rusage
		if err := unix.Getrusage(who, &usage); err != nil {
			return b, err
		}
		b.ours += time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
	}
	return b, nil
}

// memory returns the bytes that a process has in main memory, and the most that it ever had.
func memory(pid int) (now, peak int, err error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, 0, err
	}
	now, err = kib(string(text), "VmRSS:")
	if err == nil {
		peak, err = kib(string(text), "VmHWM:")
	}
	return now, peak, err
}

func kib(status, name string) (int, error) {
	_, rest, _ := strings.Cut(status, "\n"+name)
	number, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
	n, err := strconv.Atoi(number)
	if err != nil {
		return 0, fmt.Errorf("no %s in the status of a process", name)
	}
	return n << 10, nil
}
