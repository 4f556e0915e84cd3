package shell_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"

	"github.com/scripcards/scrip/internal/cli/shell"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
)

type state string

// What is shown is a table to people and values to programs: each of its kind, in the columns' order.
func TestOutput(t *testing.T) {
	at := time.Date(2026, 11, 27, 9, 30, 5, 7, time.FixedZone("CET", 3600))
	day := at.UTC().Truncate(24 * time.Hour)
	var none []string
	var nobody *url.URL
	var nothing *time.Time
	values := []struct {
		name       string
		value      any
		text, json string
	}{
		{"ZEBRA", state("active"), "active", `"active"`},
		{"Below Cost", true, "true", `true`},
		{"count", 12, "12", `12`},
		{"big", int64(1) << 53, "9007199254740992", `9007199254740992`},
		{"metric", 0.615, "0.615", `0.615`},
		{"missing", nil, "", `null`},
		{"at", at, "2026-11-27T08:30:05Z", `"2026-11-27T08:30:05Z"`},
		{"never", time.Time{}, "", `null`},
		{"amount", money.New(1250, money.USD), "12.50", `"12.50"`},
		{"currency", money.USD, "USD", `"USD"`},
		{"deadline", 90 * time.Second, "1m30s", `"1m30s"`},
		{"scopes", []string{"a:b", "c"}, "a:b c", `["a:b","c"]`},
		{"lengths", []int{16, 19}, "16 19", `[16,19]`},
		{"currencies", []money.Currency{money.USD, money.EUR}, "USD EUR", `["USD","EUR"]`},
		{"none", none, "", `[]`},
		{"percent", json.Number("98.00"), "98.00", `98.00`},
		{"share", shell.Decimal(0.5, 4), "0.5000", `0.5000`},
		{"no share", shell.Decimal(math.NaN(), 4), "NaN", `null`},
		{"more", shell.Cell{Text: "100+", Value: 100}, "100+", `100`},
		{"set", shell.OrDefault(4), "4", `4`},
		{"unset", shell.OrDefault(time.Duration(0)), "default", `null`},
		{"address", &url.URL{Scheme: "https", Host: "scrip.test"}, "https://scrip.test", `"https://scrip.test"`},
		{"nowhere", nobody, "", `null`},
		{"day", &day, "2026-11-27T00:00:00Z", `"2026-11-27T00:00:00Z"`},
		{"no day", nothing, "", `null`},
		{"of money", new(money.New(100, money.EUR)), "1.00", `"1.00"`},
		{"of count", new(7), "7", `7`},
		{"failure", fault.New(fault.NotFound, "no such card"), "not_found: no such card", `"not_found: no such card"`},
		{"wrapped", fmt.Errorf("read: %w", io.ErrUnexpectedEOF), "read: unexpected EOF", `"read: unexpected EOF"`},
		{"undefined", math.NaN(), "NaN", `null`},
		{"infinite", shell.Cell{Text: "ever", Value: float32(math.Inf(1))}, "ever", `null`},
		{"scores", []float64{0.5, math.Inf(-1)}, "0.5 -Inf", `[0.5,null]`},
		{"note", "<b> & \"c\"", `<b> & "c"`, `"<b> & \"c\""`},
	}
	var l shell.Listing
	var fields []shell.Field
	var row []any
	var members, lines []string
	for _, v := range values {
		l.Columns, row, fields = append(l.Columns, v.name), append(row, v.value), append(fields, shell.Field{v.name, v.value})
		members = append(members, `"`+strings.ReplaceAll(strings.ToLower(v.name), " ", "_")+`":`+v.json)
		lines = append(lines, v.name+strings.Repeat(" ", 12-len(v.name))+v.text)
	}
	l.Add(row...)
	object := "{" + strings.Join(members, ",") + "}"

	if diff := cmp.Diff(strings.Join(lines, "\n")+"\n", shown(t, shell.Table, func(s *shell.Shell, cmd *cobra.Command) error { return s.Show(cmd, fields) })); diff != "" {
		t.Errorf("a thing to people (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(indented(t, object), shown(t, shell.JSON, func(s *shell.Shell, cmd *cobra.Command) error { return s.Show(cmd, fields) })); diff != "" {
		t.Errorf("a thing to programs (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(indented(t, "["+object+"]"), shown(t, shell.JSON, func(s *shell.Shell, cmd *cobra.Command) error { return s.Print(cmd, l) })); diff != "" {
		t.Errorf("a listing to programs (-want +got):\n%s", diff)
	}
	table := strings.Split(shown(t, shell.Table, func(s *shell.Shell, cmd *cobra.Command) error { return s.Print(cmd, l) }), "\n")
	if len(table) != 3 || table[2] != "" {
		t.Fatalf("a listing of a row to people: %q", table)
	}
	for _, v := range values {
		at := strings.Index(table[0], strings.ToUpper(v.name))
		if got := table[1][at:]; !strings.HasPrefix(got, v.text+"  ") && strings.TrimSpace(got) != v.text {
			t.Errorf("%s to people: %q, want %q", v.name, got, v.text)
		}
	}
}

// A listing of nothing is its head to people, and a list of nothing to programs.
func TestOutputOfNothing(t *testing.T) {
	l := shell.Listing{Columns: []string{"KEY", "NAME"}}
	for form, want := range map[string]string{shell.Table: "KEY  NAME\n", shell.JSON: "[]\n"} {
		if got := shown(t, form, func(s *shell.Shell, cmd *cobra.Command) error { return s.Print(cmd, l) }); got != want {
			t.Errorf("%s: %q, want %q", form, got, want)
		}
	}
}

// Programs get the names of the operator API, people words.
func TestNames(t *testing.T) {
	names := []string{"book_id", "item_code", "last_used_at", "value_max", "AT"}
	l := shell.Listing{Columns: names}
	l.Add(1, 2, 3, 4, 5)
	fields := make([]shell.Field, len(names))
	for i, name := range names {
		fields[i] = shell.Field{name, i + 1}
	}
	list := func(s *shell.Shell, cmd *cobra.Command) error { return s.Print(cmd, l) }
	show := func(s *shell.Shell, cmd *cobra.Command) error { return s.Show(cmd, fields) }
	want := "BOOK  ITEM  LAST USED  VALUE MAX  AT\n1     2     3          4          5\n"
	if diff := cmp.Diff(want, shown(t, shell.Table, list)); diff != "" {
		t.Errorf("a listing to people (-want +got):\n%s", diff)
	}
	want = "book       1\nitem       2\nlast used  3\nvalue max  4\nAT         5\n"
	if diff := cmp.Diff(want, shown(t, shell.Table, show)); diff != "" {
		t.Errorf("a thing to people (-want +got):\n%s", diff)
	}
	want = indented(t, `{"book_id":1,"item_code":2,"last_used_at":3,"value_max":4,"at":5}`)
	if diff := cmp.Diff(want, shown(t, shell.JSON, show)); diff != "" {
		t.Errorf("a thing to programs (-want +got):\n%s", diff)
	}
}

func shown(t *testing.T, form string, show func(*shell.Shell, *cobra.Command) error) string {
	t.Helper()
	var out bytes.Buffer
	cmd := &cobra.Command{}
	cmd.SetOut(&out)
	if err := show(&shell.Shell{Output: form}, cmd); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func indented(t *testing.T, text string) string {
	t.Helper()
	var out bytes.Buffer
	if err := json.Indent(&out, []byte(text), "", "  "); err != nil {
		t.Fatal(err)
	}
	return out.String() + "\n"
}
