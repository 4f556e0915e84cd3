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
	if p.output == "json" {
		objects := make([]map[string]string, 0, len(l.rows))
		for _, row := range l.rows {
			object := map[string]string{}
			for i, column := range l.columns {
				object[strings.ReplaceAll(strings.ToLower(column), " ", "_")] = row[i]
			}
			objects = append(objects, object)
		}
		return writeJSON(out, objects)
	}
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, strings.Join(l.columns, "\t")) // the error comes with Flush
	for _, row := range l.rows {
		_, _ = fmt.Fprintln(w, strings.Join(row, "\t"))
	}
	return w.Flush()
}

// field is one line of show.
type field struct{ name, value string }

// show prints one thing, a line per field.
func (p *program) show(cmd *cobra.Command, fields []field) error {
	if p.output == "json" {
		object := map[string]string{}
		for _, f := range fields {
			object[strings.ReplaceAll(strings.ToLower(f.name), " ", "_")] = f.value
		}
		return writeJSON(cmd.OutOrStdout(), object)
	}
	w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 4, 2, ' ', 0)
	for _, f := range fields {
		_, _ = fmt.Fprintf(w, "%s\t%s\n", f.name, f.value)
	}
	return w.Flush()
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
