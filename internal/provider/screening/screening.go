// Package screening asks a service over HTTP and JSON whether somebody may be paid.
//
// It fails closed: an answer that does not say yes or no in so many words is none. One attempt
// a question, bounded in time and memory. It must never log a name or an address, nor repeat
// what a service said.
package screening

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/scripcards/scrip/internal/cashout/customer"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/platform/keyfile"
	"github.com/scripcards/scrip/internal/provider/call"
)

// Bounds of a configuration and of an answer, and what holds where nothing is set.
const (
	maxConfig      = 16 << 10
	maxReply       = 256 << 10
	defaultTimeout = 5_000 // milliseconds
	mostTimeout    = 30_000
	connections    = 16
)

// settings are the JSON of a configuration; docs/cashout.md explains each key.
type settings struct {
	Name       string `json:"name"`
	URL        string `json:"url"`
	KeyFile    string `json:"key_file"`
	Match      string `json:"match"`
	AllowPlain bool   `json:"allow_plain"`
	TimeoutMS  int    `json:"timeout_ms"`
}

// Service is one service. It is safe for concurrent use.
type Service struct {
	name, url string
	key       pan.Secret
	match     call.Path
	timeout   time.Duration
	client    *http.Client
}

var serviceName = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,31}$`)

// Open returns the service that a JSON object describes. It calls nobody. It returns the
// fault invalid_request, with the key that is wrong.
func Open(config []byte, folder keyfile.Folder) (*Service, error) {
	c := settings{Match: "match"}
	if err := call.Config(config, maxConfig, &c); err != nil {
		return nil, err
	}
	if !serviceName.MatchString(c.Name) {
		return nil, call.Refuse("name", "a name has 1 to 32 small letters, digits, - and _, and begins with a letter")
	}
	return c.open(folder)
}

func (c settings) open(folder keyfile.Folder) (*Service, error) {
	u, err := url.Parse(c.URL)
	switch {
	case err != nil || u.Hostname() == "" || u.User != nil || u.Fragment != "":
		return nil, call.Refuse("url", "want a URL without user and fragment")
	case u.Scheme != "https" && (u.Scheme != "http" || !c.AllowPlain || !call.IsLoopback(u.Hostname())):
		return nil, call.Refuse("url", "the URL must begin with https://, or with http:// on a loopback host if allow_plain is set")
	}
	s := &Service{name: c.Name, url: c.URL}
	if s.match, err = call.ParsePath(c.Match); err != nil {
		return nil, fault.From(err).At("match")
	}
	if c.KeyFile != "" {
		if s.key, err = folder.Secret(c.KeyFile); err != nil {
			return nil, fault.From(err).At("key_file")
		}
	}
	if c.TimeoutMS == 0 {
		c.TimeoutMS = defaultTimeout
	}
	if c.TimeoutMS < 1 || c.TimeoutMS > mostTimeout {
		return nil, call.Refuse("timeout_ms", "the value is not between 1 and %d", mostTimeout)
	}
	s.timeout = time.Duration(c.TimeoutMS) * time.Millisecond
	s.client = call.NewClient(call.Limits{Timeout: s.timeout, Conns: connections, Loopback: u.Scheme == "http"})
	return s, nil
}

// question is what a service is asked.
type question struct {
	FirstName string `json:"first_name"`
	LastName  string `json:"last_name"`
	Address   string `json:"address"`
}

// Screen implements customer.Screener.
func (s *Service) Screen(ctx context.Context, who customer.Subject) (customer.Match, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	body, err := json.Marshal(question{who.Name.First, who.Name.Last, who.Address})
	if err != nil {
		return customer.Match{}, s.silent("the question could not be written")
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.url, bytes.NewReader(body))
	if err != nil {
		return customer.Match{}, s.silent("the question could not be written")
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Accept", "application/json")
	if !s.key.IsZero() {
		request.Header.Set("Authorization", "Bearer "+s.key.Reveal())
	}
	response, err := s.client.Do(request)
	if err != nil {
		return customer.Match{}, s.silent(call.Reason(err))
	}
	defer func() { _ = response.Body.Close() }() // read, or given up
	text, err := io.ReadAll(io.LimitReader(response.Body, maxReply+1))
	if err != nil || len(text) > maxReply || response.StatusCode != http.StatusOK {
		return customer.Match{}, s.silent("it answers with another status than 200, breaks off, or says too much")
	}
	found, err := s.judge(text)
	return who.First(found), err
}

// judge reads an answer: true or false, and nothing else.
func (s *Service) judge(text []byte) (customer.Match, error) {
	value := jsontext.Value(text)
	if value.IsValid() {
		if found, ok := s.match.Find(value); ok {
			switch strings.TrimSpace(string(found)) {
			case "true":
				return customer.Match{List: s.name, Kind: customer.OnCustomer}, nil
			case "false":
				return customer.Match{}, nil
			}
		}
	}
	return customer.Match{}, s.silent("its answer says neither true nor false")
}

func (s *Service) silent(why string) error {
	return fault.New(fault.Unavailable, "the list %s gives no answer: %s", s.name, why)
}
