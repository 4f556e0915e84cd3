package shell

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
	Table = "table"
	JSON  = "json"
	CSV   = "csv" // of some commands
)

// Listing is a table for people and the same as values for programs.
type Listing struct {
	Columns []string
	Rows    [][]string
}

// Add adds a row, with a value for each column.
func (l *Listing) Add(values ...string) { l.Rows = append(l.Rows, values) }

// Objects returns the rows as JSON shows them: objects whose names are the columns in
// lower case.
func (l *Listing) Objects() []map[string]string {
	objects := make([]map[string]string, 0, len(l.Rows))
	for _, row := range l.Rows {
		fields := make([]Field, len(row))
		for i, value := range row {
			fields[i] = Field{l.Columns[i], value}
		}
		objects = append(objects, Object(fields))
	}
	return objects
}

// Print shows a listing in the form that was asked for.
func (s *Shell) Print(cmd *cobra.Command, l Listing) error {
	out := cmd.OutOrStdout()
	if s.Output == JSON {
		return WriteJSON(out, l.Objects())
	}
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, strings.Join(l.Columns, "\t")) // the error comes with Flush
	for _, row := range l.Rows {
		_, _ = fmt.Fprintln(w, strings.Join(row, "\t"))
	}
	return w.Flush()
}

// Field is the name and the value of one line of Show.
type Field [2]string

// Show prints one thing, a line per field.
func (s *Shell) Show(cmd *cobra.Command, fields []Field) error {
	if s.Output == JSON {
		return WriteJSON(cmd.OutOrStdout(), Object(fields))
	}
	w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 4, 2, ' ', 0)
	for _, f := range fields {
		_, _ = fmt.Fprintf(w, "%s\t%s\n", f[0], f[1])
	}
	return w.Flush()
}

// Object returns fields under the names that JSON has for them.
func Object(fields []Field) map[string]string {
	named := make(map[string]string, len(fields))
	for _, f := range fields {
		named[strings.ReplaceAll(strings.ToLower(f[0]), " ", "_")] = f[1]
	}
	return named
}

// WriteJSON writes a value for programs.
func WriteJSON(w io.Writer, value any) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(value)
}

// Moment shows a time; the zero one is empty.
func Moment(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}
