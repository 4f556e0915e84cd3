package sheet_test

import (
	"encoding/csv"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/scripcards/scrip/internal/platform/sheet"
)

var known = []string{"code", "pin", "note"}

// read returns every row of a file, or the error that ends it.
func read(r io.Reader) (rows []sheet.Row, err error) {
	s, err := sheet.Open(r, 40, known, known[:1])
	if err != nil {
		return nil, err
	}
	for {
		row, err := s.Next()
		if errors.Is(err, io.EOF) {
			return rows, nil
		}
		if err != nil {
			return rows, err
		}
		rows = append(rows, row)
	}
}

// Rows come with their lines, whatever the ends of lines, quotes, empty lines and the size
// of what is read at once; a line that is no row says why and spoils no other.
func TestRows(t *testing.T) {
	text := "\ufeffpin,code\r\n1,a\n\r\n\"x, \"\"y\"\"\",b\n\"open,c\n1,\"d\" e\n1,f\"g\n1\n1,2,3\n1,2,3,4\n" + strings.Repeat("z", 41) + "\n\xff,h\n2,last"
	want := []sheet.Row{
		{Line: 2, Fields: []string{"1", "a"}},
		{Line: 4, Fields: []string{`x, "y"`, "b"}},
		{Line: 5, Wrong: "a quoted field does not end on its line"},
		{Line: 6, Wrong: "something stands between a closing quote and the comma"},
		{Line: 7, Wrong: "a quote stands in a field that is not quoted"},
		{Line: 8, Wrong: "it has 1 fields, the header has 2"},
		{Line: 9, Wrong: "it has 3 fields, the header has 2"},
		{Line: 10, Wrong: "it has more than 2 fields"},
		{Line: 11, Wrong: "it has more than 40 bytes"},
		{Line: 12, Wrong: "it is not UTF-8"},
		{Line: 13, Fields: []string{"2", "last"}},
	}
	for name, r := range map[string]io.Reader{"whole": strings.NewReader(text), "bytes": iotest.OneByteReader(strings.NewReader(text))} {
		got, err := read(r)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// A header names known columns once, and the required ones; a broken file ends with its own error.
func TestHeader(t *testing.T) {
	for _, text := range []string{"", "pin", "code,code", "code,colour", "code,pin,note,more", "\"code", strings.Repeat("code,", 20)} {
		if rows, err := read(strings.NewReader(text)); !errors.Is(err, sheet.ErrHeader) {
			t.Errorf("%q: %v, %v", text, rows, err)
		}
	}
	if _, err := read(strings.NewReader("\ufeff\n")); err == nil || !strings.HasSuffix(err.Error(), "it is empty") {
		t.Errorf("an empty line: %v", err)
	}
	if _, err := read(iotest.ErrReader(io.ErrClosedPipe)); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("broken: %v", err)
	}
	broken := io.MultiReader(strings.NewReader("code\na\nb"), iotest.ErrReader(io.ErrClosedPipe))
	if rows, err := read(broken); !errors.Is(err, io.ErrClosedPipe) || len(rows) != 1 {
		t.Errorf("broken in a line: %v, %v", rows, err)
	}
}

// Whatever a file holds, reading it ends, and a row has as many fields as the header.
func FuzzRows(f *testing.F) {
	f.Add("code,pin\na,b\n")
	f.Add("code\n\"a\"\"b\"\r\n")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := sheet.Open(strings.NewReader(text), 40, known, known[:1])
		if err != nil {
			return
		}
		last := 1
		for {
			row, err := s.Next()
			if err != nil {
				return
			}
			if row.Line <= last || (row.Wrong == "") != (len(row.Fields) == len(s.Header())) {
				t.Fatalf("line %d after %d: %+v", row.Line, last, row)
			}
			last = row.Line
		}
	})
}

// FuzzLine proves that a line is cut as the standard library cuts it, and refused where that refuses.
func FuzzLine(f *testing.F) {
	for _, line := range []string{"a,b", `"a ""b"", c",d`, `a"b`, `"a"b`, `"a`, ",", `""`, `"",""`, " a , b "} {
		f.Add(line)
	}
	names := []string{"one", "two", "three", "four", "five"}
	f.Fuzz(func(t *testing.T, line string) {
		if strings.ContainsAny(line, "\r\n") || line == "" || !utf8.ValidString(line) || len(line) > 40 {
			return
		}
		want, wantErr := csv.NewReader(strings.NewReader(line)).Read()
		columns := names[:min(max(len(want), 1), len(names))]
		s, err := sheet.Open(strings.NewReader(strings.Join(columns, ",")+"\n"+line), 40, names, nil)
		if err != nil {
			t.Fatal(err)
		}
		row, err := s.Next()
		if err != nil || (wantErr == nil && len(want) <= len(names)) != (row.Wrong == "") || (row.Wrong == "" && !slices.Equal(row.Fields, want)) {
			t.Errorf("%q: %+v %v, want %q %v", line, row, err, want, wantErr)
		}
	})
}

// A field that begins like a formula is one no more; every other stays as it is.
func TestCell(t *testing.T) {
	for text, want := range map[string]string{
		"": "", "order-1": "order-1", "1=1": "1=1", "'x": "'x", "=1+1": "'=1+1", "+1": "'+1", "-1": "'-1", "@SUM(A1)": "'@SUM(A1)", "\t=1": "'\t=1", "\r=1": "'\r=1",
		"＝1": "'＝1", "a;b-c;": "a;b-c;", "x;=cmd|' /C calc'!A0;": "x;'=cmd|' /C calc'!A0;", `x;"=1+1;`: `x;'"=1+1;`, ";;-1;": ";;'-1;",
	} {
		if got := sheet.Cell(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}
