package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
)

// The forms of output.
const (
	formTable = "table"
	formJSON  = "json"
	formCSV   = "csv" // of some commands
)

// listing is a table for people and the same as values for programs.
type listing struct {
	columns []string
	rows    [][]string
}

func (l *listing) add(values ...string) { l.rows = append(l.rows, values) }

// print shows a listing in the form that was asked for. In JSON a row is an object
// whose names are the columns in lower case.
func (p *program) print(cmd *cobra.Command, l listing) error {
	out := cmd.OutOrStdout()
	if p.output == formJSON {
		return writeJSON(out, l.objects())
	}
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, strings.Join(l.columns, "\t")) // the error comes with Flush
	for _, row := range l.rows {
		_, _ = fmt.Fprintln(w, strings.Join(row, "\t"))
	}
	return w.Flush()
}

// objects returns the rows as JSON shows them.
func (l *listing) objects() []map[string]string {
	objects := make([]map[string]string, 0, len(l.rows))
	for _, row := range l.rows {
		fields := make([]field, len(row))
		for i, value := range row {
			fields[i] = field{l.columns[i], value}
		}
		objects = append(objects, object(fields))
	}
	return objects
}

// field is one line of show.
type field struct{ name, value string }

// show prints one thing, a line per field.
func (p *program) show(cmd *cobra.Command, fields []field) error {
	if p.output == formJSON {
		return writeJSON(cmd.OutOrStdout(), object(fields))
	}
	w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 4, 2, ' ', 0)
	for _, f := range fields {
		_, _ = fmt.Fprintf(w, "%s\t%s\n", f.name, f.value)
	}
	return w.Flush()
}

// object returns fields under the names that JSON has for them.
func object(fields []field) map[string]string {
	named := make(map[string]string, len(fields))
	for _, f := range fields {
		named[strings.ReplaceAll(strings.ToLower(f.name), " ", "_")] = f.value
	}
	return named
}

func writeJSON(w io.Writer, value any) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(value)
}

func moment(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}
