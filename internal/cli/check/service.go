package check

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/platform/config"
	"github.com/scripcards/scrip/internal/platform/reply"
)

// apiKeyVariable holds the key of the API, which is no setting of the server's.
const apiKeyVariable = config.Prefix + "API_KEY"

// outcome is what the server says of one check.
type outcome struct {
	Result *struct {
		ID         string      `json:"id"`
		Status     string      `json:"status"`
		Balance    json.Number `json:"balance"`
		Currency   string      `json:"currency"`
		Expiry     *string     `json:"expiry"`
		Score      json.Number `json:"fraud_score"`
		Signals    []string    `json:"fraud_signals"`
		AIVerified bool        `json:"ai_verified"`
		Network    string      `json:"network"`
		LatencyMS  int64       `json:"latency_ms"`
	} `json:"result"`
	Error *refusal `json:"error"`
	// RetryAfter is in how many seconds to send a refused check of a batch again; nil where
	// that does not help.
	RetryAfter *int64 `json:"retry_after"`
}

// refusal is how the server refuses.
type refusal struct {
	Code      string `json:"code"`
	Message   string `json:"message"`
	RequestID string `json:"request_id"`
}

func (r *refusal) Error() string {
	return fmt.Sprintf("%s: %s (request %s)", r.Code, r.Message, r.RequestID)
}

func (o *outcome) expiry() string {
	if o.Result.Expiry == nil {
		return ""
	}
	return *o.Result.Expiry
}

// service is a running server's API.
type service struct {
	client  *http.Client
	base    string
	key     pan.Secret
	reached bool // it answered before: what fails now may come back
}

// service finds the server and the key. Numbers go in the clear to this machine alone.
func (f *pinging) service() (*service, error) {
	base, err := url.Parse(strings.TrimSuffix(f.url, "/"))
	if err != nil || base.Hostname() == "" || base.User != nil || base.RawQuery != "" || base.Scheme != "https" && base.Scheme != "http" {
		return nil, errors.New("--url: want an address such as https://cards.example")
	}
	if base.Scheme == "http" && !config.IsLoopback(net.JoinHostPort(base.Hostname(), "80")) {
		return nil, errors.New("--url: card numbers would go over the network in the clear: want https")
	}
	key := pan.NewSecret(os.Getenv(apiKeyVariable))
	if f.keyFile != "" {
		if key, err = secretFile(f.keyFile); err != nil {
			return nil, err
		}
	}
	if key.IsZero() {
		return nil, fmt.Errorf("an API key is required: name its file with --key-file or set %s", apiKeyVariable)
	}
	client := &http.Client{Timeout: time.Minute, Transport: reply.Bounded{Transport: &http.Transport{Proxy: http.ProxyFromEnvironment}},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }} // the key stays with the server
	return &service{client: client, base: base.String(), key: key}, nil
}

// checks is batch that sends checks which a limit refused again, those that need not wait for
// too long, until none is left or nothing comes of it: they stay refused then.
func (s *service) checks(ctx context.Context, all []inquiry) ([]outcome, error) {
	found, err := s.batch(ctx, all)
	for waits := 0; err == nil && waits < mostWaits; waits++ {
		late, wait := limited(found)
		if len(late) == 0 || clock.Wait(ctx, wait) != nil {
			break
		}
		again := make([]inquiry, len(late))
		for i, at := range late {
			again[i] = all[at]
		}
		var next []outcome
		if next, err = s.batch(ctx, again); err != nil {
			break
		}
		for i, at := range late {
			if found[at] = next[i]; found[at].Error == nil {
				waits = 0
			}
		}
	}
	return found, err
}

// limited returns which checks a limit refused for a while, and how long until one of them
// may pass.
func limited(found []outcome) (late []int, wait time.Duration) {
	for i := range found {
		o := &found[i]
		if o.Error == nil || o.Error.Code != codeLimited || o.RetryAfter == nil {
			continue
		}
		after := time.Duration(*o.RetryAfter) * time.Second
		if after > longestWait {
			continue
		}
		if len(late) == 0 || after < wait {
			wait = after
		}
		late = append(late, i)
	}
	return late, wait
}

// codeLimited is the code of what a limit refuses.
const codeLimited = "rate_limited"

// batch checks cards in one request; the outcomes are in their order.
func (s *service) batch(ctx context.Context, all []inquiry) ([]outcome, error) {
	body := []byte(`{"checks":[`)
	for i := range all {
		if i > 0 {
			body = append(body, ',')
		}
		body = all[i].appendJSON(body)
	}
	answer, err := s.post(ctx, "/v1/cards/ping/batch", append(body, `]}`...))
	if err != nil {
		return nil, err
	}
	var got struct {
		Results []outcome `json:"results"`
	}
	if err := json.Unmarshal(answer, &got); err != nil || len(got.Results) != len(all) {
		return nil, errors.New("the server's answer does not fit the request: is it Scrip's address?")
	}
	for i := range got.Results {
		if o := &got.Results[i]; (o.Result == nil) == (o.Error == nil) {
			return nil, fmt.Errorf("the server's answer to check %d is neither a result nor a refusal", i+1)
		}
	}
	return got.Results, nil
}

// How failures of the moment are waited out. Every check has a key of its own, so that
// one which was made before an answer got lost is not made again.
const (
	mostTries   = 5
	mostWaits   = 30
	longestWait = 2 * time.Minute
	maxAnswer   = 4 << 20 // bytes
)

// post sends a request until it is answered or refused for good.
func (s *service) post(ctx context.Context, path string, body []byte) ([]byte, error) {
	tries, waits := 0, 0
	for {
		answer, wait, err := s.once(ctx, path, body)
		refused := &refusal{}
		switch {
		case err == nil:
			s.reached = true
			return answer, nil
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case errors.As(err, &refused) && refused.Code == codeLimited:
			if waits++; waits > mostWaits || wait > longestWait {
				return nil, err
			}
		case !s.reached || errors.As(err, &refused) && !slices.Contains([]string{"overloaded", "timeout", "internal_error"}, refused.Code):
			return nil, err
		default:
			if tries++; tries == mostTries {
				return nil, err
			}
			wait = max(wait, time.Second<<(tries-1))
		}
		if err := clock.Wait(ctx, wait); err != nil {
			return nil, err
		}
	}
}

// once sends a request and returns the answer, or the refusal with how long to wait.
func (s *service) once(ctx context.Context, path string, body []byte) ([]byte, time.Duration, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.base+path, bytes.NewReader(body))
	if err != nil {
		return nil, 0, err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("X-API-Key", s.key.Reveal())
	response, err := s.client.Do(request)
	if err != nil {
		return nil, 0, fmt.Errorf("%w: is a server running there? --url says where", err)
	}
	defer func() { _ = response.Body.Close() }() // read, or given up
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err != nil {
		return nil, 0, err
	}
	if response.StatusCode == http.StatusOK {
		return answer, 0, nil
	}
	seconds, _ := strconv.Atoi(response.Header.Get("Retry-After")) // none is no wait
	var refused struct {
		Error *refusal `json:"error"`
	}
	if err := json.Unmarshal(answer, &refused); err != nil || refused.Error == nil {
		return nil, 0, fmt.Errorf("the server answers %s", response.Status)
	}
	return nil, time.Duration(seconds) * time.Second, refused.Error
}
