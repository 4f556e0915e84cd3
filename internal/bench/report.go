package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	hdr "github.com/HdrHistogram/hdrhistogram-go"
)

const (
	lowest    = int64(time.Microsecond)
	highest   = int64(time.Hour)
	precision = 3 // significant digits
	// maxReasons bounds the different errors that a row tells.
	maxReasons = 5
)

// recorder is what one worker saw. It is used by one goroutine.
type recorder struct {
	latency  *hdr.Histogram
	max      time.Duration
	statuses map[int]int64 // 0: no answer, or in process
	right    int64
	errors   int64
	unsent   int64
	reasons  []string
}

func newRecorder() *recorder {
	return &recorder{latency: hdr.New(lowest, highest, precision), statuses: map[int]int64{}}
}

// add records one request: how long it took, its status and what was wrong with it, if anything.
func (r *recorder) add(took time.Duration, status int, err error) {
	r.record(took)
	r.statuses[status]++
	if err == nil {
		r.right++
		return
	}
	r.errors++
	r.reason(err.Error())
}

func (r *recorder) record(took time.Duration) {
	took = max(took, 0)
	r.max = max(r.max, took)
	// The value is within the histogram's range, which is the only way to fail.
	_ = r.latency.RecordValue(min(int64(took), highest))
}

// skip records a request that was due and never sent.
func (r *recorder) skip(waited time.Duration) {
	r.record(waited)
	r.unsent++
}

func (r *recorder) reason(text string) {
	if len(r.reasons) < maxReasons && !slices.Contains(r.reasons, text) {
		r.reasons = append(r.reasons, text)
	}
}

// merge adds what another recorder saw.
func (r *recorder) merge(other *recorder) {
	r.latency.Merge(other.latency)
	r.max = max(r.max, other.max)
	for status, n := range other.statuses {
		r.statuses[status] += n
	}
	r.right += other.right
	r.errors += other.errors
	r.unsent += other.unsent
	for _, text := range other.reasons {
		r.reason(text)
	}
}

func (r *recorder) quantile(percent float64) time.Duration {
	return min(time.Duration(r.latency.ValueAtQuantile(percent)), r.max)
}

// done is how many requests had an end.
func (r *recorder) done() int64 { return r.right + r.errors }

// patience is how long a round waits at its end for what the server has yet to tell: of
// requests that failed it may have nothing to tell.
const patience = time.Second

// Own hears from the server how long each answer took it, from when it began with the
// request until it had answered: without the generator, the network, and what reads and
// writes HTTP. The server is given Answered, the Runner the Own. The zero value is ready.
type Own struct {
	mu       sync.Mutex
	heard    *recorder     // of the round under way; nil between rounds
	requests int64         // that the round had, once it is over
	all      chan struct{} // closed when as many answers were heard of; nil while the round lasts
}

// Answered takes in an answer. It may be called by many at once.
func (o *Own) Answered(took time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.heard == nil {
		return
	}
	o.heard.record(took)
	if o.all != nil && o.heard.latency.TotalCount() == o.requests {
		close(o.all)
	}
}

// listen begins a round.
func (o *Own) listen() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.heard, o.all = newRecorder(), nil
}

// hearOut ends a round of so many requests and returns what was told of them. Some of it
// comes late: a caller has its answer before the server has told of it.
func (o *Own) hearOut(ctx context.Context, requests int64) *recorder {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	select {
	case <-o.over(requests):
	case <-ctx.Done():
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	heard := o.heard
	o.heard = nil
	return heard
}

// over returns what is closed when as many answers were heard of as there were requests.
func (o *Own) over(requests int64) <-chan struct{} {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.requests, o.all = requests, make(chan struct{})
	if o.heard.latency.TotalCount() >= requests {
		close(o.all)
	}
	return o.all
}

// Report is what a run measured.
type Report struct {
	StartedAt   time.Time `json:"started_at"`
	BaseURL     string    `json:"base_url,omitempty"`
	Workers     int       `json:"workers"`
	Rate        int       `json:"rate,omitempty"` // arrivals a second; 0: closed load
	Rounds      int       `json:"rounds"`
	RoundMillis int64     `json:"round_ms"`
	Rows        []Row     `json:"rows"`
}

// Row is one scenario, or one size of a growth run.
type Row struct {
	Scenario string `json:"scenario"`
	// Each is how many things one request does, where that is more than one.
	Each int `json:"each,omitempty"`
	Figures
	// Own is the server's own part of these requests, as it says itself; nil in process.
	Own *Share `json:"own,omitempty"`
	// Noop is the no-op requests between the scenario's rounds.
	Noop *Figures `json:"noop,omitempty"`
	// Ratio is the median of Ratios; 0 without no-op requests.
	Ratio float64 `json:"ratio,omitempty"`
	// Ratios compare each round with the no-op round before it: requests a second over the
	// no-op's; in open load, where those are given, the no-op's median time over the scenario's.
	Ratios []float64 `json:"ratios,omitempty"`
	// Size, Loaded and LoadMillis are of growth runs: how much there was, how much of it was
	// added for this row, and how long that took.
	Size       int64 `json:"size,omitempty"`
	Loaded     int64 `json:"loaded,omitempty"`
	LoadMillis int64 `json:"load_ms,omitempty"`
}

// Figures are counts and latencies. Latencies are microseconds.
type Figures struct {
	Requests int64 `json:"requests"`
	// Errors are requests without an answer or with a wrong one.
	Errors int64 `json:"errors"`
	// Unsent are requests of open load that were due and not sent before the round ended.
	Unsent    int64            `json:"unsent,omitempty"`
	Statuses  map[string]int64 `json:"statuses,omitempty"`
	Reasons   []string         `json:"reasons,omitempty"`
	Seconds   float64          `json:"seconds"`
	PerSecond float64          `json:"per_second"` // right answers
	P50       int64            `json:"p50_us"`
	P90       int64            `json:"p90_us"`
	P99       int64            `json:"p99_us"`
	P999      int64            `json:"p999_us"`
	Max       int64            `json:"max_us"`
}

// Share is what a server says of its own part of requests. Times are microseconds.
type Share struct {
	Answers int64 `json:"answers"` // that it told of
	P50     int64 `json:"p50_us"`
	P99     int64 `json:"p99_us"`
}

func (t *total) share() *Share {
	if t.own == nil {
		return nil
	}
	return &Share{Answers: t.own.latency.TotalCount(), P50: t.own.quantile(50).Microseconds(), P99: t.own.quantile(99).Microseconds()}
}

func (t *total) figures() Figures {
	f := Figures{Requests: t.done(), Errors: t.errors, Unsent: t.unsent, Reasons: t.reasons, Seconds: t.took.Seconds(),
		PerSecond: (&result{t.recorder, t.took}).perSecond(),
		P50:       t.quantile(50).Microseconds(), P90: t.quantile(90).Microseconds(), P99: t.quantile(99).Microseconds(),
		P999: t.quantile(99.9).Microseconds(), Max: t.max.Microseconds()}
	for status, n := range t.statuses {
		if status == 0 {
			continue
		}
		if f.Statuses == nil {
			f.Statuses = map[string]int64{}
		}
		f.Statuses[strconv.Itoa(status)] = n
	}
	return f
}

// ratios compares rounds pairwise; above 1 the scenario is the faster.
func ratios(scenario, noop []result, open bool) []float64 {
	all := make([]float64, 0, len(scenario))
	for i := range min(len(scenario), len(noop)) {
		above, below := scenario[i].perSecond(), noop[i].perSecond()
		if open {
			above, below = noop[i].quantile(50).Seconds(), scenario[i].quantile(50).Seconds()
		}
		if below > 0 {
			all = append(all, above/below)
		}
	}
	return all
}

func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}

// Formats lists what Render can write.
func Formats() []string { return []string{"table", "json"} }

// Render writes the report as a table for people or as JSON.
func (r *Report) Render(w io.Writer, format string) error {
	switch format {
	case "table":
		return r.table(w)
	case "json":
		encoder := json.NewEncoder(w)
		encoder.SetIndent("", "  ")
		return encoder.Encode(r)
	}
	return fmt.Errorf("format %q: want %s", format, strings.Join(Formats(), " or "))
}

func (r *Report) table(w io.Writer) error {
	lines := [][]string{{"scenario", "requests", "errors", "req/s", "p50", "p90", "p99", "p99.9", "max", "own p99", "×no-op"}}
	for i := range r.Rows {
		row := &r.Rows[i]
		own, ratio := "", ""
		if row.Noop != nil {
			lines = append(lines, append(row.Noop.cells("no-op"), "", ""))
			ratio = strconv.FormatFloat(row.Ratio, 'f', 3, 64)
		}
		if row.Own != nil {
			own = showMicros(row.Own.P99)
		}
		lines = append(lines, append(row.cells(r.label(i)), own, ratio))
	}
	if _, err := io.WriteString(w, align(lines)); err != nil {
		return err
	}
	return r.notes(w)
}

// label is a row's name in the table, where half load stands below the scenario that it is half of.
func (r *Report) label(i int) string {
	of, half := strings.CutSuffix(r.Rows[i].Scenario, halfLoad)
	if half && i > 0 && r.Rows[i-1].Scenario == of {
		return strings.TrimPrefix(halfLoad, ", ")
	}
	return r.Rows[i].Scenario
}

// cells are the columns of what callers saw.
func (f *Figures) cells(name string) []string {
	cells := []string{name, strconv.FormatInt(f.Requests, 10), strconv.FormatInt(f.Errors+f.Unsent, 10), strconv.FormatFloat(f.PerSecond, 'f', 0, 64)}
	for _, micros := range []int64{f.P50, f.P90, f.P99, f.P999, f.Max} {
		cells = append(cells, showMicros(micros))
	}
	return cells
}

// align sets names to the left and figures to the right.
func align(lines [][]string) string {
	widths := make([]int, len(lines[0]))
	for _, line := range lines {
		for i, cell := range line {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	var out strings.Builder
	for _, line := range lines {
		text := fmt.Sprintf("%-*s", widths[0], line[0])
		for i, cell := range line[1:] {
			text += fmt.Sprintf("  %*s", widths[i+1], cell)
		}
		out.WriteString(strings.TrimRight(text, " ") + "\n")
	}
	return out.String()
}

// showMicros writes a time with the unit and digits that a person compares by.
func showMicros(micros int64) string {
	switch {
	case micros < 1000:
		return fmt.Sprintf("%dµs", micros)
	case micros < 100_000:
		return fmt.Sprintf("%.2fms", float64(micros)/1e3)
	case micros < 1_000_000:
		return fmt.Sprintf("%.0fms", float64(micros)/1e3)
	}
	return fmt.Sprintf("%.2fs", float64(micros)/1e6)
}

// notes are what does not fit into the table.
func (r *Report) notes(w io.Writer) error {
	load := fmt.Sprintf("%d callers, each as fast as answers come", r.Workers)
	if r.Rate > 0 {
		load = fmt.Sprintf("%d arrivals a second on %d connections, timed from when they were due", r.Rate, r.Workers)
	}
	if _, err := fmt.Fprintf(w, "\n%s; rounds of %s: %d\n", load, time.Duration(r.RoundMillis)*time.Millisecond, r.Rounds); err != nil {
		return err
	}
	if slices.ContainsFunc(r.Rows, func(row Row) bool { return row.Own != nil }) {
		if _, err := fmt.Fprintln(w, "own p99: the server's part, from its beginning with a request until it had answered; all other times are the callers'"); err != nil {
			return err
		}
	}
	for i := range r.Rows {
		row := &r.Rows[i]
		if row.Loaded > 0 {
			took := time.Duration(row.LoadMillis) * time.Millisecond
			if _, err := fmt.Fprintf(w, "%s: loaded %d in %s, %.0f a second\n", row.Scenario, row.Loaded, took, float64(row.Loaded)/max(took.Seconds(), 1e-3)); err != nil {
				return err
			}
		}
		if row.Each > 0 {
			if _, err := fmt.Fprintf(w, "%s: %d in a request, %.0f a second\n", row.Scenario, row.Each, row.PerSecond*float64(row.Each)); err != nil {
				return err
			}
		}
		for _, text := range row.Reasons {
			if _, err := fmt.Fprintf(w, "%s: %s\n", row.Scenario, text); err != nil {
				return err
			}
		}
		if row.Unsent > 0 {
			if _, err := fmt.Fprintf(w, "%s: %d were due and not sent before their round ended\n", row.Scenario, row.Unsent); err != nil {
				return err
			}
		}
	}
	return nil
}
