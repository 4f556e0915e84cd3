package audit

import (
	"strings"
	"testing"

	"github.com/scripcards/scrip/internal/core/pan"
)

// A card number is found whatever text stands around it and however it is grouped.
func FuzzHoldsPAN(f *testing.F) {
	f.Add("card ", "4111111111111111", ".", uint8(4))
	f.Add("", "6006491300000011", "", uint8(0))
	f.Add("a-", "374245455400126", " b", uint8(5))
	f.Fuzz(func(t *testing.T, before, number, after string, group uint8) {
		if len(number) < minPAN || len(number) > maxPAN || !panStart(number[0]) || !pan.Luhn(number) {
			return
		}
		edge := func(c byte) bool { return c >= '0' && c <= '9' || strings.IndexByte(separator, c) >= 0 }
		if before != "" && edge(before[len(before)-1]) || after != "" && edge(after[0]) {
			return // a longer run of digits is another number
		}
		text := number
		if group > 0 {
			var parts []string
			for rest := number; rest != ""; {
				n := min(int(group), len(rest))
				parts, rest = append(parts, rest[:n]), rest[n:]
			}
			text = strings.Join(parts, "-")
		}
		if !holdsPAN(before + text + after) {
			t.Errorf("%q holds a card number", before+text+after)
		}
	})
}

// Any text is a cursor or none; reading it never panics and never passes a bad number.
func FuzzCursor(f *testing.F) {
	e := Entry{Seq: 7, Record: Record{Book: "bk_a"}}
	f.Add(string(e.Cursor()))
	f.Add("MS4yLg")
	f.Fuzz(func(t *testing.T, text string) {
		if s, ok := parseCursor(Cursor(text)); ok && (s.seq <= 0 || len(s.book) > 2*maxBook) {
			t.Errorf("%q is read as %+v", text, s)
		}
	})
}
