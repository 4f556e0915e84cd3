package rates

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/core/asset"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/rate"
)

var bitcoin = rate.Pair{Base: "BTC", Quote: money.USD}

type object map[string]any

// open opens a source, which may speak to this machine without TLS.
func open(t *testing.T, config object) rate.Source {
	t.Helper()
	config["allow_plain"] = true
	content, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	named, err := Open(content)
	if err != nil {
		t.Fatal(err)
	}
	return named.Source
}

// answers is a server that gives one answer to one request, and 404 to any other.
func answers(t *testing.T, uri string, status int, body string) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.RequestURI != uri || r.Method != http.MethodGet {
			http.NotFound(w, r)
			return
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// Each preset asks its exchange as that wants to be asked, and finds the price, to the
// last digit, and the time, if there is one, in an answer as the exchange writes it.
func TestPresets(t *testing.T) {
	at := time.Date(2026, 5, 22, 11, 57, 54, 0, time.UTC)
	cases := map[string]struct {
		uri, price string
		at         time.Time
	}{
		"kraken":   {"/0/public/Ticker?pair=XXBTZUSD", "65850/1", time.Time{}},
		"coinbase": {"/v2/prices/BTC-USD/spot", "13170247/200", time.Time{}},
		"bitstamp": {"/api/v2/ticker/btcusd/", "65847/1", at},
		"bitfinex": {"/v2/ticker/tBTCUSD", "131699/2", time.Time{}},
		"gemini":   {"/v1/pubticker/btcusd", "6584911/100", time.Time{}},
		"okx":      {"/api/v5/market/index-tickers?instId=BTC-USD", "329252/5", at.Add(123 * time.Millisecond)},
	}
	for _, name := range Presets() {
		t.Run(name, func(t *testing.T) {
			c, tested := cases[name]
			if !tested {
				t.Fatal("the preset has no recorded answer")
			}
			recorded, err := os.ReadFile(filepath.Join("testdata", name+".json"))
			if err != nil {
				t.Fatal(err)
			}
			_, way, _ := strings.Cut(strings.TrimPrefix(presets[name].URL, "https://"), "/")
			got, err := open(t, object{"preset": name, "url": answers(t, c.uri, 200, string(recorded)) + "/" + way}).Price(context.Background(), bitcoin)
			if err != nil || got.Rate.String() != c.price || !got.At.Equal(c.at) {
				t.Errorf("%s at %s, %v; want %s at %s", got.Rate, got.At, err, c.price, c.at)
			}
		})
	}
}

// Every preset opens as it is, and every asset has two of them at the least, since one
// source alone decides nothing.
func TestPresetsCoverAssets(t *testing.T) {
	listed := map[asset.Symbol]int{}
	for _, name := range Presets() {
		named, err := settings{Preset: name}.compile()
		if err != nil || named.Name != name {
			t.Errorf("%s: %q, %v", name, named.Name, err)
		}
		for pair := range presets[name].Pairs {
			if base, usd := strings.CutSuffix(pair, "/USD"); usd {
				listed[asset.Symbol(base)]++
			}
		}
	}
	for _, a := range asset.All() {
		if listed[a.Symbol()] < 2 {
			t.Errorf("%s is listed by %d presets", a, listed[a.Symbol()])
		}
	}
}

// An operator's own source is a URL, a path to the price, a path to its time, and what it
// calls things.
func TestOwnSource(t *testing.T) {
	recorded, err := os.ReadFile("testdata/custom.json")
	if err != nil {
		t.Fatal(err)
	}
	url := answers(t, "/p?of=BTCUSD", 200, string(recorded))
	s := open(t, object{"name": "mine", "url": url + "/p?of={pair}", "price": "prices.0.mid", "time": "prices.0.when", "time_format": "rfc3339",
		"pairs": object{"BTC/USD": "BTCUSD"}})
	got, err := s.Price(context.Background(), bitcoin)
	if err != nil || got.Rate.String() != "1/2" || !got.At.Equal(time.Date(2026, 5, 22, 11, 57, 54, 0, time.UTC)) {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := s.Price(context.Background(), rate.Pair{Base: "XMR", Quote: money.USD}); fault.CodeOf(err) != fault.NotFound {
		t.Errorf("a pair that it does not list: %v", err)
	}
}

// Whatever is no price as described is a fault, and no word of it gets into the fault.
func TestLies(t *testing.T) {
	const secret = "tell-nobody"
	for name, c := range map[string]struct {
		status int
		body   string
	}{
		"an error page with 200": {200, "<html>" + secret + "</html>"},
		"an error of its own":    {200, `{"error":["` + secret + `"],"result":{}}`},
		"403":                    {403, secret},
		"500":                    {500, `{"p":1}`},
		"redirect":               {302, `{"p":1}`},
		"nothing":                {200, ""},
		"null":                   {200, `{"p":null}`},
		"zero":                   {200, `{"p":0}`},
		"negative":               {200, `{"p":-1}`},
		"exponent":               {200, `{"p":6.5e4}`},
		"NaN":                    {200, `{"p":"NaN"}`},
		"thousands":              {200, `{"p":"65,850.00"}`},
		"words":                  {200, `{"p":"` + secret + `"}`},
		"boolean":                {200, `{"p":true}`},
		"object":                 {200, `{"p":{"a":1}}`},
		"twice":                  {200, `{"p":1,"p":2}`},
		"too fine":               {200, `{"p":1.0000000000000000001}`},
		"too great":              {200, `{"p":99999999999999999999}`},
		"trailing":               {200, `{"p":1}{"p":1}`},
		"too long":               {200, `{"p":1}` + strings.Repeat(" ", maxAnswer)},
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t, object{"name": "mine", "url": answers(t, "/BTC", c.status, c.body) + "/{pair}", "price": "p", "pairs": object{"BTC/USD": "BTC"}})
			got, err := s.Price(context.Background(), bitcoin)
			if fault.CodeOf(err) != fault.Unavailable || got != (rate.Price{}) || strings.Contains(err.Error(), secret) {
				t.Errorf("%+v, %v", got, err)
			}
		})
	}
	for name, body := range map[string]string{"no time": `{"p":1}`, "another form": `{"p":1,"t":"2026-05-22"}`, "negative": `{"p":1,"t":-1}`, "far": `{"p":1,"t":999999999999999}`} {
		s := open(t, object{"name": "mine", "url": answers(t, "/BTC", 200, body) + "/{pair}", "price": "p", "time": "t", "time_format": "unix", "pairs": object{"BTC/USD": "BTC"}})
		if got, err := s.Price(context.Background(), bitcoin); fault.CodeOf(err) != fault.Unavailable || got != (rate.Price{}) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

// Nobody there, and nobody who answers, are both a fault.
func TestSilence(t *testing.T) {
	s := open(t, object{"name": "mine", "url": "http://127.0.0.1:1/{pair}", "price": "p", "pairs": object{"BTC/USD": "BTC"}})
	if _, err := s.Price(context.Background(), bitcoin); fault.CodeOf(err) != fault.Unavailable {
		t.Errorf("nobody there: %v", err)
	}
	done := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-done }))
	t.Cleanup(func() { close(done); server.Close() })
	s = open(t, object{"name": "mine", "url": server.URL + "/{pair}", "price": "p", "pairs": object{"BTC/USD": "BTC"}, "timeout_ms": 20})
	if _, err := s.Price(context.Background(), bitcoin); fault.CodeOf(err) != fault.Unavailable {
		t.Errorf("no answer: %v", err)
	}
}

// A configuration that cannot work is refused, with the key that is wrong.
func TestConfiguration(t *testing.T) {
	whole := func(change object) object {
		c := object{"name": "mine", "url": "https://rates.example/{pair}", "price": "p", "pairs": object{"BTC/USD": "BTC"}}
		for key, value := range change {
			if c[key] = value; value == nil {
				delete(c, key)
			}
		}
		return c
	}
	for name, c := range map[string]struct {
		config any
		at     string
	}{
		"no object":         {[]int{1}, ""},
		"unknown key":       {whole(object{"pirce": "p"}), "pirce"},
		"wrong type":        {whole(object{"timeout_ms": "5"}), "timeout_ms"},
		"unknown preset":    {object{"preset": "mtgox"}, "preset"},
		"no name":           {whole(object{"name": nil}), "name"},
		"name":              {whole(object{"name": "My Own"}), "name"},
		"no URL":            {whole(object{"url": nil}), "url"},
		"plain":             {whole(object{"url": "http://rates.example/{pair}"}), "url"},
		"plain elsewhere":   {whole(object{"url": "http://rates.example/{pair}", "allow_plain": true}), "url"},
		"plain not allowed": {whole(object{"url": "http://127.0.0.1/{pair}"}), "url"},
		"host of a pair":    {whole(object{"url": "https://{pair}.example/"}), "url"},
		"user":              {whole(object{"url": "https://me@rates.example/{pair}"}), "url"},
		"no price":          {whole(object{"price": nil}), "price"},
		"empty segment":     {whole(object{"price": "a..b"}), "price"},
		"time alone":        {whole(object{"time": "t"}), "time_format"},
		"format alone":      {whole(object{"time_format": "unix"}), "time_format"},
		"format":            {whole(object{"time": "t", "time_format": "julian"}), "time_format"},
		"time path":         {whole(object{"time": ".", "time_format": "unix"}), "time"},
		"no pairs":          {whole(object{"pairs": nil}), "pairs"},
		"asset":             {whole(object{"pairs": object{"DOGE/USD": "X"}}), "pairs.DOGE/USD"},
		"currency":          {whole(object{"pairs": object{"BTC/USDT": "X"}}), "pairs.BTC/USDT"},
		"name of a pair":    {whole(object{"pairs": object{"BTC/USD": "../x"}}), "pairs.BTC/USD"},
		"timeout":           {whole(object{"timeout_ms": 30_001}), "timeout_ms"},
	} {
		content, err := json.Marshal(c.config)
		if err != nil {
			t.Fatal(err)
		}
		_, err = Open(content)
		if f := fault.From(err); err == nil || f.Code != fault.InvalidRequest || f.Field != c.at {
			t.Errorf("%s: %v at %q, want one at %q", name, err, f.Field, c.at)
		}
	}
	content, err := json.Marshal(whole(nil))
	if err != nil {
		t.Fatal(err)
	}
	if named, err := Open(content); err != nil || named.Name != "mine" {
		t.Errorf("a right one: %q, %v", named.Name, err)
	}
	if !slices.Contains(Presets(), "kraken") {
		t.Error("kraken is no preset")
	}
}
