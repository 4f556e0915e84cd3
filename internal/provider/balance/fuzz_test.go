package balance

import (
	"encoding/json"
	"net/url"
	"testing"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/ping"
	"github.com/scripcards/scrip/internal/provider/call"
)

// A template that is accepted stays valid JSON, a valid query and a valid path
// whatever fills it, and puts the value there unchanged.
func FuzzTemplate(f *testing.F) {
	for _, text := range []string{`{"a":"{{pin}}"}`, `["{{pin}}{{pin}}"]`, `"\u007b{{pin}}"`, `{{pin}}`, `{{`, `}}`, `{"a":{"b":{}}}`, `{{{pin}}}`, `{{pin }}`} {
		f.Add(text, `1"2\3`)
		f.Add(text, "&=?#%/..\u2028<")
	}
	f.Fuzz(func(t *testing.T, text, pin string) {
		parsed, err := parseTemplate(text, func(hold string) bool { return hold == holdPIN })
		if err != nil {
			if fault.CodeOf(err) != fault.InvalidRequest {
				t.Fatal(err)
			}
			return
		}
		secret := pan.NewSecret(pin)
		if !plausible(secret) {
			return
		}
		v := values{pin: secret}
		if jsontext.Value(text).IsValid() {
			filled := parsed.fill(v, escapeJSON)
			if !jsontext.Value(filled).IsValid() {
				t.Fatalf("%q filled with %q is no JSON: %q", text, pin, filled)
			}
			if !json.Valid(filled) {
				t.Fatalf("%q filled with %q: %q", text, pin, filled)
			}
		}
		var quoted string
		if err := json.Unmarshal([]byte(`"`+escapeJSON(pin)+`"`), &quoted); err != nil || quoted != pin {
			t.Fatalf("%q became %q in JSON: %v", pin, quoted, err)
		}
		form, err := url.ParseQuery(string(fillForm([]formField{{"f", template{{hold: holdPIN}}}, {"g", nil}}, v)))
		if err != nil || form.Get("f") != pin || len(form) != 2 {
			t.Fatalf("%q became %v in a form: %v", pin, form, err)
		}
		u, err := url.Parse("https://a.example/" + escapePath(pin) + "?q=" + escapeQuery(pin))
		if err != nil || u.Path != "/"+pin || u.Query().Get("q") != pin || u.Fragment != "" || u.Host != "a.example" {
			t.Fatalf("%q became %v in a URL: %v", pin, u, err)
		}
	})
}

// Whatever a partner answers, it is an exact balance that is not negative, or a fault
// without a word of the answer.
func FuzzAnswer(f *testing.F) {
	for _, text := range []string{
		goodAnswer, `{"data":{"currency":"JPY","at":"2026-03-04T06:06:07+01:00","card":[{"state":"LOCKED","balance":"1","ends":"2027-03"}]}}`,
		`{"data":{"currency":"USD","card":[{"state":"OPEN","balance":-1e9}]}}`, `[]`, `{"data":null}`,
	} {
		f.Add([]byte(text))
	}
	usd, err := money.Parse("USD")
	if err != nil {
		f.Fatal(err)
	}
	number, err := pan.Parse(testNumber)
	if err != nil {
		f.Fatal(err)
	}
	a := answer{
		status: call.Path{"data", "card", "0", "state"}, words: map[string]outcome{"OPEN": cardActive, "LOCKED": cardInactive, "NONE": cardUnknown, "BADPIN": pinWrong},
		amount: call.Path{"data", "card", "0", "balance"}, amountForm: formDecimal, currency: call.Path{"data", "currency"},
		expiry: call.Path{"data", "card", "0", "ends"}, expiryForm: "2006-01", asOf: call.Path{"data", "at"}, asOfForm: formRFC3339,
	}
	now := time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, body []byte) {
		b, err := a.read(body, ping.Inquiry{Number: number, Currency: usd}, now)
		switch {
		case err != nil:
			if fault.CodeOf(err) != fault.Unavailable {
				t.Fatal(err)
			}
		case b.Amount.IsNegative() || !b.Amount.Currency.IsValid() || b.AsOf.After(now):
			t.Fatalf("%s: %+v", body, b)
		case b.Status == ping.Invalid && !b.Amount.IsZero():
			t.Fatalf("%s: %+v", body, b)
		}
	})
}
