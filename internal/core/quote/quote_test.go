package quote

import (
	"encoding/json"
	"testing"
)

// What is written reads back as it was, and a whole decoder finds it valid.
func FuzzJSON(f *testing.F) {
	for _, text := range []string{"", "plain", `"\`, "a\nb\tc\rd\x00\x1f", "größe 大 🂡", "caf\xe9", "\x80", "\xf0\x9f\x82", "\ufffd \x7f\u0080", "\u2028<>&"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var back string
		if err := json.Unmarshal(JSON(nil, text), &back); err != nil {
			t.Fatalf("%q: %v", JSON(nil, text), err)
		}
		if want := string([]rune(text)); back != want { // each byte that is not UTF-8 by itself
			t.Fatalf("%q came back as %q, want %q", text, back, want)
		}
	})
}

// Nothing is allocated when there is room.
func TestJSONAllocates(t *testing.T) {
	buf := make([]byte, 0, 256)
	if n := testing.AllocsPerRun(100, func() { _ = JSON(buf, "giftcard/gc_01 \"x\"\n") }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
