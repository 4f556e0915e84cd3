// Package bench owns the load generator: it puts load on a Scrip server of this
// machine over HTTP, or on a ledger in process, and reports what was measured.
//
// Load is closed (so many callers, each as fast as answers come) or open (so many
// arrivals a second, whatever the server does; the latency of a request counts from
// when it was due, so a server that stalls cannot hide it). Each round of a scenario
// follows a round of no-op requests, the same bytes to a path that does nothing, and
// the median of their ratios is reported: machines drift, ratios less so. Beside what its
// callers saw stands what the server says of itself, to Own.
//
// It must never put load on another machine, and it writes to the server's books like
// any customer: run it on an installation that is there for that.
package bench

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Header is one header of a request.
type Header struct{ Name, Value string }

// Request is one HTTP request. Host and Content-Length are added to it.
type Request struct {
	Method  string
	Path    string // with the query, escaped
	Headers []Header
	Body    []byte
}

// Expect is what the answer must be for a request to count as right.
type Expect struct {
	// Status is the one right status; 0 means any of 200 to 299.
	Status int
	// Contains is text that the body must have.
	Contains string
	// Lacks is text that it must not have; empty: it may have any.
	Lacks string
}

// Scenario is one kind of load: requests made by Make, or calls of Do in process.
type Scenario struct {
	Name string
	// Make builds the nth request, counted from 1 over the life of the Runner. It is called by
	// all workers at once, worker being one of them, and may reuse a worker's own memory.
	Make   func(worker int, n int64) Request
	Expect Expect
	// Each is how many things one request does, where that is more than one.
	Each int
	// Do, when Make is nil, does the nth operation without HTTP.
	Do func(ctx context.Context, worker int, n int64) error
	// Noop is what Do is measured beside: the same way, with nothing done at its end. It may be nil.
	Noop func(ctx context.Context, worker int, n int64) error
	// Served says that each Do and Noop is one request to the server, which it tells of as it
	// does of what Make builds.
	Served bool

	untold bool // the server tells nothing of these requests
}

// Options say how much load for how long.
type Options struct {
	// BaseURL is http://127.0.0.1:PORT of the server. Not needed for scenarios in process.
	BaseURL string
	// Workers are the callers, one connection each; 0 means 64.
	Workers int
	// Rate makes the load open: arrivals a second, served by the workers. 0 means closed.
	Rate int
	// Rounds of each scenario, each after a round of no-op requests; 0 means 3.
	Rounds int
	// Duration of one round; 0 means 5 seconds.
	Duration time.Duration
	// Count bounds the requests of one round; 0 means that Duration alone does.
	Count int64
	// Warmup comes before the first round of a scenario and is not counted; negative means none, 0 one second.
	Warmup time.Duration
	// Timeout of one request; 0 means 10 seconds.
	Timeout time.Duration
	// Client sends the requests; empty means Standard.
	Client Client
	// Half has each scenario of closed load followed by open load at half the rate that it
	// reached, for the latencies of a server that is busy and not full.
	Half bool
	// Alone leaves out the rounds of no-op requests, for servers that have none.
	Alone bool
}

// Limits of a run.
const (
	maxWorkers  = 4096
	maxRate     = 1_000_000
	maxRounds   = 1000
	maxDuration = 24 * time.Hour
	maxArrivals = 100_000_000
)

// complete returns o with its defaults, or what is wrong with it.
func (o Options) complete() (Options, error) {
	setDefault(&o.Client, Standard)
	setDefault(&o.Workers, 64)
	setDefault(&o.Rounds, 3)
	setDefault(&o.Duration, 5*time.Second)
	setDefault(&o.Warmup, time.Second)
	setDefault(&o.Timeout, 10*time.Second)
	switch {
	case o.Client != Standard && o.Client != Lean:
		return o, fmt.Errorf("client %q: want %s or %s", o.Client, Standard, Lean)
	case o.Workers < 1 || o.Workers > maxWorkers:
		return o, fmt.Errorf("workers %d: want 1 to %d", o.Workers, maxWorkers)
	case o.Rate < 0 || o.Rate > maxRate:
		return o, fmt.Errorf("rate %d: want 0 to %d a second", o.Rate, maxRate)
	case o.Rounds < 1 || o.Rounds > maxRounds:
		return o, fmt.Errorf("rounds %d: want 1 to %d", o.Rounds, maxRounds)
	case o.Duration < 0 || o.Duration > maxDuration || o.Warmup > maxDuration:
		return o, fmt.Errorf("duration %s, warm-up %s: want up to %s", o.Duration, o.Warmup, maxDuration)
	case o.Timeout < time.Millisecond || o.Timeout > time.Hour:
		return o, fmt.Errorf("timeout %s: want 1ms to 1h", o.Timeout)
	case o.Half && o.Rate > 0:
		return o, errors.New("half load is of a rate that is measured, not of one that is given")
	case o.Count < 0:
		return o, fmt.Errorf("count %d: want 0 or more", o.Count)
	case o.arrivals(o.Duration) > maxArrivals:
		return o, fmt.Errorf("%d a second for %s: a round has at most %d arrivals", o.Rate, o.Duration, maxArrivals)
	}
	return o, nil
}

func setDefault[T comparable](value *T, standard T) {
	var zero T
	if *value == zero {
		*value = standard
	}
}

// arrivals returns how many requests are due in d of open load.
func (o Options) arrivals(d time.Duration) int64 {
	n := int64(float64(o.Rate) * d.Seconds())
	if o.Count > 0 {
		n = min(n, o.Count)
	}
	return n
}

func (s *Scenario) check() error {
	switch {
	case s.Name == "":
		return errors.New("a scenario has no name")
	case (s.Make == nil) == (s.Do == nil), (s.Noop != nil || s.Served) && s.Do == nil:
		return fmt.Errorf("scenario %s: want either Make or Do, and Noop and Served with Do alone", s.Name)
	}
	return nil
}

// told says whether the server tells of a scenario's requests.
func (s *Scenario) told() bool { return !s.untold && (s.Make != nil || s.Served) }
