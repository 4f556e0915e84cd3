package bench

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/scripcards/scrip/internal/core/clock"
)

// Runner runs scenarios, one run at a time. The zero value is ready and shows no progress.
type Runner struct {
	// Clock tells when the run began; nil means the machine's.
	Clock clock.Clock
	// Progress shows a bar while a run lasts. Terminal gives what to put here.
	Progress io.Writer
	// Own hears of the server's own part of each answer; nil means that nobody asks for it.
	Own *Own

	counters sync.Map // of requests, by scenario's name: string → *atomic.Int64
}

// counter goes on counting when a scenario is run again, so that no id is used twice.
func (r *Runner) counter(name string) *atomic.Int64 {
	n, _ := r.counters.LoadOrStore(name, new(atomic.Int64))
	return n.(*atomic.Int64)
}

// Run puts the load of each scenario on the server, one after the other, and reports what
// it measured. Every scenario begins with a warm-up, whose requests must not all fail.
// When ctx ends, the report has the scenarios that were finished, and the error is ctx's.
func (r *Runner) Run(ctx context.Context, scenarios []Scenario, o Options) (Report, error) {
	s, err := r.begin(ctx, scenarios, o)
	if err != nil {
		return Report{}, fmt.Errorf("bench: %w", err)
	}
	defer s.bar.end()
	for i := range scenarios {
		row, err := s.measure(ctx, &scenarios[i])
		if err != nil {
			return s.report, fmt.Errorf("bench %s: %w", scenarios[i].Name, err)
		}
		s.report.Rows = append(s.report.Rows, row)
		if o.Half {
			if row, err = s.half(ctx, &scenarios[i], row.PerSecond); err != nil {
				return s.report, fmt.Errorf("bench %s at half load: %w", scenarios[i].Name, err)
			}
			s.report.Rows = append(s.report.Rows, row)
		}
	}
	return s.report, nil
}

// begin checks what is asked for and starts the report.
func (r *Runner) begin(ctx context.Context, scenarios []Scenario, o Options) (*session, error) {
	o, err := o.complete()
	if err != nil {
		return nil, err
	}
	s := &session{runner: r, options: o}
	for i := range scenarios {
		if err := scenarios[i].check(); err != nil {
			return nil, err
		}
		if scenarios[i].Make != nil && s.target == nil {
			if s.target, err = newTarget(ctx, o.BaseURL, o.Timeout); err == nil {
				s.target.client = o.Client
			} else {
				return nil, err
			}
		}
		s.planned += s.time(&scenarios[i])
	}
	now := clock.System()
	if r.Clock != nil {
		now = r.Clock
	}
	s.report = Report{StartedAt: now.Now(), BaseURL: o.BaseURL, Workers: o.Workers, Rate: o.Rate, Rounds: o.Rounds, RoundMillis: o.Duration.Milliseconds()}
	s.bar = newBar(r.Progress, s.planned)
	return s, nil
}

// session is one run under way.
type session struct {
	runner  *Runner
	options Options
	target  *target
	report  Report
	planned time.Duration
	bar     *bar
}

// time returns how long a scenario takes.
func (s *session) time(scenario *Scenario) time.Duration {
	rounds := time.Duration(s.options.Rounds) * s.options.Duration
	if s.paired(scenario) {
		rounds *= 2
	}
	if s.options.Half {
		rounds += time.Duration(s.options.Rounds) * s.options.Duration
	}
	return rounds + max(s.options.Warmup, 0)
}

// paired says whether a scenario's rounds follow rounds of no-op requests.
func (s *session) paired(scenario *Scenario) bool {
	return (scenario.Make != nil || scenario.Noop != nil) && !s.options.Alone
}

// halfLoad follows the name of a scenario that is measured at half its rate.
const halfLoad = ", half load"

// half runs a scenario's rounds again with half as many arrivals as it can take.
func (s *session) half(ctx context.Context, scenario *Scenario, perSecond float64) (Row, error) {
	open := *s
	open.options.Rate = max(1, int(perSecond/2))
	if arrivals := open.options.arrivals(open.options.Duration); arrivals > maxArrivals {
		return Row{}, fmt.Errorf("%d arrivals in a round: want at most %d", arrivals, maxArrivals)
	}
	sum := total{recorder: newRecorder()}
	for range s.options.Rounds {
		if err := open.round(ctx, scenario, s.runner.counter(scenario.Name), &sum); err != nil {
			return Row{}, err
		}
	}
	return Row{Scenario: scenario.Name + halfLoad, Each: scenario.Each, Figures: sum.figures(), Own: sum.share()}, nil
}

// measure runs the rounds of one scenario: no-op, scenario, no-op, scenario…
func (s *session) measure(ctx context.Context, scenario *Scenario) (Row, error) {
	n, baselineN := s.runner.counter(scenario.Name), s.runner.counter("no-op of "+scenario.Name)
	sum, baselineSum := total{recorder: newRecorder()}, total{recorder: newRecorder()}
	if err := s.warmUp(ctx, scenario, n); err != nil {
		return Row{}, err
	}
	noop := scenario
	if s.paired(scenario) {
		made := noopOf(scenario)
		noop = &made
	}
	for range s.options.Rounds {
		if noop != scenario {
			if err := s.round(ctx, noop, baselineN, &baselineSum); err != nil {
				where := "the same place"
				if scenario.Make != nil {
					where = NoopPath
				}
				return Row{}, fmt.Errorf("no-op requests to %s: %w", where, err)
			}
		}
		if err := s.round(ctx, scenario, n, &sum); err != nil {
			return Row{}, err
		}
	}
	row := Row{Scenario: scenario.Name, Each: scenario.Each, Figures: sum.figures(), Own: sum.share()}
	if noop != scenario {
		figures := baselineSum.figures()
		row.Noop = &figures
		row.Ratios = ratios(sum.rounds, baselineSum.rounds, s.options.Rate > 0)
		row.Ratio = median(row.Ratios)
	}
	return row, nil
}

// total is all rounds of one scenario.
type total struct {
	*recorder
	took   time.Duration
	rounds []result
	own    *recorder // nil: the server tells nothing of it
}

// hear adds what the server told of a round.
func (t *total) hear(told *recorder) {
	if t.own == nil {
		t.own = newRecorder()
	}
	t.own.merge(told)
}

func (s *session) round(ctx context.Context, scenario *Scenario, n *atomic.Int64, sum *total) error {
	l := s.load(scenario, n)
	l.duration, l.count = s.options.Duration, s.options.Count
	s.bar.begin(ctx, scenario.Name, l.duration)
	listening := s.runner.Own != nil && scenario.told()
	if listening {
		s.runner.Own.listen()
	}
	got, err := l.run(ctx)
	s.bar.finish()
	if err != nil {
		return err
	}
	if listening { // to the last one, so that the next round hears of its own alone
		sum.hear(s.runner.Own.hearOut(ctx, got.done()))
	}
	if got.right == 0 && got.errors > 0 {
		return fmt.Errorf("every request was wrong: %s", got.reasons[0])
	}
	sum.merge(got.recorder)
	sum.took += got.took
	sum.rounds = append(sum.rounds, got)
	return nil
}

func (s *session) load(scenario *Scenario, n *atomic.Int64) *load {
	l := &load{scenario: scenario, next: n, workers: s.options.Workers, rate: s.options.Rate}
	if scenario.Make != nil {
		l.target = s.target
	}
	return l
}

// warmUp fills caches and pools; what it measures is forgotten.
func (s *session) warmUp(ctx context.Context, scenario *Scenario, n *atomic.Int64) error {
	if s.options.Warmup < 0 {
		return nil
	}
	forgotten := total{recorder: newRecorder()}
	warm := *s
	warm.options.Duration = s.options.Warmup
	return warm.round(ctx, scenario, n, &forgotten)
}

// NoopPath is where the server under load serves NoopHandler.
const NoopPath = "/bench/noop"

// maxNoopBody bounds what NoopHandler reads.
const maxNoopBody = 1 << 20

const noopAnswer = `{"status":"SUCCESS","code":"000000","label":"","errorMessage":"","data":{}}` + "\n"

// NoopHandler answers GET and POST with a small document and does nothing else: the cost
// of HTTP itself on the server's own listener.
func NoopHandler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodPost {
			w.Header().Set("Allow", "GET, POST")
			w.WriteHeader(http.StatusMethodNotAllowed)
			return
		}
		if _, err := io.Copy(io.Discard, http.MaxBytesReader(w, r.Body, maxNoopBody)); err != nil {
			w.WriteHeader(http.StatusRequestEntityTooLarge)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, noopAnswer) // a caller that left needs no answer
	})
}

// noopOf is what s is measured against: its requests, byte for byte but for the path, so
// that building, sending and reading cost the same.
func noopOf(s *Scenario) Scenario {
	if s.Noop != nil {
		return Scenario{Name: "no-op", Do: s.Noop, Served: s.Served}
	}
	build := s.Make
	return Scenario{Name: "no-op", untold: true, Make: func(worker int, n int64) Request {
		r := build(worker, n)
		r.Path = NoopPath
		return r
	}}
}
