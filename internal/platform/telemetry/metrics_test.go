package telemetry

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

func fetch(h http.HandlerFunc) (int, string) {
	w := httptest.NewRecorder()
	h(w, httptest.NewRequest(http.MethodGet, "/", nil))
	return w.Code, w.Body.String()
}

func wantFigures(t *testing.T, m *Metrics, want ...string) {
	t.Helper()
	code, body := fetch(m.Handler().ServeHTTP)
	if code != http.StatusOK {
		t.Fatalf("scrape: %d %s", code, body)
	}
	for _, figure := range want {
		if !strings.Contains(body, "\n"+figure+"\n") {
			t.Errorf("the scrape lacks %s", figure)
		}
	}
}

// Everything that is counted appears in the scrape, under its labels.
func TestMetrics(t *testing.T) {
	m := NewMetrics()
	m.Request("gatepay", "giftcard.create", 200, 250*time.Millisecond)
	m.Request("gatepay", "giftcard.create", 422, 250*time.Millisecond)
	route := m.Route("gatepay", "giftcard.create")
	for _, status := range []int{201, 0, -1, 600, 99} {
		route.Observe(status, 2*time.Second)
	}
	m.Batch(64, time.Millisecond)
	m.Commit(3, 250*time.Millisecond)
	m.Job("webhook.deliver", JobDone, time.Second)
	m.Job("webhook.deliver", JobRetried, time.Second)
	m.JobKind("webhook.deliver").Observe("unheard of", time.Second)
	m.Delivery(Delivered, time.Second)
	m.Delivery(DeliveryRefused, time.Second)
	m.Delivery("unheard of", time.Second)
	for name, err := range map[string]error{
		"gauge":   m.Gauge("scrip_test_gauge", "A test.", func() float64 { return 7 }),
		"counter": m.Counter("scrip_test_total", "A test.", func() float64 { return 8 }),
	} {
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	wantFigures(t, m,
		`scrip_http_requests_total{class="2xx",dialect="gatepay",route="giftcard.create"} 2`,
		`scrip_http_requests_total{class="4xx",dialect="gatepay",route="giftcard.create"} 1`,
		`scrip_http_requests_total{class="0xx",dialect="gatepay",route="giftcard.create"} 4`,
		`scrip_http_requests_total{class="5xx",dialect="gatepay",route="giftcard.create"} 0`,
		`scrip_http_request_seconds_count{dialect="gatepay",route="giftcard.create"} 7`,
		`scrip_http_request_seconds_sum{dialect="gatepay",route="giftcard.create"} 10.5`,
		"scrip_ledger_batch_operations_sum 64", "scrip_ledger_batch_seconds_sum 0.001",
		"scrip_database_commit_writes_sum 3", "scrip_database_commit_seconds_sum 0.25",
		`scrip_jobs_total{kind="webhook.deliver",outcome="done"} 1`, `scrip_jobs_total{kind="webhook.deliver",outcome="retried"} 1`,
		`scrip_jobs_total{kind="webhook.deliver",outcome="dead"} 1`, `scrip_job_seconds_count{kind="webhook.deliver"} 3`,
		`scrip_webhook_deliveries_total{outcome="delivered"} 1`, `scrip_webhook_deliveries_total{outcome="refused"} 1`, `scrip_webhook_deliveries_total{outcome="failed"} 1`,
		"scrip_webhook_delivery_seconds_count 3", "scrip_test_gauge 7", "scrip_test_total 8")
	if _, body := fetch(m.Handler().ServeHTTP); !strings.Contains(body, "\ngo_goroutines ") || !strings.Contains(body, "\nprocess_start_time_seconds ") {
		t.Error("the scrape lacks the runtime or the process")
	}
}

// A name that is taken or malformed is refused, and two processes' metrics in one
// program do not meet.
func TestRegister(t *testing.T) {
	m, read := NewMetrics(), func() float64 { return 0 }
	for _, name := range []string{"scrip_ledger_batch_seconds", "scrip_not a name", "scrip_", "scrip_X", "other_name", ""} {
		if m.Gauge(name, "A test.", read) == nil || m.Counter(name, "A test.", read) == nil {
			t.Errorf("%q was registered", name)
		}
	}
	if err := NewMetrics().Gauge("scrip_x", "A test.", read); err != nil {
		t.Error(err)
	}
	if err := NewMetrics().Gauge("scrip_x", "A test.", read); err != nil {
		t.Error(err)
	}
}

// A family shows the figures that are there when metrics are read, with their labels; one
// that does not fit its labels breaks the scrape and is not shown.
func TestFamily(t *testing.T) {
	m, there := NewMetrics(), []Sample{{Labels: []string{"test", "held"}, Value: 3}, {Labels: []string{"live", "held"}, Value: 0}}
	read := func() []Sample { return there }
	f := Family{Name: "scrip_payouts_open", Help: "A test.", Labels: []string{"realm", "state"}}
	if err := m.Family(f, read); err != nil {
		t.Fatal(err)
	}
	wantFigures(t, m, `scrip_payouts_open{realm="test",state="held"} 3`, `scrip_payouts_open{realm="live",state="held"} 0`)
	there = there[:1]
	if _, got := fetch(m.Handler().ServeHTTP); strings.Contains(got, `realm="live"`) {
		t.Errorf("what is not there is shown:\n%s", got)
	}
	if m.Family(f, read) == nil {
		t.Error("a name was registered twice")
	}
	if m.Family(Family{Name: "other", Help: "A test."}, read) == nil {
		t.Error("another program's name was registered")
	}
}

// Labels do not grow without end: what is beyond the limit is counted together.
func TestLabelLimit(t *testing.T) {
	m := NewMetrics()
	for i := range maxHandles + 10 {
		m.Request("d", fmt.Sprint("route", i), 200, 0)
		m.Job(fmt.Sprint("kind", i), JobDone, 0)
	}
	m.Request("d", "route0", 200, 0)
	wantFigures(t, m, `scrip_http_requests_total{class="2xx",dialect="other",route="other"} 10`, `scrip_http_requests_total{class="2xx",dialect="d",route="route0"} 2`,
		`scrip_jobs_total{kind="other",outcome="done"} 10`)
}

// Requests counted at once, of known and new routes, all count.
func TestCountConcurrently(t *testing.T) {
	const workers, routes, rounds = 8, 20, 50
	m := NewMetrics()
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for i := range routes * rounds {
				m.Request("d", fmt.Sprint("r", i%routes), 200, 0)
			}
		})
	}
	wg.Wait()
	var want []string
	for i := range routes {
		want = append(want, fmt.Sprintf(`scrip_http_requests_total{class="2xx",dialect="d",route="r%d"} %d`, i, workers*rounds))
	}
	wantFigures(t, m, want...)
}

// Counting a request of a known route allocates nothing.
func TestCountAllocatesNothing(t *testing.T) {
	m := NewMetrics()
	m.Request("gatepay", "giftcard.create", 200, 0)
	m.Job("kind", JobDone, 0)
	for name, count := range map[string]func(){
		"request": func() { m.Request("gatepay", "giftcard.create", 200, time.Millisecond) }, "job": func() { m.Job("kind", JobDone, time.Millisecond) },
		"batch": func() { m.Batch(1, time.Millisecond) }, "commit": func() { m.Commit(1, time.Millisecond) }, "delivery": func() { m.Delivery(Delivered, time.Millisecond) },
	} {
		if got := testing.AllocsPerRun(100, count); got > 0 {
			t.Errorf("%s: %.0f allocations", name, got)
		}
	}
}

func BenchmarkRequest(b *testing.B) {
	m := NewMetrics()
	b.ReportAllocs()
	for b.Loop() {
		m.Request("gatepay", "giftcard.create", 200, time.Millisecond)
	}
}

func BenchmarkRoute(b *testing.B) {
	route := NewMetrics().Route("gatepay", "giftcard.create")
	b.ReportAllocs()
	for b.Loop() {
		route.Observe(200, time.Millisecond)
	}
}
