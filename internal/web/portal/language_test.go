package portal

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/core/money"
	portals "github.com/scripcards/scrip/internal/portal"
)

// Every language that a portal can have has every word, and the same things to fill in.
func TestTextsAreComplete(t *testing.T) {
	want := reflect.ValueOf(english().texts)
	for _, code := range portals.Languages() {
		l := languageOf(code)
		if l.code != code || l.name == "" || len(l.months) != 12 {
			t.Errorf("%s: %+v", code, l)
		}
		got := reflect.ValueOf(l.texts)
		for i := range got.NumField() {
			name, text := got.Type().Field(i).Name, got.Field(i).String()
			for _, blank := range []string{"{wait}", "{names}"} {
				if strings.Contains(text, blank) != strings.Contains(want.Field(i).String(), blank) {
					t.Errorf("%s: %s and %s", code, name, blank)
				}
			}
			if text == "" {
				t.Errorf("%s: %s is empty", code, name)
			}
		}
	}
}

// The language is the one asked for, else the best that the browser takes, else the portal's first.
func TestPick(t *testing.T) {
	all := []string{"en", "fr", "es"}
	for _, c := range []struct {
		offered             []string
		asked, accept, want string
	}{
		{all, "", "", "en"},
		{[]string{"fr", "en"}, "", "", "fr"},
		{[]string{"fr", "en"}, "", "de, ja", "fr"},
		{all, "es", "fr", "es"},
		{all, "de", "fr", "fr"},
		{all, "", "fr-CH, fr;q=0.9, en;q=0.8, *;q=0.5", "fr"},
		{all, "", "en;q=0.3, es-MX;q=0.7", "es"},
		{all, "", "ES", "es"},
		{all, "", "fr;q=0, es;q=0.001", "es"},
		{all, "", "fr;q=x, es; q = 1.0", "es"},
		{all, "", "fr;q=0.1234, es;q=0.1", "es"},
		{all, "", strings.Repeat("x", 600) + ",fr", "en"},
		{[]string{"es"}, "en", "en", "es"},
	} {
		if got := pick(c.offered, c.asked, c.accept); got != c.want {
			t.Errorf("pick(%v, %q, %q) = %s, want %s", c.offered, c.asked, c.accept, got, c.want)
		}
	}
}

// Amounts, months and times are written as each language does.
func TestFormats(t *testing.T) {
	for _, c := range []struct {
		code     string
		minor    int64
		currency string
		want     string
	}{
		{"en", 0, "USD", "$0.00"}, {"en", 4750, "USD", "$47.50"}, {"en", 123456789, "USD", "$1,234,567.89"}, {"en", -5, "USD", "-$0.05"},
		{"en", 100000, "EUR", "€1,000.00"}, {"en", 1200, "JPY", "¥1,200"}, {"en", 4750, "CHF", "CHF\u00a047.50"}, {"en", 1234567, "KWD", "KWD\u00a01,234.567"},
		{"fr", 4750, "USD", "47,50\u00a0$US"}, {"fr", 123456, "EUR", "1\u202f234,56\u00a0€"}, {"fr", 4750, "CHF", "47,50\u00a0CHF"}, {"fr", -123456, "EUR", "-1\u202f234,56\u00a0€"},
		{"es", 4750, "USD", "47,50\u00a0US$"}, {"es", 123456, "EUR", "1234,56\u00a0€"}, {"es", 1234567, "EUR", "12.345,67\u00a0€"}, {"es", 1200, "JPY", "1200\u00a0JPY"},
	} {
		currency, err := money.Parse(c.currency)
		if err != nil {
			t.Fatal(err)
		}
		if got := languageOf(c.code).amount(money.New(c.minor, currency)); got != c.want {
			t.Errorf("%s %d %s: %q, want %q", c.code, c.minor, c.currency, got, c.want)
		}
	}
	at := time.Date(2026, 11, 1, 8, 5, 0, 0, time.UTC)
	for code, want := range map[string][4]string{
		"en": {"March 2027", "1 November 2026, 08:05 UTC", "1\u00a0second", "3\u00a0minutes"},
		"fr": {"mars 2027", "1 novembre 2026 à 08:05 UTC", "1\u00a0seconde", "3\u00a0minutes"},
		"es": {"marzo de 2027", "1 de noviembre de 2026, 08:05 UTC", "1\u00a0segundo", "3\u00a0minutos"},
	} {
		l := languageOf(code)
		if got := [4]string{l.month("2027-03"), l.moment(at), l.wait(0), l.wait(121 * time.Second)}; got != want {
			t.Errorf("%s: %q, want %q", code, got, want)
		}
	}
	if got := english().month("soon"); got != "soon" {
		t.Errorf("a month in another form: %q", got)
	}
	if got := english().wait(90 * time.Second); got != "90\u00a0seconds" {
		t.Errorf("wait: %q", got)
	}
}

// A page is in the language that was asked for, keeps it through the form, and leads to the others.
func TestLanguages(t *testing.T) {
	b := setup(t, patient)
	for _, code := range portals.Languages() {
		body := b.get(here+"?lang="+code, visitAs{accept: "en"}).Body.String()
		l := languageOf(code)
		for _, want := range []string{`<html lang="` + code + `">`, l.Title, `action="/p/example?lang=` + code + `"`,
			`<a href="/p/example?lang=` + code + `" lang="` + code + `" hreflang="` + code + `" aria-current="true">` + l.name + `</a>`} {
			if !strings.Contains(body, want) {
				t.Errorf("%s: no %s in %s", code, want, body)
			}
		}
		if n := strings.Count(body, "hreflang"); n != 3 {
			t.Errorf("%s: %d links to languages", code, n)
		}
	}
	b.create(portals.NewPortal{Name: "Un", Slug: "one-language", Languages: []string{"fr"}})
	if body := b.get("/p/one-language?lang=en", visitAs{accept: "en"}).Body.String(); strings.Contains(body, "hreflang") || !strings.Contains(body, `<html lang="fr">`) {
		t.Errorf("one language: %s", body)
	}
}

// FuzzPick: whatever is asked for and accepted, the language is one of those offered.
func FuzzPick(f *testing.F) {
	f.Add("fr", "en;q=0.3, es-MX;q=0.7, *")
	f.Add("", ";q=,,q=1;fr;q=1.000")
	f.Fuzz(func(t *testing.T, asked, accept string) {
		if got := pick([]string{"es", "fr"}, asked, accept); got != "es" && got != "fr" {
			t.Fatalf("picked %q", got)
		}
	})
}
