package reseller

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scripcards/scrip/internal/order/supply"
)

// A repeated order is answered as it was at first: what holds is how it is now.
func TestRepeatedAnswer(t *testing.T) {
	b := setup(t, "")
	for name, c := range map[string]struct {
		now   string
		state supply.State
		codes []string
	}{
		"as it was":   {read, supply.Delivered, []string{"AAAA 4.90 5.00", "BBBB 4.90 5.00 7694269"}},
		"paid back":   {order("refunded", `[{"code":"AAAA","status":"refunded"},{"code":"BBBB","status":"refunded"}]`), supply.Refused, nil},
		"one of them": {order("completed", `[{"code":"AAAA","status":"refunded"},{"code":"BBBB","status":"delivered"}]`), supply.Delivered, []string{"BBBB 4.90 5.00 7694269"}},
		"replaced":    {order("completed", `[{"code":"CCCC","status":"delivered"},{"code":"BBBB","status":"delivered"}]`), supply.Delivered, []string{"CCCC 2.45 5.00", "BBBB 4.90 5.00 7694269"}},
		"being so":    {order("completed", `[{"code":"","status":"replacing"},{"code":"BBBB","status":"delivered"}]`), supply.Working, nil},
	} {
		b.says(200, bought)
		b.now, b.nowStatus = c.now, http.StatusOK
		a, err := b.Query(t.Context(), b.submission(""))
		var codes []string
		for _, code := range a.Codes {
			codes = append(codes, strings.TrimSpace(fmt.Sprint(code.Text.Reveal(), " ", code.Cost, " ", code.Face, " ", code.PIN.Reveal())))
		}
		reference := "71 2026-11-21T09:00:00Z 5.00 USD"
		if c.state == supply.Working { // the PIN is to be had later, too
			reference += " repeat"
		}
		if diff := cmp.Diff(c.codes, codes); err != nil || a.State != c.state || a.Reference != reference || diff != "" {
			t.Errorf("%s: %s, %s, %v: %s", name, a.State, a.Reference, err, diff)
		}
	}
}

// Where the upstream does not say how an order is now, nothing is delivered of how it was: its
// codes may have been paid back. It is read by its number later, or repeated where that would
// say less of its codes, unless the upstream does not know the number.
func TestRepeatedUnread(t *testing.T) {
	b := setup(t, "")
	const reference = "71 2026-11-21T09:00:00Z 5.00 USD"
	for name, c := range map[string]struct {
		status int
		now    string
		state  supply.State
	}{
		"no such order":     {404, refused, supply.Delivered},
		"a page":            {404, "<html>not here</html>", supply.Working},
		"gone":              {0, read, supply.Working},
		"too many":          {429, refused, supply.Working},
		"busy":              {503, refused, supply.Working},
		"a wrong key":       {401, refused, supply.Working},
		"no success":        {200, refused, supply.Working},
		"an unknown status": {200, order("lost", `[]`), supply.Working},
		"another order":     {200, strings.Replace(read, "71", "72", 1), supply.Working},
	} {
		for body, kept := range map[string]string{bought: reference + " repeat", strings.Replace(bought, "Pin", "Note", 1): reference} {
			if c.state == supply.Delivered {
				kept = reference
			}
			b.says(200, body)
			b.now, b.nowStatus = c.now, c.status
			a, err := b.Query(t.Context(), b.submission(""))
			if a.State != c.state || (err != nil) != (c.state == supply.Working) || (len(a.Codes) > 0) != (c.state == supply.Delivered) || a.Reference != kept {
				t.Errorf("%s: %s, %s, %d codes, %v", name, a.State, a.Reference, len(a.Codes), err)
			}
			b.now, b.nowStatus = order("refunded", `[]`), http.StatusOK
			if a, err = b.Query(t.Context(), b.submission(a.Reference)); err != nil || a.State != supply.Refused {
				t.Errorf("%s, once more: %s, %v", name, a.State, err)
			}
		}
	}
}

// An order whose repeated answer has PINs is repeated for them as long as the upstream keeps that
// answer, given up or not, and read by its number after that.
func TestRepeatedForPINs(t *testing.T) {
	for name, ask := range map[string]func(*bench, supply.Submission) (supply.Answer, error){
		"open":     func(b *bench, s supply.Submission) (supply.Answer, error) { return b.Query(b.t.Context(), s) },
		"given up": func(b *bench, s supply.Submission) (supply.Answer, error) { return b.Cancel(b.t.Context(), s) },
	} {
		for after, pin := range map[time.Duration]string{time.Hour: "7694269", 23 * time.Hour: ""} {
			b := setup(t, "")
			b.says(200, bought)
			s := b.submission("")
			b.now, b.nowStatus = refused, http.StatusServiceUnavailable
			a, err := b.Query(t.Context(), s)
			if a.State != supply.Working || err == nil {
				t.Fatalf("%s: %s, %v", name, a.State, err)
			}
			s.Reference = a.Reference
			b.clock.Advance(after)
			b.now, b.nowStatus = read, http.StatusOK
			a, err = ask(b, s)
			if err != nil || a.State != supply.Delivered || len(a.Codes) != 2 || a.Codes[1].PIN.Reveal() != pin || a.Codes[1].Face.String() != "5.00" || a.Reference != "71 2026-11-21T09:00:00Z 5.00 USD" {
				t.Errorf("%s, after %s: %s, %s, %d codes, %v", name, after, a.State, a.Reference, len(a.Codes), err)
			}
		}
	}
}

// Where the upstream turns out to have forgotten the key of an order whose number is known, the
// order is not sent once more, and nothing that is said of another one counts.
func TestForgottenKey(t *testing.T) {
	const known = "71 2026-11-21T09:00:00Z 5.00 USD"
	for name, c := range map[string]struct {
		status int
		body   string
	}{
		"out of stock":   {400, refused},
		"no such item":   {404, refused},
		"bought again":   {200, strings.Replace(bought, `"order_id":71`, `"order_id":72`, 1)},
		"at a later day": {200, strings.Replace(bought, "2026-11-21T09", "2026-11-22T09", 1)},
	} {
		b := setup(t, "")
		b.says(c.status, c.body)
		b.now, b.nowStatus = read, http.StatusOK
		a, _ := b.Query(t.Context(), b.submission(known+" repeat"))
		if a.State != supply.Unknown || a.Reference != known {
			t.Errorf("%s: %s, %s", name, a.State, a.Reference)
		}
		a, err := b.Query(t.Context(), b.submission(a.Reference))
		if err != nil || a.State != supply.Delivered || len(b.seen) != 2 || !strings.HasPrefix(b.seen[1], "GET ") {
			t.Errorf("%s, once more: %s, %v, %v", name, a.State, err, b.seen)
		}
	}
}

// The look-up ends before the time for the whole is over, so that what is known by then is heard.
func TestRepeatedInTime(t *testing.T) {
	b := setup(t, "")
	b.says(200, bought)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	all, _ := ctx.Deadline()
	var reading time.Time
	b.asks = &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
		reading, _ = r.Context().Deadline()
		return nil, context.DeadlineExceeded
	})}
	if a, _ := b.Query(ctx, b.submission("")); a.State != supply.Working || !reading.Before(all) || reading.IsZero() {
		t.Errorf("%s, by %s of %s", a.State, reading, all)
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// An order is not repeated once the upstream may have forgotten its key, nor ever where it
// knows none; what was given up is looked up by its number alone.
func TestRepeats(t *testing.T) {
	b := setup(t, "")
	b.says(200, bought)
	old := b.submission("")
	b.clock.Advance(23 * time.Hour)
	if a, err := b.Query(t.Context(), old); a.State != supply.Unknown || err != nil || len(b.seen) != 0 {
		t.Errorf("after 23 hours: %+v, %v, %v", a, err, b.seen)
	}
	if a, err := b.Cancel(t.Context(), b.submission("")); a.State != supply.Unknown || err != nil || len(b.seen) != 0 {
		t.Errorf("given up: %+v, %v, %v", a, err, b.seen)
	}
	if a, err := b.Cancel(t.Context(), b.submission("71")); a.State != supply.Delivered || err != nil {
		t.Errorf("given up and delivered: %+v, %v", a, err)
	}
	keyless := setup(t, `,"repeatable_s":0`)
	keyless.says(200, bought)
	if a, err := keyless.Query(t.Context(), keyless.submission("")); a.State != supply.Unknown || err != nil || len(keyless.seen) != 0 {
		t.Errorf("without keys: %+v, %v, %v", a, err, keyless.seen)
	}
}
