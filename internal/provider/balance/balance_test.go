package balance

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/ping"
)

// An answer as the configuration describes it becomes the same balance, to the unit,
// whichever way the partner writes it.
func TestAnswers(t *testing.T) {
	usd, jpy := currency(t, "USD"), currency(t, "JPY")
	asOf := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	active := ping.Balance{Status: ping.Active, Amount: money.New(4750, usd), Expiry: "2027-03", AsOf: asOf, PIN: ping.PINRight}
	plain := ping.Balance{Status: ping.Active, Amount: money.New(4750, usd), PIN: ping.PINRight}
	nothing := money.New(0, usd)
	cases := []struct {
		name   string
		change object
		status int
		body   string
		want   ping.Balance
	}{
		{"everything", nil, 200, `{"data":{"card":[{"state":"OPEN","balance":"47.50","ends":"2027-03"}],"currency":"USD","at":"2026-03-04T06:06:07+01:00"}}`, active},
		{"number", nil, 200, `{"data":{"currency":"usd","card":[{"balance":47.5,"state":"OPEN"}]}}`, plain},
		{"numeric word", nil, 200, `{"data":{"currency":"USD","card":[{"balance":47.5,"state":1}]}}`, plain},
		{"boolean word", nil, 200, `{"data":{"currency":"USD","card":[{"balance":47.5,"state":true}]}}`, plain},
		{"nulls", nil, 200, `{"data":{"currency":"USD","at":null,"card":[{"balance":47.5,"state":"OPEN","ends":null}]}}`, plain},
		{"empty expiry", nil, 200, `{"data":{"currency":"USD","card":[{"balance":47.5,"state":"OPEN","ends":""}]}}`, plain},
		{"zero", nil, 200, `{"data":{"currency":"USD","card":[{"balance":-0.00,"state":"OPEN"}]}}`, ping.Balance{Status: ping.Active, Amount: nothing, PIN: ping.PINRight}},
		{"another currency", nil, 200, `{"data":{"currency":"JPY","card":[{"balance":1200,"state":"OPEN"}]}}`, ping.Balance{Status: ping.Active, Amount: money.New(1200, jpy), PIN: ping.PINRight}},
		{"great", nil, 200, `{"data":{"currency":"USD","card":[{"balance":92233720368547758.07,"state":"OPEN"}]}}`, ping.Balance{Status: ping.Active, Amount: money.New(9223372036854775807, usd), PIN: ping.PINRight}},
		{"minor", object{"answer.balance_format": "minor"}, 200, `{"data":{"currency":"USD","card":[{"balance":4750,"state":"OPEN"}]}}`, plain},
		{"minor text", object{"answer.balance_format": "minor"}, 200, `{"data":{"currency":"USD","card":[{"balance":"4750","state":"OPEN"}]}}`, plain},
		{"overdrawn", object{"answer.negative_is_zero": true}, 200, `{"data":{"currency":"USD","card":[{"balance":-0.01,"state":"OPEN"}]}}`, ping.Balance{Status: ping.Active, Amount: nothing, PIN: ping.PINRight}},
		{"inactive", nil, 200, `{"data":{"currency":"USD","card":[{"balance":"5","state":"LOCKED"}]}}`, ping.Balance{Status: ping.Inactive, Amount: money.New(500, usd)}},
		{"inactive without balance", nil, 200, `{"data":{"card":[{"state":"LOCKED"}]}}`, ping.Balance{Status: ping.Inactive, Amount: nothing}},
		{"expired", nil, 200, `{"data":{"currency":"USD","card":[{"balance":0,"state":"PAST","ends":"2020-01"}]}}`, ping.Balance{Status: ping.Expired, Amount: nothing, Expiry: "2020-01"}},
		{"unknown", nil, 200, `{"data":{"currency":"USD","card":[{"balance":"99.00","state":"NONE","ends":"2027-03"}]}}`, ping.Balance{Status: ping.Invalid, Amount: nothing}},
		{"wrong PIN", nil, 200, `{"data":{"card":[{"state":"BADPIN"}]}}`, ping.Balance{Status: ping.Invalid, Amount: nothing, PIN: ping.PINWrong}},
		{"404", nil, 404, `<h1>no</h1>`, ping.Balance{Status: ping.Invalid, Amount: nothing}},
		{"404 with a long page", object{"max_response_bytes": 64}, 404, strings.Repeat("no such card ", 20), ping.Balance{Status: ping.Invalid, Amount: nothing}},
		{"403", nil, 403, ``, ping.Balance{Status: ping.Invalid, Amount: nothing, PIN: ping.PINWrong}},
		{"410", nil, 410, ``, ping.Balance{Status: ping.Expired, Amount: nothing}},
		{"423", nil, 423, ``, ping.Balance{Status: ping.Inactive, Amount: nothing}},
		{"another status with an answer", object{"http_statuses": object{"206": "answer"}}, 206, `{"data":{"currency":"USD","card":[{"balance":47.5,"state":"OPEN"}]}}`, plain},
		{"no status", object{"answer.status": nil, "answer.words": nil}, 200, `{"data":{"currency":"USD","card":[{"balance":47.5}]}}`, plain},
		{"asked currency", object{"answer.currency": nil}, 200, `{"data":{"card":[{"balance":47.5,"state":"OPEN"}]}}`, plain},
		{"only currency", object{"answer.currency": nil, "answer.currencies": []string{"JPY"}}, 200, `{"data":{"card":[{"balance":12,"state":"OPEN"}]}}`, ping.Balance{Status: ping.Active, Amount: money.New(12, jpy), PIN: ping.PINRight}},
		{"PIN unchecked", object{"checks_pin": false}, 200, `{"data":{"currency":"USD","card":[{"balance":47.5,"state":"OPEN"}]}}`, ping.Balance{Status: ping.Active, Amount: money.New(4750, usd)}},
		{"far time counts as now", nil, 200, `{"data":{"currency":"USD","at":"2999-01-01T00:00:00Z","card":[{"balance":47.5,"state":"OPEN"}]}}`, plain},
		{"seconds", object{"answer.as_of_format": "unix"}, 200, `{"data":{"currency":"USD","at":1772600767,"card":[{"balance":47.5,"state":"OPEN","ends":"2027-03"}]}}`, active},
		{"milliseconds", object{"answer.as_of_format": "unix_ms"}, 200, `{"data":{"currency":"USD","at":"1772600767000","card":[{"balance":47.5,"state":"OPEN","ends":"2027-03"}]}}`, active},
		{"far year of two digits", object{"answer.expiry_format": "MM/YY", "checks_pin": false}, 200, `{"data":{"currency":"USD","card":[{"balance":47.5,"state":"OPEN","ends":"12/69"}]}}`,
			ping.Balance{Status: ping.Active, Amount: money.New(4750, usd), Expiry: "2069-12"}},
		{"number for a name", object{"answer.balance": "data.0"}, 200, `{"data":{"0":47.5,"currency":"USD","card":[{"state":"OPEN"}]}}`, plain},
	}
	for form, text := range map[string]string{
		"YYYY-MM-DD": "2027-03-31", "YYYYMM": "202703", "MM/YYYY": "03/2027", "MM/YY": "03/27", "MMYY": "0327", "YYMM": "2703", "RFC3339": "2027-03-31T23:59:59Z",
	} {
		want := plain
		want.Expiry = "2027-03"
		cases = append(cases, struct {
			name   string
			change object
			status int
			body   string
			want   ping.Balance
		}{form, object{"answer.expiry_format": form}, 200, `{"data":{"currency":"USD","card":[{"balance":47.5,"state":"OPEN","ends":"` + text + `"}]}}`, want})
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			n := mustOpen(t, usual(t, says(t, c.status, c.body)).with(c.change))
			got, err := inquire(t, n)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("balance (-want +got):\n%s", diff)
			}
		})
	}
}

// Content that lies, contradicts or is not as described is the network's failing:
// no amount comes of it, and no word of it gets into the error.
func TestLies(t *testing.T) {
	card := func(balance string) string {
		return `{"data":{"currency":"USD","card":[{"state":"OPEN","balance":` + balance + `}]}}`
	}
	cases := map[string]struct {
		change object
		body   string
	}{
		"nothing":              {nil, ``},
		"text":                 {nil, `hello ` + testNumber},
		"HTML":                 {nil, `<html><body>` + testNumber + `</body></html>`},
		"half":                 {nil, `{"data":{"card":[{"state":"OPEN",`},
		"two values":           {nil, card("1") + card("2")},
		"an array":             {nil, `[` + card("1") + `]`},
		"a number":             {nil, `5`},
		"null":                 {nil, `null`},
		"names twice":          {nil, `{"data":{"currency":"USD","card":[{"state":"OPEN","balance":1,"balance":2}]}}`},
		"broken UTF-8":         {nil, "{\"data\":{\"currency\":\"USD\",\"card\":[{\"state\":\"OPEN\",\"balance\":\"1\",\"x\":\"\xff\"}]}}"},
		"deep":                 {nil, strings.Repeat("[", 20000) + strings.Repeat("]", 20000)},
		"no balance":           {nil, `{"data":{"currency":"USD","card":[{"state":"OPEN"}]}}`},
		"null balance":         {nil, card("null")},
		"object":               {nil, card(`{"amount":1}`)},
		"array":                {nil, card(`[1]`)},
		"boolean":              {nil, card(`true`)},
		"empty text":           {nil, card(`""`)},
		"word":                 {nil, card(`"` + testNumber + ` dollars"`)},
		"NaN":                  {nil, card(`NaN`)},
		"NaN text":             {nil, card(`"NaN"`)},
		"infinite":             {nil, card(`"Infinity"`)},
		"hexadecimal":          {nil, card(`"0x10"`)},
		"thousands":            {nil, card(`"1,000.00"`)},
		"plus":                 {nil, card(`"+1.00"`)},
		"space":                {nil, card(`" 1.00"`)},
		"exponent":             {nil, card(`4.75e1`)},
		"negative":             {nil, card(`-47.50`)},
		"negative text":        {nil, card(`"-47.50"`)},
		"half a cent":          {nil, card(`47.505`)},
		"too great":            {nil, card(`92233720368547758.08`)},
		"overlong":             {nil, card(strings.Repeat("9", 400))},
		"overlong text":        {nil, card(`"` + strings.Repeat("0", 100) + `1"`)},
		"minor with decimals":  {object{"answer.balance_format": "minor"}, card(`4750.0`)},
		"minor exponent":       {object{"answer.balance_format": "minor"}, card(`4e3`)},
		"minor too great":      {object{"answer.balance_format": "minor"}, card(`9223372036854775808`)},
		"minor overlong":       {object{"answer.balance_format": "minor"}, card(strings.Repeat("1", 40))},
		"minor negative":       {object{"answer.balance_format": "minor"}, card(`-1`)},
		"minor underscore":     {object{"answer.balance_format": "minor"}, card(`"1_000"`)},
		"no status":            {nil, `{"data":{"currency":"USD","card":[{"balance":1}]}}`},
		"status object":        {nil, `{"data":{"currency":"USD","card":[{"state":{},"balance":1}]}}`},
		"unknown word":         {nil, `{"data":{"currency":"USD","card":[{"state":"` + testNumber + `","balance":1}]}}`},
		"word in another case": {nil, `{"data":{"currency":"USD","card":[{"state":"open","balance":1}]}}`},
		"long word":            {nil, `{"data":{"currency":"USD","card":[{"state":"` + strings.Repeat("O", 200) + `","balance":1}]}}`},
		"busy":                 {nil, `{"data":{"card":[{"state":"BUSY"}]}}`},
		"no card":              {nil, `{"data":{"currency":"USD","card":[]}}`},
		"card is no array":     {nil, `{"data":{"currency":"USD","card":"OPEN"}}`},
		"no currency":          {nil, `{"data":{"card":[{"state":"OPEN","balance":1}]}}`},
		"currency number":      {nil, `{"data":{"currency":840,"card":[{"state":"OPEN","balance":1}]}}`},
		"unknown currency":     {nil, `{"data":{"currency":"XXX","card":[{"state":"OPEN","balance":1}]}}`},
		"wrong currency":       {nil, `{"data":{"currency":"EUR","card":[{"state":"OPEN","balance":1}]}}`},
		"asked wrong currency": {object{"answer.currency": nil, "answer.currencies": []string{"EUR", "JPY"}}, card(`1`)},
		"expiry":               {nil, `{"data":{"currency":"USD","card":[{"state":"OPEN","balance":1,"ends":"2027-13"}]}}`},
		"expiry number":        {nil, `{"data":{"currency":"USD","card":[{"state":"OPEN","balance":1,"ends":202703}]}}`},
		"expiry object":        {nil, `{"data":{"currency":"USD","card":[{"state":"OPEN","balance":1,"ends":{}}]}}`},
		"ancient expiry":       {nil, `{"data":{"currency":"USD","card":[{"state":"OPEN","balance":1,"ends":"0000-01"}]}}`},
		"time":                 {nil, `{"data":{"currency":"USD","at":"yesterday","card":[{"state":"OPEN","balance":1}]}}`},
		"time number":          {object{"answer.as_of_format": "unix"}, `{"data":{"currency":"USD","at":1e9,"card":[{"state":"OPEN","balance":1}]}}`},
		"negative time":        {object{"answer.as_of_format": "unix"}, `{"data":{"currency":"USD","at":-1,"card":[{"state":"OPEN","balance":1}]}}`},
		"time beyond years":    {object{"answer.as_of_format": "unix"}, `{"data":{"currency":"USD","at":9223372036854775807,"card":[{"state":"OPEN","balance":1}]}}`},
		"longer than allowed":  {object{"max_response_bytes": 64}, card(`1`) + strings.Repeat(" ", 64)},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			n := mustOpen(t, usual(t, says(t, 200, c.body)).with(c.change))
			b, err := inquire(t, n)
			wantFault(t, err, fault.Unavailable)
			if b != (ping.Balance{}) {
				t.Errorf("a balance beside an error: %+v", b)
			}
		})
	}
}

// HTTP statuses mean what the configuration says; all others are the network failing.
func TestStatuses(t *testing.T) {
	for status, code := range map[int]fault.Code{
		422: fault.CardInvalid, 503: fault.Unavailable, 500: fault.Unavailable, 401: fault.Unavailable,
		400: fault.Unavailable, 429: fault.Unavailable, 204: fault.Unavailable, 301: fault.Unavailable, 302: fault.Unavailable,
	} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			_, err := inquire(t, mustOpen(t, usual(t, says(t, status, ``))))
			wantFault(t, err, code)
		})
	}
	n := mustOpen(t, usual(t, says(t, 200, `{"data":{"card":[{"state":"ALIEN"}]}}`)))
	_, err := inquire(t, n)
	wantFault(t, err, fault.CardInvalid)
}

// seen is one request as the partner got it.
type seen struct{ Method, URI, Type, Auth, Body string }

// Values go into the request escaped for where they stand, whatever they hold, and
// the rest of the templates as it was written.
func TestRequests(t *testing.T) {
	requests := make(chan seen, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		requests <- seen{r.Method, r.RequestURI, r.Header.Get("Content-Type"), r.Header.Get("Authorization"), string(body)}
		_, _ = io.WriteString(w, `{"data":{"currency":"USD","card":[{"state":"OPEN","balance":1}]}}`)
	}))
	t.Cleanup(server.Close)
	auth := "Bearer " + testToken
	cases := []struct {
		name   string
		change object
		want   seen
	}{
		{"JSON", nil, seen{"POST", "/v2/balance", "application/json", auth, `{"card":{"number":"` + testNumber + `","pin":"12\"34&5"},"currency":"USD"}`}},
		{"PUT", object{"method": "PUT"}, seen{"PUT", "/v2/balance", "application/json", auth, `{"card":{"number":"` + testNumber + `","pin":"12\"34&5"},"currency":"USD"}`}},
		{
			"JSON around places", object{"body": json.RawMessage(`[ "{{number}}/{{number}}", {"x{{currency}}": 1.50, "\u007b\u007bpin}}": "{{secret.token}}"} ]`), "headers": nil},
			seen{"POST", "/v2/balance", "application/json", "", `["` + testNumber + `/` + testNumber + `",{"xUSD":1.50,"\u007b\u007bpin}}":"` + testToken + `"}]`},
		},
		{
			"form", object{"body": nil, "form": object{"pin": "p {{pin}}", "card no": "{{number}}"}},
			seen{"POST", "/v2/balance", "application/x-www-form-urlencoded", auth, "card+no=" + testNumber + "&pin=p+12%2234%265"},
		},
		{
			"URL", object{"body": nil, "url": server.URL + "/cards/{{number}}/{{currency}}?pin={{pin}}&key={{secret.token}}&fields=all"},
			seen{"GET", "/cards/" + testNumber + "/USD?pin=12%2234%265&key=" + testToken + "&fields=all", "", auth, ""},
		},
		{"own type", object{"headers": object{"content-type": "application/vnd.partner+json"}}, seen{"POST", "/v2/balance", "application/vnd.partner+json", "", `{"card":{"number":"` + testNumber + `","pin":"12\"34&5"},"currency":"USD"}`}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if _, err := inquire(t, mustOpen(t, usual(t, server.URL).with(c.change))); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, <-requests); diff != "" {
				t.Errorf("request (-want +got):\n%s", diff)
			}
		})
	}
}

// A PIN that cannot be sent as text, and an inquiry without a number or currency, are
// refused before the partner hears of them; no PIN at all is sent as an empty one.
func TestImpossibleInquiries(t *testing.T) {
	heard := make(chan string, 8)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		heard <- string(body)
		_, _ = io.WriteString(w, `{"data":{"currency":"USD","card":[{"state":"OPEN","balance":1}]}}`)
	}))
	t.Cleanup(server.Close)
	n := mustOpen(t, usual(t, server.URL))
	bad := []func(*ping.Inquiry){
		func(q *ping.Inquiry) { q.PIN = pan.NewSecret("12\n34") },
		func(q *ping.Inquiry) { q.PIN = pan.NewSecret("12\x0034") },
		func(q *ping.Inquiry) { q.PIN = pan.NewSecret("\xff1") },
		func(q *ping.Inquiry) { q.PIN = pan.NewSecret(strings.Repeat("1", 65)) },
		func(q *ping.Inquiry) { q.Number = pan.Number{} },
		func(q *ping.Inquiry) { q.Currency = money.NoCurrency },
	}
	for i, change := range bad {
		q := inquiry(t)
		change(&q)
		if _, err := n.Inquire(t.Context(), q); fault.CodeOf(err) != fault.CardInvalid || (fault.From(err).Field == "pin") != (i < 4) {
			t.Errorf("inquiry %d: %v at %q", i, err, fault.From(err).Field)
		}
	}
	q := inquiry(t)
	q.PIN = pan.Secret{}
	b, err := n.Inquire(t.Context(), q)
	if err != nil || b.PIN != ping.PINUnchecked {
		t.Errorf("without a PIN: %+v, %v", b, err)
	}
	if body := <-heard; !strings.Contains(body, `"pin":""`) {
		t.Errorf("body = %s", body)
	}
	if len(heard) != 0 {
		t.Error("the partner heard of an impossible inquiry")
	}
}
