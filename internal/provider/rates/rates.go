// Package rates asks public tickers, or any HTTP endpoint that answers in JSON, what an
// asset costs. Presets know how some exchanges write pairs and prices; an operator's own
// source is a URL and a path into the answer (see docs/operate/deposits.md).
//
// It promises one attempt per question, a bound on its time and on the size of the
// answer, prices that never pass through a float, and an answer that is either a price as
// described or a fault: an error page with the status 200 is no price.
//
// It must never let any text of the other side's into an error.
package rates

import (
	"context"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/provider/call"
	"github.com/scripcards/scrip/internal/rate"
)

const (
	userAgent = "Scrip-Rates/1"
	maxAnswer = 64 << 10 // bytes
	maxConns  = 4
)

// source is one endpoint.
type source struct {
	client  *http.Client
	timeout time.Duration
	url     string // with {pair} in it
	price   string // path, with {pair} in it
	at      string // path of the time, likewise; empty: there is none
	atForm  string
	pairs   map[string]string // by Pair.String: what the source calls it
}

// Price implements rate.Source.
func (s *source) Price(ctx context.Context, pair rate.Pair) (rate.Price, error) {
	name, listed := s.pairs[pair.String()]
	if !listed {
		return rate.Price{}, fault.New(fault.NotFound, "the source does not list %s", pair)
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	body, err := s.get(ctx, strings.ReplaceAll(s.url, hold, name))
	if err != nil {
		return rate.Price{}, err
	}
	return s.read(body, name)
}

func (s *source) get(ctx context.Context, url string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, unavailable("the request cannot be made")
	}
	request.Header.Set("User-Agent", userAgent)
	request.Header.Set("Accept", "application/json")
	response, err := s.client.Do(request)
	if err != nil {
		return nil, unavailable("%s", call.Reason(err))
	}
	defer func() { _ = response.Body.Close() }() // only read
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	switch {
	case err != nil:
		return nil, unavailable("%s", call.Reason(err))
	case len(body) > maxAnswer:
		return nil, unavailable("the answer is longer than %d bytes", maxAnswer)
	case response.StatusCode != http.StatusOK:
		return nil, unavailable("the HTTP status is %d", response.StatusCode)
	}
	return body, nil
}

// read takes the price, and its time where the source states one.
func (s *source) read(body []byte, name string) (p rate.Price, err error) {
	document := jsontext.Value(body)
	if !document.IsValid() {
		return p, unavailable("the answer is no JSON, or holds a name twice")
	}
	text, ok := find(document, s.price, name)
	if !ok {
		return p, unavailable("the answer has no price")
	}
	if p.Rate, err = money.ParseRate(text); err != nil {
		return rate.Price{}, unavailable("the answer's price is no exact number above zero")
	}
	if s.at == "" {
		return p, nil
	}
	if text, ok = find(document, s.at, name); !ok {
		return rate.Price{}, unavailable("the answer has no time")
	}
	if p.At, ok = parseTime(text, s.atForm); !ok {
		return rate.Price{}, unavailable("the answer's time is not in the form of the configuration")
	}
	return p, nil
}

// find returns the text of the number or string that a path leads to.
func find(document jsontext.Value, path, name string) (string, bool) {
	way, err := call.ParsePath(strings.ReplaceAll(path, hold, name))
	if err != nil {
		return "", false
	}
	value, ok := way.Find(document)
	if kind := value.Kind(); !ok || (kind != '"' && kind != '0') {
		return "", false
	}
	return call.Text(value)
}

// The forms of a time.
const (
	formRFC3339   = "rfc3339"
	formUnix      = "unix"
	formUnixMilli = "unix_ms"
)

const maxUnix = 253402300800 // the year 10000, in seconds

func parseTime(text, form string) (time.Time, bool) {
	if form == formRFC3339 {
		at, err := time.Parse(time.RFC3339, text)
		return at.UTC().Truncate(time.Microsecond), err == nil && at.Year() >= 1970
	}
	n, err := strconv.ParseInt(text, 10, 64)
	switch {
	case err != nil || n < 0:
		return time.Time{}, false
	case form == formUnixMilli && n < maxUnix*1000:
		return time.UnixMilli(n).UTC(), true
	case form == formUnix && n < maxUnix:
		return time.Unix(n, 0).UTC(), true
	}
	return time.Time{}, false
}

func unavailable(format string, args ...any) error {
	return fault.New(fault.Unavailable, format, args...)
}
