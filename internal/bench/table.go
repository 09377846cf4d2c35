package bench

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// WriteTable writes the report for people.
func (r *Report) WriteTable(w io.Writer) error {
	v, m := r.Versions, r.Machine
	fmt.Fprintf(w, "erlpy %s, Python %s, Erlang/OTP %s, %s\n%s, %d x %s\n", v.Erlpy, v.Python, v.OTP, v.Go, m.System, m.CPUs, m.CPU)
	fmt.Fprintln(w, r.method())
	if m.Others >= 0 {
		fmt.Fprintf(w, "Other programs used %.0f %% of the CPUs meanwhile%s.\n", m.Others, m.doubt())
	}
	fmt.Fprintln(w)
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "\tWHAT\tMEDIAN\tLEAST .. MOST\tAIM\t")
	workload := ""
	for _, row := range r.Rows {
		name := row.Workload
		if name == workload {
			name = "" // once is enough
		}
		workload = row.Workload
		fmt.Fprintln(table, strings.Join([]string{name, row.What, row.median(), row.spread(), row.aim(), row.mark()}, "\t"))
	}
	return table.Flush()
}

func (m Machine) doubt() string {
	if m.Others > 10 {
		return ": take the figures with care"
	}
	return ""
}

func (r *Report) method() string {
	if r.Quick {
		return "For orientation only: everything was measured briefly."
	}
	return fmt.Sprintf("Medians of %d rounds, in which what is compared was measured in turn.", r.Rounds)
}

func (r Row) median() string {
	if len(r.Rounds) == 0 {
		return "-"
	}
	return r.Unit.format(r.Median)
}

func (r Row) spread() string {
	switch {
	case len(r.Rounds) == 0:
		return r.Note
	case len(r.Rounds) == 1:
		return ""
	}
	return r.Unit.format(r.Least) + " .. " + r.Unit.format(r.Most)
}

func (r Row) aim() string {
	if r.Aim == nil {
		return ""
	}
	return r.Aim.Op + " " + r.Unit.format(r.Aim.Value)
}

func (r Row) mark() string {
	switch {
	case r.Met == nil:
		return ""
	case *r.Met:
		return "met"
	}
	return "not met"
}
