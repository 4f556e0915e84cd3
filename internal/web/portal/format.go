package portal

import (
	"strconv"
	"strings"
	"time"

	"github.com/scripcards/scrip/internal/core/money"
)

const (
	noBreak     = "\u00a0"
	narrowBreak = "\u202f"
)

// numerals are how a language writes numbers and amounts, as CLDR has it.
type numerals struct {
	point, group string
	// least is how many digits the whole part has before it is grouped.
	least int
	// before puts the currency before the number, without a space if it is a symbol.
	before  bool
	symbols map[string]string // by code; others are written as the code
}

// amount writes an amount of money.
func (n *numerals) amount(a money.Amount) string {
	text, negative := strings.CutPrefix(a.String(), "-")
	whole, fraction, _ := strings.Cut(text, ".")
	number := n.grouped(whole)
	if fraction != "" {
		number += n.point + fraction
	}
	sign := ""
	if negative {
		sign = "-"
	}
	code := a.Currency.String()
	symbol, known := n.symbols[code]
	switch {
	case !n.before && known:
		return sign + number + noBreak + symbol
	case !n.before:
		return sign + number + noBreak + code
	case known:
		return sign + symbol + number
	}
	return sign + code + noBreak + number
}

func (n *numerals) grouped(whole string) string {
	if len(whole) < n.least {
		return whole
	}
	var b strings.Builder
	for i := range len(whole) {
		if i > 0 && (len(whole)-i)%3 == 0 {
			b.WriteString(n.group)
		}
		b.WriteByte(whole[i])
	}
	return b.String()
}

// month writes a month given as "2027-03"; anything else as it is.
func (l *language) month(text string) string {
	at, err := time.Parse("2006-01", text)
	if err != nil {
		return text
	}
	return strings.NewReplacer("{month}", l.months[at.Month()-1], "{year}", strconv.Itoa(at.Year())).Replace(l.monthForm)
}

// moment writes a point in time.
func (l *language) moment(at time.Time) string {
	at = at.UTC()
	return strings.NewReplacer("{day}", strconv.Itoa(at.Day()), "{month}", l.months[at.Month()-1],
		"{year}", strconv.Itoa(at.Year()), "{time}", at.Format("15:04")).Replace(l.momentForm)
}

// wait writes how long to wait: seconds below two minutes, then minutes, rounded up.
func (l *language) wait(d time.Duration) string {
	seconds := max(1, int((d+time.Second-1)/time.Second))
	switch {
	case seconds == 1:
		return l.second
	case seconds < 120:
		return strconv.Itoa(seconds) + noBreak + l.seconds
	}
	return strconv.Itoa((seconds+59)/60) + noBreak + l.minutes
}
