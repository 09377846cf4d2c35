package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"text/tabwriter"
)

// WriteJSON writes the report to a file, for Read.
func (r *Report) WriteJSON(path string) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(text, '\n'), 0o644)
}

// Read reads a report that WriteJSON wrote.
func Read(path string) (*Report, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var r Report
	if err := json.Unmarshal(text, &r); err != nil {
		return nil, fmt.Errorf("%s is no report of erlpy bench: %w", path, err)
	}
	if r.Format != Format {
		return nil, fmt.Errorf("%s is no report of erlpy bench in format %d", path, Format)
	}
	return &r, nil
}

// WriteComparison writes how a report's figures differ from those of an earlier one, as ratios. A difference is called better or worse
// only when the two ranges have nothing in common.
func (r *Report) WriteComparison(w io.Writer, old *Report) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "\tWHAT\tOLD\tNEW\tNEW / OLD\t")
	workload := ""
	for _, row := range r.Rows {
		before, found := old.row(row.Workload, row.Name)
		if !found || len(before.Rounds) == 0 || len(row.Rounds) == 0 {
			continue
		}
		name := row.Workload
		if name == workload {
			name = ""
		}
		workload = row.Workload
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n", name, row.What, before.median(), row.median(),
			digits(row.Median/before.Median), row.verdict(before))
	}
	return table.Flush()
}

func (r *Report) row(workload, name string) (Row, bool) {
	for _, row := range r.Rows {
		if row.Workload == workload && row.Name == name {
			return row, true
		}
	}
	return Row{}, false
}

func (r Row) verdict(before Row) string {
	switch {
	case r.Least <= before.Most && before.Least <= r.Most:
		return "~"
	case r.more() == (r.Median > before.Median):
		return "better"
	}
	return "worse"
}
