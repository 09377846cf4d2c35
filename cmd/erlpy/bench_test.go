package main

import (
	"encoding/xml"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/erlpy/erlpy/internal/bench"
)

// Every figure that a run finds. Those of the second list may be 0 when they are measured as briefly as here.
var (
	benchRows = strings.Fields(`
		call/floor_p50 call/floor_p99 call/floor_rate call/p50 call/p99 call/rate call/block_p50 call/block_p99 call/block_rate
		call/p50_to_floor call/floor_to_block call/rate_to_block
		threads/16_p50 threads/16_p99 threads/16_rate threads/16_rate_to_one threads/16_fairness
		threads/64_p50 threads/64_p99 threads/64_rate threads/64_rate_to_one threads/64_fairness
		idle/cpu
		paced/1_p50 paced/1_block_p50 paced/1_cpu paced/1_block_cpu paced/1_cpu_to_block
		paced/16_p50 paced/16_block_p50 paced/16_cpu paced/16_block_cpu paced/16_cpu_to_block
		go/name go/bound go/nothing go/name_to_nothing go/bound_to_nothing
		terms/list terms/list_node terms/list_pickle terms/str terms/str_node terms/str_pickle terms/dicts terms/dicts_node terms/dicts_pickle
		terms/bytes_1 terms/bytes_4096 terms/bytes_1048576 terms/peak
		pipeline/map pipeline/async_call pipeline/loop pipeline/submit
		memory/host memory/node memory/both
		parallel/one_host parallel/two_hosts parallel/speed_up
		py_call/p50 py_call/p99 py_call/rate`)
	mayBeNothing = []string{"idle/cpu", "threads/16_fairness", "threads/64_fairness"}
	benchSeries  = []string{"threads/p50", "threads/p99", "threads/rate", "threads/fairness", "terms/payload"}
)

func TestBench(t *testing.T) {
	needApplication(t)
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	file, svg := filepath.Join(dir, "bench.json"), filepath.Join(dir, "plots")
	got := erlpy(t, "bench", "--quick", "--json", file, "--svg", svg)
	if got.status != 0 || got.stderr != "" {
		t.Fatalf("%+v", got)
	}
	for _, text := range []string{"erlpy " + version + ", Python 3.", ", Erlang/OTP 2", "WHAT", "MEDIAN", "AIM", "For orientation only"} {
		if !strings.Contains(got.stdout, text) {
			t.Errorf("no %q in the table\n%s", text, got.stdout)
		}
	}
	report, err := bench.Read(file)
	if err != nil {
		t.Fatal(err)
	}
	checkRows(t, report, got.stdout)
	var series []string
	for _, s := range report.Series {
		series = append(series, s.Workload+"/"+s.Name)
		for _, p := range s.Points {
			if p.X <= 0 || p.Least > p.Median || p.Median > p.Most {
				t.Errorf("%s/%s: %+v", s.Workload, s.Name, p)
			}
		}
	}
	if !slices.Equal(series, benchSeries) {
		t.Errorf("series %q, want %q", series, benchSeries)
	}
	text, err := os.ReadFile(file)
	if err != nil || strings.Contains(string(text), dir) || strings.Contains(string(text), "python3") {
		t.Errorf("a path in the report, or %v\n%s", err, text)
	}
	for _, name := range []string{"latency.svg", "rate.svg", "payload.svg"} {
		checkPicture(t, filepath.Join(svg, name))
	}
	if left, err := filepath.Glob(filepath.Join(dir, "erlpy-*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %q, %v", left, err)
	}

	again := erlpy(t, "bench", "--quick", "--only", "call,go", "--rounds", "2", "--compare", file)
	if again.status != 0 || !strings.Contains(again.stdout, "NEW / OLD") || strings.Contains(again.stdout, "\nterms") {
		t.Errorf("%+v, want a comparison of two workloads", again)
	}
}

func checkRows(t *testing.T, report *bench.Report, table string) {
	t.Helper()
	var rows []string
	for _, r := range report.Rows {
		name := r.Workload + "/" + r.Name
		rows = append(rows, name)
		if !strings.Contains(table, "  "+r.What+"  ") {
			t.Errorf("%s: no %q in the table", name, r.What)
		}
		switch least := r.Least; {
		case len(r.Rounds) == 0:
			// The one thing that a build may not have.
			if r.Workload != "go" || r.Note == "" {
				t.Errorf("%s was not measured: %+v", name, r)
			}
		case least < 0, least == 0 && !slices.Contains(mayBeNothing, name):
			t.Errorf("%s is %v", name, r.Rounds)
		}
		if (r.Aim != nil && len(r.Rounds) > 0) != (r.Met != nil) {
			t.Errorf("%s: aim %v, met %v", name, r.Aim, r.Met)
		}
	}
	if !slices.Equal(rows, benchRows) {
		t.Errorf("rows %q, want %q", rows, benchRows)
	}
}

func checkPicture(t *testing.T, path string) {
	t.Helper()
	svg, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer svg.Close()
	lines := 0
	for d := xml.NewDecoder(svg); ; {
		token, err := d.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(path, err)
		}
		if e, ok := token.(xml.StartElement); ok && e.Name.Local == "polyline" {
			lines++
		}
	}
	if lines == 0 {
		t.Errorf("%s shows nothing", path)
	}
}

func TestBenchUsage(t *testing.T) {
	empty := file(t, "empty.json", "{}")
	for _, test := range []struct {
		name   string
		args   []string
		status int
		stderr string
	}{
		{"no such workload", []string{"--only", "call,fly"}, 2, `no workload "fly": there are call, threads, `},
		{"rounds below none", []string{"--rounds", "-1"}, 2, "--rounds cannot be negative: -1"},
		{"rounds that are no number", []string{"--rounds", "x"}, 2, `"--rounds" flag`},
		{"an argument", []string{"call"}, 2, `unknown command "call" for "erlpy bench"`},
		{"nothing to compare with", []string{"--compare", "/no/such.json"}, 2, "/no/such.json: no such file"},
		{"something else to compare with", []string{"--compare", empty}, 2, empty + " is no report of erlpy bench"},
		{"nowhere to write to", []string{"--json", "/no/such/new.json"}, 2, "--json: open /no/such/new.json: no such file"},
		{"nowhere to draw", []string{"--svg", empty}, 2, "--svg: mkdir " + empty},
		{"no such Python", []string{"--python", "/no/such/python"}, 127, "/no/such/python does not exist"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var stdout, stderr strings.Builder
			status := run(append([]string{"bench"}, test.args...), strings.NewReader(""), &stdout, &stderr)
			if status != test.status || !strings.Contains(stderr.String(), test.stderr) || stdout.Len() > 0 {
				t.Errorf("status %d, stdout %q, stderr %q; want status %d, stderr with %q", status, &stdout, &stderr, test.status, test.stderr)
			}
		})
	}
}

// However the driver ends, what it started ends too.
func TestBenchEnds(t *testing.T) {
	needApplication(t)
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGKILL} {
		t.Run(signal.String(), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			cmd := command(t, "bench", "--only", "paced", "--rounds", "1000")
			cmd.Env = append(cmd.Env, "TMPDIR="+dir, "XDG_RUNTIME_DIR="+dir)
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			started := waitForPrograms(t, dir, 4) // two nodes, two Python programs
			if err := cmd.Process.Signal(signal); err != nil {
				t.Fatal(err)
			}
			_ = cmd.Wait()
			for _, pid := range started {
				expectEnd(t, pid)
			}
			if signal == syscall.SIGKILL {
				return // nobody was left to clean up
			}
			if status := cmd.ProcessState.ExitCode(); status != statusInterrupted {
				t.Errorf("status %d, want %d", status, statusInterrupted)
			}
			if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
				t.Errorf("left behind: %v, %v", left, err)
			}
		})
	}
}

// waitForPrograms returns the processes whose command lines have dir in them, as soon as there are so many.
func waitForPrograms(t *testing.T, dir string, n int) []int {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if pids := programs(t, dir); len(pids) >= n {
			return pids
		}
	}
	t.Fatalf("there are not %d programs in %s", n, dir)
	return nil
}

func programs(t *testing.T, dir string) (pids []int) {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		line, err := os.ReadFile(file)
		if err != nil || !strings.Contains(string(line), dir) {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if err != nil {
			t.Fatal(err)
		}
		pids = append(pids, pid)
	}
	return pids
}

func expectEnd(t *testing.T, pid int) {
	t.Helper()
	fd, err := unix.PidfdOpen(pid, 0)
	if err == unix.ESRCH {
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	const patience = 10_000
	for {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, patience)
		if err == unix.EINTR {
			continue
		}
		if n != 1 {
			t.Errorf("process %d did not end", pid)
			_ = unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0)
		}
		return
	}
}
