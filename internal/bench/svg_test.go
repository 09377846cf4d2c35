package bench

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

func TestTicks(t *testing.T) {
	for _, test := range []struct {
		log         bool
		least, most float64
		want        string
	}{
		{false, 5, 237, "[0 50 100 150 200 250]"},
		{false, 0, 0, "[0 1]"},
		{false, 0, 1, "[0 0.2 0.4 0.6000000000000001 0.8 1]"},
		{false, 0, 95, "[0 20 40 60 80 100]"},
		{true, 4, 110, "[2 5 10 20 50 100 200]"},
		{true, 3, 30e3, "[1 10 100 1000 10000 100000]"},
		{true, 7, 7, "[5 10]"},
	} {
		s, ticks := niceScale(test.log, test.least, test.most)
		if got := fmt.Sprint(ticks); got != test.want {
			t.Errorf("from %v to %v, log %v: %s, want %s", test.least, test.most, test.log, got, test.want)
		}
		if s.max < test.most || test.log && s.min > test.least {
			t.Errorf("from %v to %v are not within %v", test.least, test.most, ticks)
		}
	}
}

func TestScale(t *testing.T) {
	linear := scale{min: 0, max: 10, from: 100, to: 0}
	logarithmic := scale{log: true, min: 1, max: 100, from: 0, to: 200}
	point := scale{log: true, min: 5, max: 5, from: 0, to: 200}
	for _, test := range []struct {
		s       scale
		v, want float64
	}{{linear, 0, 100}, {linear, 5, 50}, {logarithmic, 10, 100}, {logarithmic, 100, 200}, {point, 5, 100}} {
		if got := test.s.at(test.v); math.Abs(got-test.want) > 1e-9 {
			t.Errorf("%v is at %v of %+v, want %v", test.v, got, test.s, test.want)
		}
	}
}

// elements reads a picture, counts its elements, and fails for a place outside of it or one that is no number.
func elements(t *testing.T, svg []byte) map[string]int {
	t.Helper()
	counts := map[string]int{}
	d := xml.NewDecoder(bytes.NewReader(svg))
	for {
		token, err := d.Token()
		if err == io.EOF {
			return counts
		}
		if err != nil {
			t.Fatalf("%v in\n%s", err, svg)
		}
		e, ok := token.(xml.StartElement)
		if !ok {
			continue
		}
		counts[e.Name.Local]++
		for _, a := range e.Attr {
			switch a.Name.Local {
			case "x", "y", "x1", "x2", "y1", "y2", "cx", "cy", "points":
				for _, number := range strings.FieldsFunc(a.Value, func(r rune) bool { return r == ' ' || r == ',' }) {
					if v, err := strconv.ParseFloat(number, 64); err != nil || math.IsNaN(v) || v < 0 || v > width {
						t.Errorf("<%s %s=%q>", e.Name.Local, a.Name.Local, a.Value)
					}
				}
			}
		}
	}
}

func TestSVG(t *testing.T) {
	line := sample().Series[0]
	other := line
	other.What = "<&>"
	got := elements(t, chart{title: `"<&>"`, lines: []Series{line, other}}.svg())
	for name, want := range map[string]int{"svg": 1, "polyline": 2, "polygon": 2, "circle": 6, "line": 5} {
		if got[name] != want {
			t.Errorf("%d of <%s>, want %d", got[name], name, want)
		}
	}
	elements(t, chart{title: "one point", log: true, lines: []Series{{X: "bytes", Unit: PerSecond, Points: line.Points[:1]}}}.svg())
}

// What was measured is drawn, and nothing else.
func TestWritePlots(t *testing.T) {
	r := sample()
	r.Series[0].Workload = "threads"
	dir := filepath.Join(t.TempDir(), "new")
	if err := r.WritePlots(dir); err != nil {
		t.Fatal(err)
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 1 || files[0].Name() != "rate.svg" {
		t.Errorf("%v, %v; want rate.svg", files, err)
	}
}
