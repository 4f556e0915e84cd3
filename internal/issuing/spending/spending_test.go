package spending

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
)

// Periods are named as the calendar of UTC has them, weeks as ISO 8601 has them.
func TestPeriod(t *testing.T) {
	for _, row := range []struct {
		at                     string
		day, week, month, year string
	}{
		{"2026-11-21T09:00:00Z", "2026-11-21", "2026-W47", "2026-11", "2026"},
		{"2026-12-31T23:59:59.999999Z", "2026-12-31", "2026-W53", "2026-12", "2026"},
		{"2027-01-01T00:00:00Z", "2027-01-01", "2026-W53", "2027-01", "2027"},
		{"2027-01-04T00:00:00Z", "2027-01-04", "2027-W01", "2027-01", "2027"},
		{"2029-12-31T12:00:00Z", "2029-12-31", "2030-W01", "2029-12", "2029"},
		{"2027-01-01T00:30:00+01:00", "2026-12-31", "2026-W53", "2026-12", "2026"},
	} {
		at, err := time.Parse(time.RFC3339Nano, row.at)
		if err != nil {
			t.Fatal(err)
		}
		want := map[Window]string{PerPayment: "", PerDay: row.day, PerWeek: row.week, PerMonth: row.month, PerYear: row.year, ForLife: "life"}
		for _, w := range Windows() {
			if got := w.Period(at); got != want[w] {
				t.Errorf("%s of %s is %q, want %q", w, row.at, got, want[w])
			}
		}
	}
}

// A period has one name from its beginning until Next, when another begins, in whatever zone the
// instant is told; a life never ends.
func TestNext(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		zone := time.FixedZone("", rapid.IntRange(-14*3600, 14*3600).Draw(t, "zone"))
		at := time.UnixMicro(rapid.Int64Range(0, 4_102_444_800_000_000).Draw(t, "micros")).In(zone)
		w := rapid.SampledFrom(Windows()).Draw(t, "window")
		next := w.Next(at)
		if w == PerPayment || w == ForLife {
			if !next.IsZero() {
				t.Fatalf("%s ends at %s", w, next)
			}
			return
		}
		before := next.Add(-time.Nanosecond)
		if !next.After(at) || w.Period(before) != w.Period(at) || w.Period(next) == w.Period(at) || w.Next(before) != next {
			t.Fatalf("%s at %s: %q until %s, then %q", w, at, w.Period(at), next, w.Period(next))
		}
	})
}

func usd(minor int64) money.Amount { return money.New(minor, money.USD) }

// Limits are kept in the order of their windows, with a currency even where there is no amount.
func TestCheck(t *testing.T) {
	got, err := Check([]Limit{{ForLife, money.Amount{}, MaxCount}, {PerMonth, usd(100), 0}, {PerPayment, usd(50), 0}}, money.USD)
	want := []Limit{{PerPayment, usd(50), 0}, {PerMonth, usd(100), 0}, {ForLife, usd(0), MaxCount}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	for name, row := range map[string]struct {
		limits []Limit
		want   fault.Code
	}{
		"unknown window":  {[]Limit{{"hour", usd(1), 0}}, fault.InvalidRequest},
		"no window":       {[]Limit{{"", usd(1), 0}}, fault.InvalidRequest},
		"twice":           {[]Limit{{PerDay, usd(1), 0}, {PerDay, usd(2), 0}}, fault.InvalidRequest},
		"negative":        {[]Limit{{PerDay, usd(-1), 0}}, fault.InvalidAmount},
		"other currency":  {[]Limit{{PerDay, money.New(1, money.EUR), 0}}, fault.CurrencyMismatch},
		"negative count":  {[]Limit{{PerDay, usd(1), -1}}, fault.InvalidRequest},
		"large count":     {[]Limit{{PerDay, usd(1), MaxCount + 1}}, fault.InvalidRequest},
		"nothing":         {[]Limit{{PerDay, usd(0), 0}}, fault.InvalidRequest},
		"counted payment": {[]Limit{{PerPayment, usd(1), 1}}, fault.InvalidRequest},
	} {
		if got, err := Check(row.limits, money.USD); fault.CodeOf(err) != row.want {
			t.Errorf("%s: %v, %v; want %s", name, got, err, row.want)
		}
	}
}

// The limit of one window is replaced or removed, the others stay.
func TestWith(t *testing.T) {
	limits := []Limit{{PerDay, usd(10), 0}, {PerMonth, usd(100), 5}}
	for _, row := range []struct {
		put  Limit
		want []Limit
	}{
		{Limit{PerMonth, usd(200), 0}, []Limit{{PerDay, usd(10), 0}, {PerMonth, usd(200), 0}}},
		{Limit{PerMonth, usd(0), 0}, []Limit{{PerDay, usd(10), 0}}},
		{Limit{PerYear, usd(1), 0}, []Limit{{PerDay, usd(10), 0}, {PerMonth, usd(100), 5}, {PerYear, usd(1), 0}}},
		{Limit{PerDay, usd(0), 3}, []Limit{{PerMonth, usd(100), 5}, {PerDay, usd(0), 3}}},
	} {
		got := With(limits, row.put)
		if diff := cmp.Diff(row.want, got); diff != "" {
			t.Errorf("with %+v (-want +got):\n%s", row.put, diff)
		}
		found, ok := Of(got, row.put.Window)
		if ok != !(row.put.Amount.IsZero() && row.put.Count == 0) || ok && found != row.put {
			t.Errorf("%s is %+v, %t", row.put.Window, found, ok)
		}
	}
}

// Limits are read as they were written, and written for people as commands take them.
func TestWritten(t *testing.T) {
	limits := []Limit{{PerPayment, usd(50_00), 0}, {PerMonth, usd(500_00), 20}, {ForLife, usd(0), 1}}
	read, err := Decode(Encode(limits), money.USD)
	if diff := cmp.Diff(limits, read); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	for i, want := range []string{"payment=50", "month=500/20", "life=0/1"} {
		if got := limits[i].String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if got, err := Decode("{}", money.USD); err == nil {
		t.Errorf("limits of another shape are read as %v", got)
	}
}
