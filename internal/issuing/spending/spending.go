// Package spending is limits on what may be spent, and how often, within a window of
// time: of a card by its owner, of a person by the tier that they were verified for.
//
// Windows are those of the calendar in UTC. A limit is enforced by a guard of the
// ledger that counts one period of its window; Period names it.
//
// It must never count by itself.
package spending

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
)

// Window is how long a limit counts.
type Window string

// The windows. A day, week, month and year are those of UTC; a week begins on Monday.
const (
	PerPayment Window = "payment"
	PerDay     Window = "day"
	PerWeek    Window = "week"
	PerMonth   Window = "month"
	PerYear    Window = "year"
	ForLife    Window = "life"
)

// Windows returns the closed list, the shortest first.
func Windows() []Window {
	return []Window{PerPayment, PerDay, PerWeek, PerMonth, PerYear, ForLife}
}

// Period names the period of the window that an instant is in: "2026-11-21", "2026-W47",
// "2026-11", "2026" or "life". A single payment has none: it is empty.
func (w Window) Period(at time.Time) string {
	at = at.UTC()
	switch w {
	case PerDay:
		return at.Format(time.DateOnly)
	case PerWeek:
		year, week := at.ISOWeek()
		return fmt.Sprintf("%04d-W%02d", year, week)
	case PerMonth:
		return at.Format("2006-01")
	case PerYear:
		return at.Format("2006")
	case ForLife:
		return string(ForLife)
	case PerPayment:
	}
	return ""
}

// Next returns when the period that an instant is in is over; the zero time for a
// payment and a life, which have no next.
func (w Window) Next(at time.Time) time.Time {
	at = at.UTC()
	day := time.Date(at.Year(), at.Month(), at.Day(), 0, 0, 0, 0, time.UTC)
	switch w {
	case PerDay:
		return day.AddDate(0, 0, 1)
	case PerWeek:
		return day.AddDate(0, 0, 7-(int(day.Weekday())+6)%7)
	case PerMonth:
		return time.Date(at.Year(), at.Month()+1, 1, 0, 0, 0, 0, time.UTC)
	case PerYear:
		return time.Date(at.Year()+1, time.January, 1, 0, 0, 0, 0, time.UTC)
	case PerPayment, ForLife:
	}
	return time.Time{}
}

// Limit bounds what is spent, or how often, within a window.
type Limit struct {
	Window Window
	// Amount is the most that may be spent; zero: any.
	Amount money.Amount
	// Count is how many payments there may be; 0: any.
	Count int64
}

// String writes a limit as commands take it, such as "month=500/20".
func (l Limit) String() string {
	text := string(l.Window) + "=" + l.Amount.Decimal()
	if l.Count > 0 {
		text += "/" + strconv.FormatInt(l.Count, 10)
	}
	return text
}

// MaxCount bounds a limit's count.
const MaxCount = 1_000_000

// Check returns the limits in the order of their windows, or what is wrong with them:
// invalid_request for a window that is unknown or there twice, a limit that limits
// nothing, and a count outside its bounds; invalid_amount and currency_mismatch.
func Check(limits []Limit, currency money.Currency) ([]Limit, error) {
	sorted := make([]Limit, 0, len(limits))
	for _, l := range limits {
		if err := l.check(currency); err != nil {
			return nil, err
		}
		l.Amount.Currency = currency // that of a zero amount, too
		if slices.ContainsFunc(sorted, func(other Limit) bool { return other.Window == l.Window }) {
			return nil, fault.New(fault.InvalidRequest, "there is more than one limit for a %s", l.Window).At("limits")
		}
		sorted = append(sorted, l)
	}
	slices.SortFunc(sorted, func(a, b Limit) int { return slices.Index(Windows(), a.Window) - slices.Index(Windows(), b.Window) })
	return sorted, nil
}

func (l *Limit) check(currency money.Currency) error {
	switch {
	case !slices.Contains(Windows(), l.Window):
		return fault.New(fault.InvalidRequest, "a limit's window is payment, day, week, month, year or life").At("limits")
	case l.Amount.IsNegative():
		return fault.New(fault.InvalidAmount, "a limit's amount must not be negative").At("limits")
	case !l.Amount.IsZero() && l.Amount.Currency != currency:
		return fault.New(fault.CurrencyMismatch, "a limit's amount must be in %s", currency).At("limits")
	case l.Count < 0 || l.Count > MaxCount:
		return fault.New(fault.InvalidRequest, "a limit's count is 0 to %d", MaxCount).At("limits")
	case l.Amount.IsZero() && l.Count == 0:
		return fault.New(fault.InvalidRequest, "a limit has an amount or a count").At("limits")
	case l.Window == PerPayment && l.Count > 0:
		return fault.New(fault.InvalidRequest, "a single payment is not counted").At("limits")
	}
	return nil
}

// Of returns the limit of a window, and whether there is one.
func Of(limits []Limit, w Window) (Limit, bool) {
	for _, l := range limits {
		if l.Window == w {
			return l, true
		}
	}
	return Limit{}, false
}

// With returns limits with the one of its window replaced, or removed where l limits nothing.
func With(limits []Limit, l Limit) []Limit {
	rest := slices.DeleteFunc(slices.Clone(limits), func(other Limit) bool { return other.Window == l.Window })
	if l.Amount.IsZero() && l.Count == 0 {
		return rest
	}
	return append(rest, l)
}

// stored is a limit as it is kept, in minor units of a currency that stands beside it.
type stored struct {
	Window Window
	Amount int64
	Count  int64
}

// Encode returns limits that Check returned as JSON, without their currency.
func Encode(limits []Limit) string {
	rows := make([]stored, len(limits))
	for i, l := range limits {
		rows[i] = stored{l.Window, l.Amount.Minor, l.Count}
	}
	text, err := json.Marshal(rows)
	if err != nil { // numbers and words always have a text
		return "[]"
	}
	return string(text)
}

// Decode reads what Encode returned.
func Decode(text string, currency money.Currency) ([]Limit, error) {
	var rows []stored
	if err := json.Unmarshal([]byte(text), &rows); err != nil {
		return nil, fmt.Errorf("read limits: %w", err)
	}
	limits := make([]Limit, len(rows))
	for i, r := range rows {
		limits[i] = Limit{r.Window, money.New(r.Amount, currency), r.Count}
	}
	return limits, nil
}
