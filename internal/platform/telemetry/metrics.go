package telemetry

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Metrics are the counters and histograms of one process. Names begin with "scrip_";
// times are in seconds. What is counted often is counted without an allocation. It is
// safe for concurrent use.
type Metrics struct {
	registry *prometheus.Registry

	requests       *prometheus.CounterVec
	requestSeconds *prometheus.HistogramVec
	routes         handles[routeName, *Route]

	messages       *prometheus.CounterVec
	messageSeconds prometheus.Histogram
	answers        handles[answerName, prometheus.Counter]

	jobs       *prometheus.CounterVec
	jobSeconds *prometheus.HistogramVec
	kinds      handles[string, *JobKind]

	deliveries      [len(deliveryOutcomes)]prometheus.Counter
	deliverySeconds prometheus.Histogram

	batchOperations, batchSeconds prometheus.Histogram
	commitWrites, commitSeconds   prometheus.Histogram
}

// The buckets of durations, in seconds: 0.1 ms or 0.5 ms, doubled 16 times.
const (
	fastBucket   = 0.0001
	slowBucket   = 0.0005
	bucketFactor = 2
	buckets      = 16
)

func seconds(name, help string, first float64) prometheus.HistogramOpts {
	return prometheus.HistogramOpts{Name: name, Help: help, Buckets: prometheus.ExponentialBuckets(first, bucketFactor, buckets)}
}

// sizes are the options of a histogram of counts: 1, 2, 4 … 1024.
func sizes(name, help string) prometheus.HistogramOpts {
	const most = 11
	return prometheus.HistogramOpts{Name: name, Help: help, Buckets: prometheus.ExponentialBuckets(1, bucketFactor, most)}
}

// NewMetrics returns metrics of its own registry, with those of the Go runtime and the process.
func NewMetrics() *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "scrip_http_requests_total",
			Help: "Finished HTTP requests by dialect, route and class of status."}, []string{"dialect", "route", "class"}),
		requestSeconds: prometheus.NewHistogramVec(seconds("scrip_http_request_seconds",
			"Time from the start of a request to its answer.", slowBucket), []string{"dialect", "route"}),
		messages: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "scrip_iso8583_messages_total",
			Help: "Messages of card networks that were answered, by type and response code."}, []string{"type", "response"}),
		messageSeconds: prometheus.NewHistogram(seconds("scrip_iso8583_message_seconds", "Time from a message of a card network to its answer.", slowBucket)),
		jobs: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "scrip_jobs_total",
			Help: "Attempts at jobs by kind and outcome."}, []string{"kind", "outcome"}),
		jobSeconds:      prometheus.NewHistogramVec(seconds("scrip_job_seconds", "Time of one attempt at a job.", slowBucket), []string{"kind"}),
		deliverySeconds: prometheus.NewHistogram(seconds("scrip_webhook_delivery_seconds", "Time of one attempt to deliver an event.", slowBucket)),
		batchOperations: prometheus.NewHistogram(sizes("scrip_ledger_batch_operations", "Operations that shared one ledger transaction.")),
		batchSeconds:    prometheus.NewHistogram(seconds("scrip_ledger_batch_seconds", "Time to decide and commit one ledger batch.", fastBucket)),
		commitWrites:    prometheus.NewHistogram(sizes("scrip_database_commit_writes", "Writes that shared one commit of the database.")),
		commitSeconds:   prometheus.NewHistogram(seconds("scrip_database_commit_seconds", "Time of one transaction of the database, with its commit.", fastBucket)),
	}
	deliveries := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "scrip_webhook_deliveries_total",
		Help: "Attempts to deliver events by outcome."}, []string{"outcome"})
	for i, outcome := range deliveryOutcomes {
		m.deliveries[i] = deliveries.WithLabelValues(string(outcome))
	}
	m.registry.MustRegister(m.requests, m.requestSeconds, m.messages, m.messageSeconds, m.jobs, m.jobSeconds, deliveries, m.deliverySeconds,
		m.batchOperations, m.batchSeconds, m.commitWrites, m.commitSeconds,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// answerName is the type of a message and the code of its answer.
type answerName struct{ kind, response string }

// Message counts a message of a card network by its type and the response code of its answer.
func (m *Metrics) Message(kind, response string, took time.Duration) {
	m.messageSeconds.Observe(took.Seconds())
	counter, err := m.answers.get(answerName{kind, response}, func(n answerName) prometheus.Counter {
		return m.messages.WithLabelValues(n.kind, n.response)
	})
	if err == nil {
		counter.Inc()
	}
}

// Gauge registers a figure that is read when metrics are. It refuses a name that is
// taken, or that is not "scrip_" and lower-case letters, digits and underscores.
func (m *Metrics) Gauge(name, help string, read func() float64) error {
	return m.register(name, prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, read))
}

// Counter registers a figure that only grows and is read when metrics are. It refuses
// the names that Gauge does.
func (m *Metrics) Counter(name, help string, read func() float64) error {
	return m.register(name, prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, read))
}

func (m *Metrics) register(name string, c prometheus.Collector) error {
	if !metricName.MatchString(name) {
		return fmt.Errorf("register metric %q: want a name such as scrip_jobs_waiting", name)
	}
	if err := m.registry.Register(c); err != nil {
		return fmt.Errorf("register metric %s: %w", name, err)
	}
	return nil
}

var metricName = regexp.MustCompile(`^scrip_[a-z0-9_]+$`)

// Batch counts a ledger batch.
func (m *Metrics) Batch(operations int, took time.Duration) {
	m.batchOperations.Observe(float64(operations))
	m.batchSeconds.Observe(took.Seconds())
}

// Commit counts a transaction of the database that was shared by a number of writes.
func (m *Metrics) Commit(writes int, took time.Duration) {
	m.commitWrites.Observe(float64(writes))
	m.commitSeconds.Observe(took.Seconds())
}

// scrapes bounds the answers that are made at once.
const scrapes = 4

// Handler serves the metrics in Prometheus' text format.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{MaxRequestsInFlight: scrapes})
}

// errTooMany keeps a label from growing without end.
var errTooMany = errors.New("too many values of a label")

// maxHandles bounds the values of a label.
const maxHandles = 1024

// handles keeps what was resolved by name: read without a lock, copied to be changed.
type handles[K comparable, V any] struct {
	mu    sync.Mutex
	known atomic.Pointer[map[K]V]
}

// get returns the handle of name, made when it is asked for first; errTooMany when
// there are enough.
func (h *handles[K, V]) get(name K, create func(K) V) (V, error) {
	if known := h.known.Load(); known != nil {
		if found, ok := (*known)[name]; ok {
			return found, nil
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	grown := map[K]V{}
	if known := h.known.Load(); known != nil {
		if found, ok := (*known)[name]; ok {
			return found, nil
		}
		if len(*known) >= maxHandles {
			var none V
			return none, errTooMany
		}
		maps.Copy(grown, *known)
	}
	grown[name] = create(name)
	h.known.Store(&grown)
	return grown[name], nil
}
