package bench

import (
	"bytes"
	"cmp"
	"fmt"
	"html"
	"math"
	"regexp"
	"slices"
	"strings"
)

// chart draws series that share both axes: a line of medians, and behind it the range of all rounds.
type chart struct {
	title string
	log   bool
	lines []Series
}

// The picture, in pixels, and the margins of its plane; the right one is for the names of the lines.
const (
	width, height            = 720, 416
	left, right, top, bottom = 72, 72, 72, 52
)

const style = `<style>
text { font: 13px system-ui, sans-serif; fill: #444 }
.title { font-size: 16px; font-weight: 600; fill: #111 }
.grid { stroke: #ddd; stroke-width: 1 }
.c0 { color: #0b62c4 }
.c1 { color: #c4510b }
.line { fill: none; stroke: currentColor; stroke-width: 2; stroke-linejoin: round }
.range { fill: currentColor; opacity: .15 }
.dot, .name { fill: currentColor }
.paper { fill: #fff }
@media (prefers-color-scheme: dark) {
text { fill: #bbb } .title { fill: #eee } .grid { stroke: #3a3a3a } .paper { fill: #16181c }
.c0 { color: #6cb2ff } .c1 { color: #ffa162 }
}
</style>
`

// svg returns the picture.
func (c chart) svg() []byte {
	least, most := math.Inf(1), 0.0
	for _, l := range c.lines {
		for _, p := range l.Points {
			least, most = min(least, p.Least), max(most, p.Most)
		}
	}
	y, ticks := niceScale(c.log, least, most)
	y.from, y.to = height-bottom, top
	points := c.lines[0].Points
	x := scale{log: true, min: points[0].X, max: points[len(points)-1].X, from: left, to: width - right}

	var b bytes.Buffer
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" role="img">`+"\n", width, height)
	b.WriteString(style)
	fmt.Fprintf(&b, `<title>%s</title><rect class="paper" width="%d" height="%d"/>`+"\n", html.EscapeString(c.title), width, height)
	text(&b, 16, 28, "start", "title", c.title)
	text(&b, 16, 48, "start", "", "medians of the rounds, and from the least to the most")
	for _, v := range ticks {
		fmt.Fprintf(&b, `<line class="grid" x1="%d" x2="%d" y1="%.1f" y2="%.1[3]f"/>`+"\n", left, width-right, y.at(v))
		text(&b, left-8, y.at(v)+4, "end", "", round(c.lines[0].Unit.format(v)))
	}
	for _, p := range points {
		text(&b, x.at(p.X), height-bottom+20, "middle", "", c.lines[0].label(p.X))
	}
	text(&b, (left+width-right)/2, height-10, "middle", "", c.lines[0].X)
	for i, l := range c.lines {
		fmt.Fprintf(&b, `<g class="c%d">`+"\n", i)
		l.draw(&b, x, y)
		b.WriteString("</g>\n")
	}
	c.names(&b, y)
	b.WriteString("</svg>\n")
	return b.Bytes()
}

// round takes the zeros behind the point off a figure that has nothing else there.
func round(figure string) string { return zeros.ReplaceAllString(figure, "") }

var zeros = regexp.MustCompile(`\.0+\b`)

// draw adds a line with its range.
func (s Series) draw(b *bytes.Buffer, x, y scale) {
	var line, upper, lower []string
	for _, p := range s.Points {
		at := func(v float64) string { return fmt.Sprintf("%.1f,%.1f", x.at(p.X), y.at(v)) }
		line, upper, lower = append(line, at(p.Median)), append(upper, at(p.Most)), append(lower, at(p.Least))
	}
	slices.Reverse(lower)
	fmt.Fprintf(b, `<polygon class="range" points="%s"/>`+"\n", strings.Join(append(upper, lower...), " "))
	fmt.Fprintf(b, `<polyline class="line" points="%s"/>`+"\n", strings.Join(line, " "))
	for _, p := range s.Points {
		fmt.Fprintf(b, `<circle class="dot" cx="%.1f" cy="%.1f" r="3"><title>%s %s: %s</title></circle>`+"\n",
			x.at(p.X), y.at(p.Median), s.label(p.X), s.X, s.Unit.format(p.Median))
	}
}

// names puts the name of each line beside its end, one below the other where ends are close.
func (c chart) names(b *bytes.Buffer, y scale) {
	type name struct {
		line int
		at   float64
	}
	var names []name
	for i, l := range c.lines {
		names = append(names, name{i, y.at(l.Points[len(l.Points)-1].Median) + 4})
	}
	slices.SortFunc(names, func(a, b name) int { return cmp.Compare(a.at, b.at) })
	last := math.Inf(-1)
	for _, n := range names {
		last = max(n.at, last+16)
		fmt.Fprintf(b, `<g class="c%d">`, n.line)
		text(b, width-right+10, last, "start", "name", c.lines[n.line].What)
		b.WriteString("</g>\n")
	}
}

func text(b *bytes.Buffer, x, y float64, anchor, class, s string) {
	fmt.Fprintf(b, `<text x="%.1f" y="%.1f" text-anchor="%s" class="%s">%s</text>`+"\n", x, y, anchor, class, html.EscapeString(s))
}
