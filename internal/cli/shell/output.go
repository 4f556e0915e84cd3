package shell

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
)

// The forms of output.
const (
	Table = "table"
	JSON  = "json"
	CSV   = "csv" // of some commands
)

// Listing is a table for people and the same as values for programs. Columns have the names of
// the operator API where it shows the same.
type Listing struct {
	Columns []string
	Rows    [][]any
}

// Add adds a row, with a value for each column: as a type of its own rather than as a text. Times,
// numbers, switches, amounts, ids, lists and Cells will do, and nil for what is not there.
func (l *Listing) Add(values ...any) { l.Rows = append(l.Rows, values) }

// Objects returns the rows as JSON shows them: objects whose names are the columns.
func (l *Listing) Objects() []Object {
	objects := make([]Object, len(l.Rows))
	for i, row := range l.Rows {
		objects[i] = make(Object, len(row))
		for j, value := range row {
			objects[i][j] = Field{l.Columns[j], value}
		}
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
	heads := make([]string, len(l.Columns))
	for i, name := range l.Columns {
		heads[i] = strings.ToUpper(caption(name))
	}
	_, _ = fmt.Fprintln(w, strings.Join(heads, "\t")) // the error comes with Flush
	for _, row := range l.Rows {
		_, _ = fmt.Fprintln(w, strings.Join(Texts(row), "\t"))
	}
	return w.Flush()
}

// Field is the name and the value of one line of Show.
type Field [2]any

// Show prints one thing, a line per field.
func (s *Shell) Show(cmd *cobra.Command, fields []Field) error {
	if s.Output == JSON {
		return WriteJSON(cmd.OutOrStdout(), Object(fields))
	}
	w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 4, 2, ' ', 0)
	for _, f := range fields {
		_, _ = fmt.Fprintln(w, caption(text(f[0]))+"\t"+text(f[1]))
	}
	return w.Flush()
}

// caption is a name as people see it: words, without what its values tell by themselves, that they
// are ids, codes or times.
func caption(name string) string {
	for _, kind := range []string{"_id", "_code", "_at"} {
		name = strings.TrimSuffix(name, kind)
	}
	return strings.ReplaceAll(name, "_", " ")
}

// WriteJSON writes a value for programs.
func WriteJSON(w io.Writer, value any) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(value)
}
