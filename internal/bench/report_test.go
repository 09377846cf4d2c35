package bench

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestAim(t *testing.T) {
	for _, test := range []struct {
		aim  *Aim
		v    float64
		want bool
	}{
		{atMost(4), 4, true}, {atMost(4), 4.1, false},
		{atLeast(4), 4, true}, {atLeast(4), 3.9, false},
		{below(4), 3.9, true}, {below(4), 4, false},
	} {
		if got := test.aim.met(test.v); got != test.want {
			t.Errorf("%v %s %v is %v", test.v, test.aim.Op, test.aim.Value, got)
		}
	}
}

// sample is a report with a row of each sort.
func sample() *Report {
	s := &sheet{workload: "call"}
	s.row("p50", "a call, p50", Nanoseconds, Samples{4000, 4200, 3900}, nil)
	s.row("rate", "calls", PerSecond, Samples{200e3, 210e3, 205e3}, atLeast(150e3))
	s.row("p50_to_floor", "p50, to the floor's", Times, Samples{1.4, 1.5, 1.45}, atMost(1.3))
	g := &sheet{workload: "go"}
	g.missing("nothing", "a C method", Nanoseconds, atMost(100), "this build has none")
	at := map[int]Samples{1: {100e3, 200e3, 150e3}, 2: {180e3, 180e3, 180e3}, 512: {90e3, 70e3, 80e3}}
	g.plot("rate", "calls", "threads", PerSecond, []int{1, 2, 512}, at)
	return &Report{
		Format: Format, When: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Rounds: 3,
		Versions: Versions{"0.1.0", "3.13.0", "27", "go1.26"}, Machine: Machine{"linux/amd64 6.1", 2, "A CPU", 3},
		Rows: append(s.rows, g.rows...), Series: g.series,
	}
}

func TestWriteTable(t *testing.T) {
	const want = `erlpy 0.1.0, Python 3.13.0, Erlang/OTP 27, go1.26
linux/amd64 6.1, 2 x A CPU
Medians of 3 rounds, in which what is compared was measured in turn.
Other programs used 3 % of the CPUs meanwhile.

      WHAT                 MEDIAN   LEAST .. MOST        AIM         
call  a call, p50          4.00 us  3.90 us .. 4.20 us               
      calls                205 k/s  200 k/s .. 210 k/s   >= 150 k/s  met
      p50, to the floor's  1.45     1.40 .. 1.50         <= 1.30     not met
go    a C method           -        this build has none  <= 100 ns   
`
	var b strings.Builder
	if err := sample().WriteTable(&b); err != nil || b.String() != want {
		t.Errorf("%v\n%s, want\n%s", err, b.String(), want)
	}
}

func TestWriteTableTellsHowFarToTrustIt(t *testing.T) {
	r := sample()
	r.Quick, r.Machine.Others = true, 40
	var b strings.Builder
	if err := r.WriteTable(&b); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"For orientation only", "used 40 % of the CPUs meanwhile: take the figures with care"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
}

func TestJSONRoundTrip(t *testing.T) {
	path := filepath.Join(t.TempDir(), "report.json")
	r := sample()
	if err := r.WriteJSON(path); err != nil {
		t.Fatal(err)
	}
	got, err := Read(path)
	if err != nil || !reflect.DeepEqual(got, r) {
		t.Errorf("read %+v, %v; want %+v", got, err, r)
	}
}

func TestReadErrors(t *testing.T) {
	for name, test := range map[string]struct{ text, want string }{
		"no JSON":        {"hello", "is no report of erlpy bench"},
		"another thing":  {"{}", "is no report of erlpy bench in format 1"},
		"another format": {`{"format": 2}`, "in format 1"},
	} {
		path := filepath.Join(t.TempDir(), "old.json")
		if err := os.WriteFile(path, []byte(test.text), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := Read(path); err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v, want %q", name, err, test.want)
		}
	}
}

func TestWriteComparison(t *testing.T) {
	old, now := sample(), sample()
	change := func(r *Report, row int, rounds Samples) {
		was := r.Rows[row]
		s := &sheet{workload: was.Workload}
		s.row(was.Name, was.What, was.Unit, rounds, was.Aim)
		r.Rows[row] = s.rows[0]
	}
	change(now, 0, Samples{2000, 2100, 1900})    // less time
	change(now, 1, Samples{100e3, 101e3, 102e3}) // fewer calls
	change(now, 2, Samples{1.5, 1.6, 1.7})       // a ratio whose ranges touch
	now.Rows = append(now.Rows, Row{Workload: "new", Name: "p50", Rounds: Samples{1}})
	const want = `      WHAT                 OLD      NEW      NEW / OLD  
call  a call, p50          4.00 us  2.00 us  0.50       better
      calls                205 k/s  101 k/s  0.49       worse
      p50, to the floor's  1.45     1.60     1.10       ~
`
	var b strings.Builder
	if err := now.WriteComparison(&b, old); err != nil || b.String() != want {
		t.Errorf("%v\n%s, want\n%s", err, b.String(), want)
	}
	change(now, 2, Samples{1.1, 1.2}) // an aim says which way is better
	b.Reset()
	if err := now.WriteComparison(&b, old); err != nil || !strings.Contains(b.String(), "1.15     0.79       better") {
		t.Errorf("%v\n%s, want a better ratio", err, b.String())
	}
}

func TestOthers(t *testing.T) {
	start := time.Now()
	before := busy{start, 100 * time.Second, 10 * time.Second}
	after := busy{start.Add(10 * time.Second), 115 * time.Second, 20 * time.Second}
	if got := others(before, after, 2); got != 25 { // 5 of 20 seconds
		t.Errorf("%v %%, want 25", got)
	}
}
