package statement

import (
	"time"

	"github.com/scripcards/scrip/internal/core/fault"
)

// Month is a month of UTC.
type Month struct {
	Year  int
	Month time.Month
}

const layout = "2006-01"

// ParseMonth reads a month such as 2026-11, or returns invalid_request.
func ParseMonth(text string) (Month, error) {
	t, err := time.Parse(layout, text)
	if err != nil || t.Year() < 1 {
		return Month{}, fault.New(fault.InvalidRequest, "want a month such as 2026-11").At("month")
	}
	return monthOf(t), nil
}

func monthOf(t time.Time) Month {
	year, month, _ := t.UTC().Date()
	return Month{year, month}
}

// String returns the month as ParseMonth reads it.
func (m Month) String() string { return m.From().Format(layout) }

// From is the month's first instant.
func (m Month) From() time.Time { return time.Date(m.Year, m.Month, 1, 0, 0, 0, 0, time.UTC) }

// Until is the next month's first instant.
func (m Month) Until() time.Time { return m.From().AddDate(0, 1, 0) }

func (m Month) before(other Month) bool { return m.since(other) < 0 }

// since is how many months lie between the other month's first day and this one's.
func (m Month) since(other Month) int {
	const year = 12
	return (m.Year-other.Year)*year + int(m.Month) - int(other.Month)
}

// back is the month some months before.
func (m Month) back(months int) Month { return monthOf(m.From().AddDate(0, -months, 0)) }
