package telemetry

import (
	"strconv"
	"strings"

	"github.com/scripcards/scrip/internal/core/pan"
)

// The lengths of card numbers, in digits (ISO/IEC 7812-1), and of groups in lists of
// small numbers.
const (
	minPAN     = 13
	maxPAN     = pan.MaxDigits
	smallGroup = 2
)

// Seconds since 1970 that are taken for times: 2010 to 2038. Card numbers that begin
// with these digits are issued to airlines, if at all.
const (
	firstSecond = 1_262_304_000
	lastSecond  = 2_145_916_800
)

// maxSeparators bounds the spaces and dashes between two groups of a number.
const maxSeparators = 3

// run is digits in groups.
type run struct {
	from, to       int // of the text
	digits, groups int
	longest        int // group
}

// findNumber looks for card numbers in the digits that begin at i: 13 or more, in one
// group or several with spaces and dashes between them. Dates and times end a run.
func findNumber(text string, i int, fields bool) span {
	r := run{from: i, to: i}
	at, first := i, 0
	for {
		end := at
		for end < len(text) && isDigit(text[end]) {
			end++
		}
		if r.groups == 0 {
			first = end
		}
		skip := notCard(text, at, end)
		if r.groups == 0 && isGiftCard(text, at) { // of the numbers that we make, some digits would be a time
			skip = 0
		}
		if skip > 0 && r.groups > 0 {
			break
		}
		if skip > 0 {
			return span{next: skip}
		}
		r.groups, r.digits, r.longest, r.to = r.groups+1, r.digits+end-at, max(r.longest, end-at), end
		for at = end; at < len(text) && at-end < maxSeparators && (text[at] == ' ' || text[at] == '-'); {
			at++
		}
		if at == end || at == len(text) || !isDigit(text[at]) {
			break
		}
	}
	if r.digits < minPAN {
		return span{next: first} // what separates the groups may be part of a seed
	}
	if !r.isCard(text, fields) {
		return span{next: r.to}
	}
	if r.groups == 1 && isGiftCard(text, r.from) {
		r.from -= len(giftCard)
	}
	return span{from: r.from, to: r.to}
}

// giftCard is what stands before the digits of a gift card's number, in either case.
const giftCard = "GC"

func isGiftCard(text string, digits int) bool {
	return digits >= len(giftCard) && strings.EqualFold(text[digits-len(giftCard):digits], giftCard)
}

// notCard returns where a date or a time since 1970 ends that begins with the group of
// digits from at to end; 0 when it is neither.
func notCard(text string, at, end int) int {
	if isTime(text[at:end]) {
		return end
	}
	const date = len("2006-01-02")
	if end-at != 4 || len(text) < at+date || (len(text) > at+date && isDigit(text[at+date])) {
		return 0
	}
	d := text[at : at+date]
	if (d[:2] == "19" || d[:2] == "20") && d[4] == '-' && d[5] <= '1' && d[7] == '-' && d[8] <= '3' &&
		isDigit(d[5]) && isDigit(d[6]) && isDigit(d[8]) && isDigit(d[9]) {
		return at + date
	}
	return 0
}

// isTime reports whether digits are milliseconds, microseconds or nanoseconds since 1970.
func isTime(digits string) bool {
	if len(digits) != 13 && len(digits) != 16 && len(digits) != 19 {
		return false
	}
	second, err := strconv.ParseUint(digits[:10], 10, 64)
	return err == nil && firstSecond <= second && second < lastSecond
}

// isCard reports whether a run of enough digits may be a card number.
func (r run) isCard(text string, fields bool) bool {
	if r.groups > 1 {
		small := r.longest <= smallGroup && !fields // "10 20 30 40 50 60 70"
		return !(small && !r.luhn(text)) && !isUUID(text, r)
	}
	if isGiftCard(text, r.from) {
		return true
	}
	fraction := r.from > 1 && text[r.from-1] == '.' && isDigit(text[r.from-2])
	apart := begins(text, r.from) && (r.to == len(text) || !isWord(text[r.to]))
	if apart && !fraction {
		return true
	}
	// Part of a word or of a fraction: an id, a hash or a ratio more often than a card.
	return r.luhn(text) && !isHash(text, r)
}

// luhn reports whether the run has a card number's length and check digit.
func (r run) luhn(text string) bool {
	var space [maxPAN]byte
	digits := space[:0]
	for i := r.from; i < r.to; i++ {
		if !isDigit(text[i]) {
			continue
		}
		if len(digits) == maxPAN {
			return false
		}
		digits = append(digits, text[i])
	}
	return pan.Luhn(string(digits))
}

// isHash reports whether the run is within 32 or more hexadecimal digits.
func isHash(text string, r run) bool {
	const least = 32
	from, to := r.from, r.to
	for from > 0 && to-from < least && isHex(text[from-1]) {
		from--
	}
	for to < len(text) && to-from < least && isHex(text[to]) {
		to++
	}
	return to-from >= least
}

// isUUID reports whether the run is within a UUID that has letters too.
func isUUID(text string, r run) bool {
	const size = 36
	from := r.from
	for from > 0 && r.to-from < size && (isHex(text[from-1]) || text[from-1] == '-') {
		from--
	}
	if from == r.from && r.digits == size-4 || len(text) < from+size || r.to > from+size {
		return false
	}
	letters := false
	for i := range size {
		c := text[from+i]
		if dash := i == 8 || i == 13 || i == 18 || i == 23; dash != (c == '-') || (!dash && !isHex(c)) {
			return false
		}
		letters = letters || !isDigit(c) && c != '-'
	}
	return letters && (len(text) == from+size || !isWord(text[from+size]))
}
