// Package plain says what plain text is: what people may call things and write to each
// other, in every product and on every wire.
//
// Plain text is UTF-8 that shows all it holds, in the order in which it is written. It
// has no control characters, so that it does nothing to a terminal or a log; none that
// turn the direction of what follows; none that are not seen, so that two texts that look
// alike are not told apart by what nobody can see; and no code points that mean something
// else elsewhere: private use and noncharacters. Line and paragraph separators are not in
// it either: what is one line here is one line everywhere. A code point without a
// character is taken, for it may be an emoji of next year.
//
// What is not seen stays where it forms what stands beside it; see shapes.
//
// Count is for texts of our own.
package plain

import (
	"net/mail"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Line reports whether s is one line of plain text with least to most characters. Where
// least is not 0, some of them must be more than spaces.
func Line(s string, least, most int) bool {
	return fits(s, utf8.RuneCountInString(s), least, most) && isPlain(s, false)
}

// LineBytes is Line, with its bounds in bytes.
func LineBytes(s string, least, most int) bool {
	return fits(s, len(s), least, most) && isPlain(s, false)
}

// Lines reports whether s is plain text with least to most characters, in which there may
// be tabs and lines that end in LF or CR LF. Where least is not 0, some of them must be
// more than spaces.
func Lines(s string, least, most int) bool {
	return fits(s, utf8.RuneCountInString(s), least, most) && isPlain(s, true)
}

// LinesBytes is Lines, with its bounds in bytes.
func LinesBytes(s string, least, most int) bool {
	return fits(s, len(s), least, most) && isPlain(s, true)
}

// maxEmail bounds an address (RFC 5321, section 4.5.3.1), in bytes.
const maxEmail = 254

// Email reports whether s is one plain email address, without a name or comments.
func Email(s string) bool {
	address, err := mail.ParseAddress(s)
	return err == nil && address.Address == s && LineBytes(s, 1, maxEmail)
}

func fits(s string, length, least, most int) bool {
	return length >= least && length <= most && (least == 0 || strings.TrimSpace(s) != "")
}

func isPlain(s string, lines bool) bool {
	if !utf8.ValidString(s) {
		return false
	}
	var p place
	for i, c := range s {
		switch {
		case c >= ' ' && c <= '~':
		case c == '\n' || c == '\t' || c == '\r':
			if !lines || (c == '\r' && !strings.HasPrefix(s[i:], "\r\n")) {
				return false
			}
		case unicode.In(c, unseen...) && !unicode.Is(unicode.Prepended_Concatenation_Mark, c):
			if p.next, _ = utf8.DecodeRuneInString(s[i+utf8.RuneLen(c):]); !p.shapes(c) {
				return false
			}
		}
		p.pass(c)
	}
	return true
}

// unseen is what plain text has only where it shapes something.
var unseen = []*unicode.RangeTable{
	unicode.Cc, unicode.Cf, unicode.Co, unicode.Zl, unicode.Zp,
	unicode.Other_Default_Ignorable_Code_Point, unicode.Noncharacter_Code_Point, unicode.Variation_Selector,
}

// place is where a character stands.
type place struct {
	before rune // right before it; 0 at the beginning
	base   rune // the last one that is no mark upon another
	next   rune
}

func (p *place) pass(c rune) {
	p.before = c
	if c == joiner || c == nonJoiner || !unicode.Is(unicode.Inherited, c) {
		p.base = c
	}
}

const (
	joiner    = '\u200d'
	nonJoiner = '\u200c'
	asText    = '\ufe0e'
	asPicture = '\ufe0f'
	keycap    = '\u20e3'
)

// joined are scripts in use that write with joiners: Persian plurals, Indian conjuncts.
var joined = []*unicode.RangeTable{
	unicode.Adlam, unicode.Arabic, unicode.Bengali, unicode.Chakma, unicode.Devanagari, unicode.Gujarati, unicode.Gurmukhi,
	unicode.Hanifi_Rohingya, unicode.Kannada, unicode.Khmer, unicode.Malayalam, unicode.Meetei_Mayek, unicode.Mongolian,
	unicode.Myanmar, unicode.Nko, unicode.Oriya, unicode.Sinhala, unicode.Syriac, unicode.Tamil, unicode.Telugu, unicode.Tibetan,
}

// pictures are those that Unicode counts elsewhere than among symbols of no other kind:
// emoji of punctuation, letters and mathematics, and shades of skin.
const pictures = "‼⁉〰ℹ↔◻◼◽◾\U0001f3fb\U0001f3fc\U0001f3fd\U0001f3fe\U0001f3ff"

// shapes reports whether an unseen character forms what stands before it: one joiner
// after a letter of a script that has them, or between two pictures; and one variation
// selector after what has variants, which are Han and Mongolian letters, pictures, and
// digits in a keycap. Tags never do, although three flags are written with them: any text
// could be hidden there.
func (p *place) shapes(c rune) bool {
	switch {
	case c == joiner && isPicture(p.base):
		return isPicture(p.next)
	case c == joiner || c == nonJoiner:
		return unicode.In(p.base, joined...)
	case c == asText || c == asPicture:
		inKeycap := p.next == keycap && strings.ContainsRune("0123456789#*", p.before)
		return isPicture(p.before) || inKeycap || unicode.Is(unicode.Han, p.before)
	case c >= '\u180b' && c <= '\u180f':
		return unicode.Is(unicode.Mongolian, p.before) && !unicode.In(p.before, unseen...)
	default:
		return unicode.Is(unicode.Variation_Selector, c) && unicode.Is(unicode.Han, p.before)
	}
}

func isPicture(c rune) bool {
	return (unicode.Is(unicode.So, c) || strings.ContainsRune(pictures, c)) && c != utf8.RuneError
}
