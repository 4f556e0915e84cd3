package plain_test

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/scripcards/scrip/internal/core/plain"
)

// Plain text is what shows all it holds in the order in which it is written, in every
// script and with the pictures that people send each other.
func TestPlain(t *testing.T) {
	const many = 1000
	for _, c := range []struct {
		name, text  string
		line, lines bool
	}{
		{"nothing", "", true, true},
		{"ASCII", "Holiday Gift Card, 50 % off!", true, true},
		{"accents", "Crème brûlée à São Tomé", true, true},
		{"accents on their own", "Cre\u0300me", true, true},
		{"wide space", "山田　太郎", true, true},
		{"space that does not break", "50\u00a0€", true, true},
		{"Arabic", "بطاقة هدية", true, true},
		{"Hebrew", "כרטיס מתנה", true, true},
		{"Arabic year", "\u0601\u0661\u0664", true, true},
		{"replacement character", "a\ufffdb", true, true},
		{"no character yet", "\U0001faff\U000323b0", true, true},

		{"line feed", "a\nb", false, true},
		{"CR LF", "a\r\nb", false, true},
		{"tab", "a\tb", false, true},
		{"carriage return", "a\rb", false, false},
		{"carriage return at the end", "a\r", false, false},
		{"line separator", "a\u2028b", false, false},
		{"paragraph separator", "a\u2029b", false, false},
		{"next line", "a\u0085b", false, false},
		{"form feed", "a\fb", false, false},

		{"zero", "a\x00b", false, false},
		{"escape", "\x1b[31mred", false, false},
		{"delete", "a\x7f", false, false},
		{"C1", "a\u009bb", false, false},
		{"not UTF-8", "a\xffb", false, false},
		{"half a character", "a\xe2\x80", false, false},
		{"surrogate", "a\xed\xa0\x80", false, false},
		{"private use", "a\ue000b", false, false},
		{"private use beyond", "a\U0010fffdb", false, false},
		{"noncharacter", "a\uffffb", false, false},
		{"noncharacter within", "a\ufdd0b", false, false},
		{"noncharacter beyond", "a\U0001fffeb", false, false},

		{"override", "card\u202egpj.exe", false, false},
		{"embedding", "\u202aa\u202c", false, false},
		{"isolate", "\u2066a\u2069", false, false},
		{"left-to-right mark", "a\u200eb", false, false},
		{"right-to-left mark", "a\u200fb", false, false},
		{"Arabic letter mark", "a\u061cb", false, false},

		{"zero-width space", "Ama\u200bzon", false, false},
		{"word joiner", "Ama\u2060zon", false, false},
		{"byte order mark", "\ufeffAmazon", false, false},
		{"soft hyphen", "Ama\u00adzon", false, false},
		{"grapheme joiner", "Ama\u034fzon", false, false},
		{"Hangul filler", "a\u3164b", false, false},
		{"invisible plus", "1\u20642", false, false},
		{"annotation", "a\ufff9b\ufffac\ufffb", false, false},
		{"musical beam", "a\U0001d173b", false, false},
		{"tag", "a\U000e0041b", false, false},
		{"reserved to be ignored", "a\U000e0fffb", false, false},

		{"joiner in Latin", "Ama\u200dzon", false, false},
		{"non-joiner in Latin", "Ama\u200czon", false, false},
		{"non-joiner in Cyrillic", "да\u200cр", false, false},
		{"joiner alone", "\u200d", false, false},
		{"Persian plural", "کتاب\u200cها", true, true},
		{"Persian after a vowel sign", "کتابِ\u200cها", true, true},
		{"two non-joiners", "کتاب\u200c\u200cها", false, false},
		{"joiner after non-joiner", "کتاب\u200c\u200dها", false, false},
		{"non-joiner after a space", "کتاب \u200cها", false, false},
		{"Hindi half letter", "क्\u200dष", true, true},
		{"Sinhala", "ශ්\u200dරී ලංකා", true, true},
		{"Malayalam at the end", "ന്\u200d", true, true},

		{"heart", "❤\ufe0f", true, true},
		{"heart as text", "❤\ufe0e", true, true},
		{"heart twice told", "❤\ufe0f\ufe0f", false, false},
		{"family", "👩\u200d👩\u200d👧\u200d👦", true, true},
		{"burning heart", "❤\ufe0f\u200d🔥", true, true},
		{"shade of skin", "👩🏽\u200d🚀", true, true},
		{"nodding head", "🙂\u200d↔\ufe0f", true, true},
		{"joined to nothing", "👩\u200d", false, false},
		{"joined to a letter", "👩\u200da", false, false},
		{"joined to what is broken", "👩\u200d\xff", false, false},
		{"joined to the unseen", "👩\u200d\u200d👧", false, false},
		{"keycap", "1\ufe0f\u20e3", true, true},
		{"selector on a digit", "1\ufe0f0", false, false},
		{"selector on a letter", "A\ufe0f", false, false},
		{"selector on a sign", "$\ufe0f", false, false},
		{"selector at the beginning", "\ufe0fa", false, false},
		{"sign of punctuation", "‼\ufe0f ℹ\ufe0f", true, true},
		{"flag", "🇩🇪", true, true},
		{"flag with tags", "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f", false, false},
		{"variant of a Han letter", "葛\U000e0100城", true, true},
		{"two variants", "葛\U000e0100\U000e0100", false, false},
		{"variant of a Latin letter", "a\U000e0100", false, false},
		{"Mongolian variant", "ᠠ\u180b", true, true},
		{"Mongolian separator", "ᠨ\u180eᠠ", true, true},
		{"two Mongolian variants", "ᠠ\u180b\u180b", false, false},
		{"Mongolian variant in Latin", "a\u180b", false, false},
	} {
		if got := plain.Line(c.text, 0, many); got != c.line {
			t.Errorf("%s: Line(%+q) = %t", c.name, c.text, got)
		}
		if got := plain.Lines(c.text, 0, many); got != c.lines {
			t.Errorf("%s: Lines(%+q) = %t", c.name, c.text, got)
		}
		if plain.LineBytes(c.text, 0, many) != c.line || plain.LinesBytes(c.text, 0, many) != c.lines {
			t.Errorf("%s: %+q is another text in bytes", c.name, c.text)
		}
	}
}

// The bounds hold in characters or in bytes, both ends included, and what must not be
// empty is not blank either.
func TestBounds(t *testing.T) {
	for _, c := range []struct {
		text        string
		least, most int
		characters  bool
		bytes       bool
	}{
		{"", 0, 0, true, true},
		{"", 1, 5, false, false},
		{"abc", 3, 3, true, true},
		{"abc", 4, 9, false, false},
		{"abc", 0, 2, false, false},
		{"äöü", 3, 3, true, false},
		{"äöü", 6, 6, false, true},
		{"  ", 0, 2, true, true},
		{"  ", 1, 2, false, false},
		{"\u00a0\u3000", 1, 9, false, false},
		{" a ", 3, 3, true, true},
	} {
		for name, got := range map[string]bool{"Line": plain.Line(c.text, c.least, c.most), "Lines": plain.Lines(c.text, c.least, c.most)} {
			if got != c.characters {
				t.Errorf("%s(%q, %d, %d) = %t", name, c.text, c.least, c.most, got)
			}
		}
		for name, got := range map[string]bool{"LineBytes": plain.LineBytes(c.text, c.least, c.most), "LinesBytes": plain.LinesBytes(c.text, c.least, c.most)} {
			if got != c.bytes {
				t.Errorf("%s(%q, %d, %d) = %t", name, c.text, c.least, c.most, got)
			}
		}
	}
	if plain.Lines("\n\t", 1, 9) {
		t.Error("blank lines are taken for text")
	}
}

// One plain address is an address; a name beside it, a list or a comment is none.
func TestEmail(t *testing.T) {
	for address, want := range map[string]bool{
		"ann@example.com": true, "ann+cards@mail.example.com": true, "jörg@example.com": true,
		"": false, "ann": false, "ann@": false, "Ann <ann@example.com>": false, "<ann@example.com>": false, " ann@example.com": false,
		"ann@example.com, bob@example.com": false, "ann@example.com (home)": false, "ann\u202e@example.com": false, "\"a\x00b\"@example.com": false,
		strings.Repeat("a", 242) + "@example.com": true, strings.Repeat("a", 243) + "@example.com": false,
	} {
		if got := plain.Email(address); got != want {
			t.Errorf("Email(%q) = %t", address, got)
		}
	}
}

// Whatever is taken for a line is taken for lines, holds nothing that acts on a terminal or
// on what follows, stays plain when it is put behind other text, and of what is not seen
// has never two in a row.
func FuzzPlain(f *testing.F) {
	for _, seed := range []string{"Holiday", "a\nb", "a\r\nb", "❤\ufe0f\u200d🔥", "کتاب\u200cها", "card\u202egpj", "1\ufe0f\u20e3", "葛\U000e0100城", "👩\u200d\xff"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		line, lines := plain.LineBytes(s, 0, len(s)), plain.LinesBytes(s, 0, len(s))
		if line && !lines || line != (lines && !strings.ContainsAny(s, "\r\n\t")) {
			t.Fatalf("%+q is a line: %t, lines: %t", s, line, lines)
		}
		if !lines {
			return
		}
		if !utf8.ValidString(s) {
			t.Fatalf("%+q is not UTF-8", s)
		}
		before := ' '
		for _, c := range s {
			hidden := isHidden(c)
			if unicode.Is(unicode.Bidi_Control, c) || unicode.Is(unicode.Co, c) || unicode.IsControl(c) && !strings.ContainsRune("\r\n\t", c) {
				t.Fatalf("%+q holds %U", s, c)
			}
			// A selector stands before a joiner where a picture does.
			if hidden && isHidden(before) && (c != '\u200d' || before != '\ufe0f' && before != '\ufe0e') {
				t.Fatalf("%+q holds %U behind %U", s, c, before)
			}
			before = c
		}
		if !plain.LinesBytes("plain: "+s, 0, len(s)+7) {
			t.Fatalf("%+q is not plain behind other text", s)
		}
	})
}

func isHidden(c rune) bool {
	return unicode.In(c, unicode.Join_Control, unicode.Variation_Selector, unicode.Other_Default_Ignorable_Code_Point) || c == '\u180e'
}

// One of something is counted in its own form.
func TestCount(t *testing.T) {
	for n, want := range map[int]string{0: "0 cards", 1: "1 card", 2: "2 cards"} {
		if got := plain.Count(n, "card", "cards"); got != want {
			t.Errorf("%d: %q", n, got)
		}
	}
}
