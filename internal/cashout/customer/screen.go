package customer

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"github.com/scripcards/scrip/internal/core/fault"
)

// Subject is who would be paid, and where.
type Subject struct {
	Name Name // may be empty
	// Address is a bitcoin address, an invoice or a Lightning Address.
	Address string
	// Cleared are matches that were found to be false: they are passed over.
	Cleared []Match
}

// First returns the first of some matches that was not found to be false; zero for none.
func (s *Subject) First(found ...Match) Match {
	for _, m := range found {
		if !slices.Contains(s.Cleared, m) {
			return m
		}
	}
	return Match{}
}

// Match is an entry of a list that a subject is on. Zero: it is on none.
type Match struct {
	// List names the list; Kind is what is on it: "name", "address", or "customer" where a
	// service does not say which.
	List, Kind string
}

// The kinds of a match.
const (
	OnName     = "name"
	OnAddress  = "address"
	OnCustomer = "customer"
)

// Found reports whether there is a match.
func (m Match) Found() bool { return m != Match{} }

// Screener says whether somebody may be paid: a list, or a service. It returns unavailable
// when it does not know.
type Screener interface {
	Screen(ctx context.Context, s Subject) (Match, error)
}

// Screeners are asked one after the other; the first match counts. Without any, everybody
// may be paid.
type Screeners []Screener

// Screen implements Screener.
func (all Screeners) Screen(ctx context.Context, s Subject) (Match, error) {
	for _, one := range all {
		if m, err := one.Screen(ctx, s); err != nil || m.Found() {
			return m, err
		}
	}
	return Match{}, nil
}

// List is names and addresses of those whom nobody may pay.
type List struct {
	name      string
	named     int             // entries of names
	names     map[string]bool // by each of their folds
	addresses map[string]bool
}

// Limits of a list.
const (
	maxEntries = 2_000_000
	maxLine    = 4 << 10 // bytes
)

// ReadList reads a list: one entry a line, "name:" or "address:" and what is on it; # begins
// a comment. Names match whatever their case, accents, apostrophes, punctuation and order of
// words, and with Greek, Cyrillic and Armenian letters that look like Latin ones. It returns
// invalid_request with the line that is wrong.
func ReadList(name string, r io.Reader) (*List, error) {
	l := &List{name: name, names: map[string]bool{}, addresses: map[string]bool{}}
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, maxLine), maxLine)
	number := 0
	for lines.Scan() {
		number++
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		kind, entry, _ := strings.Cut(line, ":")
		entry = strings.TrimSpace(entry)
		switch {
		case entry == "" || l.Len() >= maxEntries:
			return nil, fault.New(fault.InvalidRequest, "%s:%d: want name: or address: and an entry, at most %d of them", name, number, maxEntries)
		case kind == "name" && fold(entry) != "":
			if !l.names[fold(entry)] {
				l.named++
			}
			l.names[fold(entry)], l.names[foldAsRead(entry)] = true, true
		case kind == "address":
			l.addresses[foldAddress(entry)] = true
		default:
			return nil, fault.New(fault.InvalidRequest, "%s:%d: want name: or address: and an entry", name, number)
		}
	}
	if err := lines.Err(); err != nil {
		if errors.Is(err, bufio.ErrTooLong) {
			return nil, fault.New(fault.InvalidRequest, "%s:%d: a line has at most %d bytes", name, number+1, maxLine)
		}
		return nil, fmt.Errorf("read list %s: %w", name, err)
	}
	return l, nil
}

// Len returns how many entries there are.
func (l *List) Len() int { return l.named + len(l.addresses) }

// Screen implements Screener.
func (l *List) Screen(_ context.Context, s Subject) (Match, error) {
	var found []Match
	if l.addresses[foldAddress(s.Address)] {
		found = append(found, Match{List: l.name, Kind: OnAddress})
	}
	name := s.Name.First + " " + s.Name.Last
	if !s.Name.IsZero() && (l.names[fold(name)] || l.names[foldAsRead(name)]) {
		found = append(found, Match{List: l.name, Kind: OnName})
	}
	return s.First(found...), nil
}

// foldAddress is an address as it is compared: bech32 and Lightning Addresses know no case,
// and two base58 addresses that differ in case alone are not to be had.
func foldAddress(text string) string { return strings.ToLower(strings.TrimSpace(text)) }

// alike has apostrophes out of the way, of which people type one for another, and letters with
// a stroke or joined ones that are no accents to Unicode, as lists in plain letters have them.
var alike = strings.NewReplacer("'", "", "’", "", "‘", "", "`", "", "´", "", "\u02bc", "", "\u02bb", "",
	"ł", "l", "ø", "o", "đ", "d", "ð", "d", "ħ", "h", "ŧ", "t", "ı", "i", "ß", "ss", "æ", "ae", "œ", "oe", "þ", "th")

// lookalikes has letters of other scripts as the Latin ones that they look like in either case,
// or as capitals: who reads a name with one of them reads the name that a list has. And ς is σ.
var lookalikes = strings.NewReplacer("а", "a", "в", "b", "е", "e", "к", "k", "м", "m", "н", "h", "о", "o", "р", "p", "с", "c", "т", "t", "у", "y", "х", "x",
	"і", "i", "ј", "j", "ѕ", "s", "ԁ", "d", "ԛ", "q", "ԝ", "w", "һ", "h", "ѵ", "v", "ӏ", "l", "ь", "b", "ѡ", "w", "ү", "y", "ԍ", "g",
	"α", "a", "β", "b", "ε", "e", "ζ", "z", "η", "h", "ι", "i", "κ", "k", "μ", "m", "ν", "n", "ο", "o", "ρ", "p", "τ", "t", "υ", "y", "χ", "x",
	"ς", "σ", "օ", "o", "ս", "u", "լ", "l", "ɑ", "a", "ɡ", "g")

// asRead has those that look like another letter, or like any, in one case alone.
var asRead = strings.NewReplacer("ν", "v", "υ", "u", "η", "n", "ω", "w", "σ", "o", "γ", "y", "ϲ", "c", "Ϲ", "c", "ϳ", "j",
	"г", "r", "п", "n", "Ӏ", "i", "Տ", "s", "ո", "n", "ռ", "n", "հ", "h", "ց", "g", "գ", "q", "զ", "q", "յ", "j")

// foldAsRead is a name as it is compared where the case of other scripts' letters counts: a
// small ν looks like v, and a capital one like N.
func foldAsRead(text string) string {
	return fold(asRead.Replace(norm.NFKD.String(asRead.Replace(text))))
}

// fold is a name as it is compared: its words in lower case without accents, sorted, and as
// they look: letters that nobody sees do not count.
func fold(text string) string {
	var plain strings.Builder
	for _, r := range lookalikes.Replace(strings.ToLower(norm.NFKD.String(alike.Replace(strings.ToLower(text))))) {
		switch {
		case unicode.In(r, unicode.Mn, unicode.Me, unicode.Other_Default_Ignorable_Code_Point):
		case unicode.IsLetter(r) || unicode.IsDigit(r):
			plain.WriteRune(unicode.ToLower(r))
		default:
			plain.WriteByte(' ')
		}
	}
	words := strings.Fields(plain.String())
	slices.Sort(words)
	return strings.Join(words, " ")
}
