package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/core/clock"
)

// phases is a server that notes which paths came, repetitions left out.
type phases struct {
	sync.Mutex
	paths []string
	seen  map[string]int
}

func (p *phases) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.Lock()
	if len(p.paths) == 0 || p.paths[len(p.paths)-1] != r.URL.Path {
		p.paths = append(p.paths, r.URL.Path)
	}
	if p.seen == nil {
		p.seen = map[string]int{}
	}
	p.seen[r.Header.Get("N")]++
	p.Unlock()
	if r.URL.Path == "/wrong" {
		http.Error(w, "never", http.StatusForbidden)
		return
	}
	NoopHandler().ServeHTTP(w, r)
}

func at(path string) Scenario {
	return Scenario{Name: strings.TrimPrefix(path, "/"), Make: func(_ int, n int64) Request {
		return Request{Method: "POST", Path: path, Body: []byte(`{}`), Headers: []Header{{"N", fmt.Sprintf("%d", n)}}}
	}}
}

// A run goes no-op, scenario, no-op, scenario after a warm-up, and reports each scenario beside its no-op.
func TestRun(t *testing.T) {
	server := &phases{}
	base := serve(t, server.ServeHTTP)
	start := time.Date(2027, 1, 2, 3, 4, 5, 0, time.UTC)
	var shown bytes.Buffer
	r := &Runner{Clock: clock.NewManual(start), Progress: &shown}
	o := Options{BaseURL: base, Workers: 3, Rounds: 2, Duration: long, Count: 50}
	report, err := r.Run(context.Background(), []Scenario{at("/a"), at("/b")}, o)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"/a", NoopPath, "/a", NoopPath, "/a", "/b", NoopPath, "/b", NoopPath, "/b"}
	if !slices.Equal(server.paths, want) {
		t.Errorf("the server saw %v, want %v", server.paths, want)
	}
	if len(report.Rows) != 2 || !report.StartedAt.Equal(start) || report.Workers != 3 || report.Rounds != 2 {
		t.Fatalf("report %+v", report)
	}
	for i, name := range []string{"a", "b"} {
		row := report.Rows[i]
		if row.Scenario != name || row.Requests != 100 || row.Errors != 0 || row.Statuses["200"] != 100 || row.Noop == nil || row.Noop.Requests != 100 {
			t.Errorf("row %+v", row)
		}
		if len(row.Ratios) != 2 || row.Ratio <= 0 || row.PerSecond <= 0 || row.P50 > row.P90 || row.P90 > row.P99 || row.P99 > row.P999 || row.P999 > row.Max || row.Max == 0 {
			t.Errorf("row %+v", row)
		}
	}
	if shown.Len() == 0 {
		t.Error("no progress was shown")
	}
	// A second run of the same Runner goes on counting: no number comes twice.
	if _, err := r.Run(context.Background(), []Scenario{at("/a")}, Options{BaseURL: base, Rounds: 1, Duration: long, Count: 7, Warmup: -1, Alone: true}); err != nil {
		t.Fatal(err)
	}
	if server.seen["157"] != 1 || server.seen["158"] != 0 {
		t.Errorf("requests 157 and 158 came %d and %d times, want 1 and 0", server.seen["157"], server.seen["158"])
	}
}

// noop is a scenario of no-op requests.
func noop() Scenario {
	return Scenario{Name: "no-op", Make: func(int, int64) Request { return Request{Method: "GET", Path: NoopPath} }}
}

// Open load is reported with its rate; ratios compare medians.
func TestRunOpen(t *testing.T) {
	base := serve(t, NoopHandler().ServeHTTP)
	o := Options{BaseURL: base, Workers: 4, Rounds: 1, Rate: 5000, Duration: long, Count: 40, Warmup: -1}
	report, err := new(Runner).Run(context.Background(), []Scenario{noop()}, o)
	if err != nil {
		t.Fatal(err)
	}
	row := report.Rows[0]
	if report.Rate != 5000 || row.Requests != 40 || row.Unsent != 0 || row.Noop.Requests != 40 || row.Ratio <= 0 {
		t.Errorf("report %+v", report)
	}
}

// What cannot be measured is refused before it costs time.
func TestRunRefusals(t *testing.T) {
	base := serve(t, (&phases{}).ServeHTTP)
	silent := serve(t, http.NotFound)
	small := Options{BaseURL: base, Workers: 2, Rounds: 1, Duration: long, Count: 5}
	with := func(change func(*Options)) Options {
		o := small
		change(&o)
		return o
	}
	cases := []struct {
		want      string
		scenarios []Scenario
		options   Options
	}{
		{"every request was wrong: answer 403: never", []Scenario{at("/wrong")}, small},
		{"no-op requests to /bench/noop", []Scenario{{Name: "s", Expect: Expect{Status: 404}, Make: at("/a").Make}}, with(func(o *Options) { o.BaseURL = silent })},
		{"not a loopback address", []Scenario{at("/a")}, with(func(o *Options) { o.BaseURL = "http://192.0.2.7" })},
		{"connection refused", []Scenario{at("/a")}, with(func(o *Options) { o.BaseURL = "http://127.0.0.1:1" })},
		{"no name", []Scenario{{}}, small},
		{"either Make or Do", []Scenario{{Name: "s"}}, small},
		{"Served with Do alone", []Scenario{{Name: "s", Make: at("/a").Make, Served: true}}, small},
		{"workers -1", nil, with(func(o *Options) { o.Workers = -1 })},
		{"rate", nil, with(func(o *Options) { o.Rate = maxRate + 1 })},
		{"rounds", nil, with(func(o *Options) { o.Rounds = maxRounds + 1 })},
		{"duration", nil, with(func(o *Options) { o.Duration = -1 })},
		{"timeout", nil, with(func(o *Options) { o.Timeout = 1 })},
		{"count", nil, with(func(o *Options) { o.Count = -1 })},
		{"arrivals", nil, with(func(o *Options) { o.Rate, o.Count = maxRate, 0 })},
	}
	for _, k := range cases {
		if _, err := new(Runner).Run(context.Background(), k.scenarios, k.options); err == nil || !strings.Contains(err.Error(), k.want) {
			t.Errorf("want %q, got %v", k.want, err)
		}
	}
}

// A run that is stopped reports what was finished.
func TestRunStops(t *testing.T) {
	base := serve(t, NoopHandler().ServeHTTP)
	ctx, cancel := context.WithCancel(context.Background())
	stop := Scenario{Name: "stop", Do: func(context.Context, int, int64) error { cancel(); return nil }}
	report, err := new(Runner).Run(ctx, []Scenario{noop(), stop}, Options{BaseURL: base, Rounds: 1, Duration: long, Count: 200})
	if !errors.Is(err, context.Canceled) || len(report.Rows) != 1 {
		t.Errorf("%d rows, %v", len(report.Rows), err)
	}
}

// A growth run loads up to each size, once, and measures there.
func TestGrow(t *testing.T) {
	type span struct{ from, to int64 }
	var loaded []span
	var last int64
	g := Growth{From: 10, To: 1500,
		Load: func(_ context.Context, from, to int64) error {
			loaded = append(loaded, span{from, to})
			return nil
		},
		Scenario: func(size int64) Scenario {
			return Scenario{Name: "spread", Do: func(_ context.Context, _ int, n int64) error {
				last = max(last, n)
				if loaded[len(loaded)-1].to != size {
					return fmt.Errorf("measured at %d", size)
				}
				return nil
			}}
		}}
	report, err := new(Runner).Grow(context.Background(), g, Options{Workers: 1, Rounds: 2, Duration: long, Count: 5, Warmup: -1})
	if err != nil {
		t.Fatal(err)
	}
	if want := []span{{0, 10}, {10, 100}, {100, 1000}}; !slices.Equal(loaded, want) {
		t.Errorf("loaded %v, want %v", loaded, want)
	}
	if last != 30 {
		t.Errorf("counted to %d, want 30", last)
	}
	for i, row := range report.Rows {
		size := []int64{10, 100, 1000}[i]
		if row.Scenario != fmt.Sprintf("spread @%d", size) || row.Size != size || row.Loaded != []int64{10, 90, 900}[i] || row.Errors != 0 || row.Requests != 10 || row.Noop != nil {
			t.Errorf("row %+v", row)
		}
	}
	refused := errors.New("disk full")
	g.Load = func(context.Context, int64, int64) error { return refused }
	if _, err := new(Runner).Grow(context.Background(), g, Options{}); !errors.Is(err, refused) {
		t.Errorf("error %v, want %v", err, refused)
	}
	for _, bad := range []Growth{{}, {Load: g.Load}, {Load: g.Load, Scenario: g.Scenario, From: 10, To: 9}, {Load: g.Load, Scenario: g.Scenario, From: -1}} {
		if _, err := new(Runner).Grow(context.Background(), bad, Options{}); err == nil {
			t.Errorf("%+v was run", bad)
		}
	}
}

// The report's two renderings show the same figures.
func TestRender(t *testing.T) {
	report := Report{BaseURL: "http://127.0.0.1:8080", Workers: 64, Rounds: 3, RoundMillis: 5000, Rows: []Row{
		{Scenario: "gatepay create", Figures: Figures{Requests: 12345, Errors: 2, PerSecond: 4115.4, P50: 512, P90: 1234, P99: 99_999, P999: 123_456, Max: 2_345_678,
			Reasons: []string{"answer 500: oops"}}, Noop: &Figures{Requests: 60000, PerSecond: 20000, P50: 90, P90: 100, P99: 1000, P999: 2000, Max: 3000}, Ratio: 0.2058, Ratios: []float64{0.2, 0.2058, 0.3},
			Own: &Share{Answers: 12340, P50: 400, P99: 4321}},
		{Scenario: "gatepay create, half load", Figures: Figures{Requests: 6000, PerSecond: 2057, P50: 300, P90: 400, P99: 500, P999: 600, Max: 700}, Own: &Share{Answers: 6000, P50: 200, P99: 450}},
		{Scenario: "ledger hot @1000", Figures: Figures{Requests: 10, Unsent: 4}, Size: 1000, Loaded: 900, LoadMillis: 450},
	}}
	var table bytes.Buffer
	if err := report.Render(&table, "table"); err != nil {
		t.Fatal(err)
	}
	want := `scenario          requests  errors  req/s    p50     p90      p99   p99.9     max  own p99  ×no-op
no-op                60000       0  20000   90µs   100µs   1.00ms  2.00ms  3.00ms
gatepay create       12345       2   4115  512µs  1.23ms  100.00ms   123ms   2.35s   4.32ms  0.206
half load             6000       0   2057  300µs   400µs    500µs   600µs   700µs    450µs
ledger hot @1000        10       4      0    0µs     0µs      0µs     0µs     0µs

64 callers, each as fast as answers come; rounds of 5s: 3
own p99: the server's part, from its beginning with a request until it had answered; all other times are the callers'
gatepay create: answer 500: oops
ledger hot @1000: loaded 900 in 450ms, 2000 a second
ledger hot @1000: 4 were due and not sent before their round ended
`
	if got := table.String(); squeeze(got) != squeeze(want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	lines := strings.Split(table.String(), "\n")
	for _, line := range lines[1:5] {
		if column := strings.Index(lines[0], "requests") + len("requests"); line[column-1] == ' ' || line[column] != ' ' {
			t.Errorf("%q is not aligned with %q", line, lines[0])
		}
	}
	var text bytes.Buffer
	if err := report.Render(&text, "json"); err != nil {
		t.Fatal(err)
	}
	var back Report
	if err := json.Unmarshal(text.Bytes(), &back); err != nil || !reflect.DeepEqual(report, back) {
		t.Errorf("%s\nbecame %+v, %v", text.String(), back, err)
	}
	if want := `"own": { "answers": 12340, "p50_us": 400, "p99_us": 4321 }`; !strings.Contains(strings.Join(strings.Fields(text.String()), " "), want) {
		t.Errorf("%s has no %s", text.String(), want)
	}
	report.Rows = report.Rows[1:] // half load without what it is half of
	report.Rows[0].Own = nil
	report.Rate = 500
	table.Reset()
	if err := report.Render(&table, "table"); err != nil || !strings.Contains(table.String(), "500 arrivals a second on 64 connections") ||
		!strings.Contains(table.String(), "\ngatepay create, half load  ") || strings.Contains(table.String(), "own p99:") {
		t.Errorf("%v\n%s", err, table.String())
	}
	if err := report.Render(io.Discard, "yaml"); err == nil || !strings.Contains(err.Error(), "table or json") {
		t.Errorf("yaml: %v", err)
	}
}

// squeeze makes runs of spaces one.
func squeeze(text string) string {
	var lines []string
	for line := range strings.Lines(text) {
		lines = append(lines, strings.Join(strings.Fields(line), " "))
	}
	return strings.Join(lines, "\n")
}

// The median is the middle, whatever the order.
func TestMedian(t *testing.T) {
	for _, k := range []struct {
		values []float64
		want   float64
	}{{nil, 0}, {[]float64{3}, 3}, {[]float64{9, 1}, 5}, {[]float64{9, 1, 2}, 2}, {[]float64{4, 1, 3, 2}, 2.5}} {
		if got := median(k.values); got != k.want {
			t.Errorf("median(%v) = %v, want %v", k.values, got, k.want)
		}
	}
}

// The no-op handler takes GET and POST and bounds what it reads.
func TestNoopHandler(t *testing.T) {
	c := dialTest(t, serve(t, NoopHandler().ServeHTTP), time.Minute)
	for _, k := range []struct {
		method string
		body   []byte
		status int
	}{{"GET", nil, 200}, {"POST", []byte("{}"), 200}, {"PUT", nil, 405}, {"POST", make([]byte, maxNoopBody), 200}, {"POST", make([]byte, maxNoopBody+1), 413}} {
		got, err := c.do(&Request{Method: k.method, Path: NoopPath, Body: k.body})
		if err != nil || got.Status != k.status {
			t.Errorf("%s with %d bytes = %d, %v; want %d", k.method, len(k.body), got.Status, err, k.status)
		}
	}
}

// Progress goes to terminals, not into files.
func TestTerminal(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	if Terminal(f) != nil {
		t.Error("a file was taken for a terminal")
	}
	device, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	if Terminal(device) == nil {
		t.Error("a device was taken for a file")
	}
	if err := device.Close(); err != nil || Terminal(device) != nil {
		t.Errorf("a closed device was taken for a terminal, %v", err)
	}
}

// Half load follows each scenario with arrivals at half the rate that it reached, and a
// scenario without HTTP is measured beside its own no-op.
func TestHalfLoad(t *testing.T) {
	var mu sync.Mutex
	seen := map[string]int64{}
	count := func(what string) func(context.Context, int, int64) error {
		return func(context.Context, int, int64) error {
			mu.Lock()
			defer mu.Unlock()
			seen[what]++
			return nil
		}
	}
	scenario := Scenario{Name: "link", Do: count("done"), Noop: count("nothing")}
	report, err := new(Runner).Run(t.Context(), []Scenario{scenario}, Options{Workers: 2, Rounds: 2, Duration: long, Count: 30, Warmup: -1, Half: true})
	if err != nil {
		t.Fatal(err)
	}
	if len(report.Rows) != 2 || report.Rows[0].Noop == nil || len(report.Rows[0].Ratios) != 2 || report.Rows[1].Scenario != "link, half load" || report.Rows[1].Noop != nil {
		t.Errorf("report %+v", report.Rows)
	}
	for _, row := range report.Rows {
		if row.Requests != 60 || row.Errors != 0 || row.Unsent != 0 {
			t.Errorf("row %+v", row)
		}
	}
	if seen["done"] != 120 || seen["nothing"] != 60 {
		t.Errorf("calls %v", seen)
	}
	for _, bad := range []struct {
		s Scenario
		o Options
	}{{scenario, Options{Half: true, Rate: 10}}, {Scenario{Name: "http", Make: at("/a").Make, Noop: scenario.Noop}, Options{BaseURL: "http://127.0.0.1:1"}}} {
		if _, err := new(Runner).Run(t.Context(), []Scenario{bad.s}, bad.o); err == nil {
			t.Errorf("%+v was run", bad.o)
		}
	}
}

// What the server says of itself is counted for the measured rounds, and for half load
// apart: neither for the warm-up nor for no-ops over HTTP, which it tells nothing of.
func TestOwnShare(t *testing.T) {
	own := new(Own)
	base := serve(t, func(w http.ResponseWriter, r *http.Request) {
		n, err := strconv.Atoi(r.Header.Get("N"))
		switch {
		case err != nil:
			t.Error(err)
		case r.URL.Path == NoopPath:
			if own.round() != nil {
				t.Error("a no-op is listened to")
			}
		case n <= 50: // the warm-up
			own.Answered(time.Minute)
		case n <= 52: // the slowest of two rounds
			own.Answered(20 * time.Millisecond)
		case n <= 150:
			own.Answered(10 * time.Millisecond)
		default:
			own.Answered(3 * time.Millisecond)
		}
		NoopHandler().ServeHTTP(w, r)
	})
	o := Options{BaseURL: base, Workers: 3, Rounds: 2, Duration: long, Count: 50, Half: true}
	report, err := (&Runner{Own: own}).Run(t.Context(), []Scenario{at("/a")}, o)
	if err != nil {
		t.Fatal(err)
	}
	full, half := report.Rows[0].Own, report.Rows[1].Own
	if full == nil || full.Answers != 100 || full.P50/10 != 1000 || full.P99 != 20_000 {
		t.Errorf("the server's part is %+v, want 100 answers, 10 ms and 20 ms", full)
	}
	if want := (Share{Answers: 100, P50: 3000, P99: 3000}); half == nil || *half != want {
		t.Errorf("at half load it is %+v, want %+v", half, want)
	}
	silent, err := new(Runner).Run(t.Context(), []Scenario{at("/a")}, Options{BaseURL: base, Rounds: 1, Duration: long, Count: 5, Warmup: -1})
	if err != nil || silent.Rows[0].Own != nil {
		t.Errorf("of a server that nobody hears of: %+v, %v", silent.Rows, err)
	}
}

// Where no-ops are the server's requests, too, what it tells of them is theirs, even when it
// does so after their round. What runs in process has no server's part.
func TestOwnShareInProcess(t *testing.T) {
	own, late := new(Own), new(sync.WaitGroup)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	scenario := Scenario{Name: "link", Served: true, Do: func(context.Context, int, int64) error {
		own.Answered(2 * time.Millisecond)
		return nil
	}, Noop: func(_ context.Context, _ int, n int64) error {
		if n%30 > 0 {
			own.Answered(time.Minute)
			return nil
		}
		round := own.round()
		late.Go(func() {
			own.awaitEnd(ctx, round)
			own.Answered(time.Minute)
		})
		return nil
	}}
	inside := Scenario{Name: "inside", Do: scenario.Do, Noop: scenario.Do}
	o := Options{Workers: 2, Rounds: 2, Duration: long, Count: 30, Warmup: -1, Half: true}
	report, err := (&Runner{Own: own}).Run(t.Context(), []Scenario{scenario, inside}, o)
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	late.Wait()
	for i, row := range report.Rows {
		if want := (Share{Answers: 60, P50: 2000, P99: 2000}); i < 2 && (row.Own == nil || *row.Own != want) {
			t.Errorf("%s: %+v, want %+v", row.Scenario, row.Own, want)
		}
		if i >= 2 && row.Own != nil {
			t.Errorf("%s: %+v, want none", row.Scenario, row.Own)
		}
	}
}
