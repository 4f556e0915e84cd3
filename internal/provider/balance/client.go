package balance

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"time"

	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/ping"
)

const userAgent = "Scrip-Balance/1"

// request is how an inquiry becomes an HTTP request.
type request struct {
	method    string
	origin    string // "https://host:port"
	path      template
	query     template
	headers   map[string]template
	body      template
	form      []formField
	mediaType string // of the body; empty: there is none
	secrets   map[string]pan.Secret
	plain     bool // HTTP without TLS, on loopback
	timeout   time.Duration
	maxAnswer int64
	conns     int
}

// build fills in the templates.
func (r *request) build(ctx context.Context, inquiry ping.Inquiry) (*http.Request, error) {
	v := values{number: inquiry.Number, pin: inquiry.PIN, currency: inquiry.Currency.String(), secrets: r.secrets}
	url := append([]byte(r.origin), r.path.fill(v, escapePath)...)
	if len(r.query) > 0 {
		url = append(append(url, '?'), r.query.fill(v, escapeQuery)...)
	}
	var body io.Reader
	switch {
	case r.form != nil:
		body = bytes.NewReader(fillForm(r.form, v))
	case r.body != nil:
		body = bytes.NewReader(r.body.fill(v, escapeJSON))
	}
	out, err := http.NewRequestWithContext(ctx, r.method, string(url), body)
	if err != nil {
		return nil, unavailable("the request cannot be made")
	}
	out.Header.Set("User-Agent", userAgent)
	out.Header.Set("Accept", "application/json")
	if r.mediaType != "" {
		out.Header.Set("Content-Type", r.mediaType)
	}
	for name, value := range r.headers {
		out.Header.Set(name, string(value.fill(v, escapeNothing)))
	}
	return out, nil
}
