package dump

import (
	"bytes"
	"math"
	"reflect"
	"strings"
	"testing"

	"github.com/scripcards/scrip/internal/platform/storage"
)

// Every value that an engine can hold comes back as it was, from one line of text.
func TestRowRoundTrip(t *testing.T) {
	rows := [][]any{
		{},
		{nil},
		{"", "plain", "é ü 漢字 \U0001f600", "tab\tline\nquote\" back\\ null\x00 del\x7f"},
		{"not utf-8 \xff\xfe", "\xc3"},
		{int64(0), int64(-1), int64(math.MaxInt64), int64(math.MinInt64)},
		{[]byte{}, []byte{0}, []byte{1, 2}, []byte{0xff, '\n', '"'}},
		{`{"bytes":"AA=="}`, nil, `null`, `[1]`},
		{strings.Repeat("long ", 10000), bytes.Repeat([]byte{7}, 100001)},
	}
	for _, row := range rows {
		line, err := appendRow(nil, row)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.IndexByte(line, '\n') != len(line)-1 {
			t.Errorf("%.80q is not one line", line)
		}
		got, err := parseRow(line[:len(line)-1])
		if err != nil {
			t.Errorf("%.80q: %v", line, err)
		}
		if len(row) > 0 && !reflect.DeepEqual(got, row) {
			t.Errorf("%.80q became %.80q", row, got)
		}
	}
}

// A line that appendRow would not write is refused, though it may be good JSON.
func TestRowRefusals(t *testing.T) {
	lines := []string{
		``, `[`, `]`, `[]]`, `[,]`, `[1,]`, `[1 ]`, `[1,,2]`, `[1`, `{}`, `[tru]`, `[true]`, `[1.5]`, `[1e3]`, `[-0]`, `[+1]`, `[01]`, `[--1]`,
		`[9223372036854775808]`, `[111111111111111111111111111111]`, `["a]`, `["\n"]`, `["\u0041"]`, `["\u00FF"]`, `["\u001F"]`, `["\u0022"]`, `["\`, `["\u00`,
		"[\"\x01\"]", "[\"\xff\"]", `[{"bytes":"A"}]`, `[{"bytes":"AB=="}]`, `[{"bytes":"AA=="]`, `[{"bytes":"AA==`, "[{\"bytes\":\"AA\n==\"}]",
		`[{"text":"QQ=="}]`, `[{"other":"QQ=="}]`, `[nul]`, `[1]x`, `["a" ,1]`,
	}
	for _, line := range lines {
		if row, err := parseRow([]byte(line)); err == nil {
			t.Errorf("%q was read as %q", line, row)
		}
	}
	if _, err := appendRow(nil, []any{1.5}); err == nil {
		t.Error("a float was written")
	}
	if _, err := parseRow([]byte("[" + strings.Repeat("null,", maxColumns) + "null]")); err == nil {
		t.Error("a row of too many columns was read")
	}
}

// A value fits the columns of its own type only; null fits all.
func TestIsOf(t *testing.T) {
	kinds := []storage.ColumnType{storage.TextColumn, storage.IntegerColumn, storage.BytesColumn}
	for i, value := range []any{"", int64(1), []byte{}} {
		for j, kind := range kinds {
			if isOf(value, kind) != (i == j) {
				t.Errorf("isOf(%T, %s) = %t", value, kind, i != j)
			}
			if !isOf(nil, kind) {
				t.Errorf("null is not of %s", kind)
			}
		}
	}
}

// FuzzRow: a line that is read is written again byte for byte, so a row has one spelling.
func FuzzRow(f *testing.F) {
	for _, seed := range []string{`[]`, `["a\"b\\\u000a",-12,{"bytes":"AQI="},{"text":"/w=="},null]`, `[{"bytes":""}]`, `["\u007f"]`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		row, err := parseRow(line)
		if err != nil {
			return
		}
		again, err := appendRow(nil, row)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(again, append(line[:len(line):len(line)], '\n')) {
			t.Errorf("%q was written as %q", line, again)
		}
	})
}
