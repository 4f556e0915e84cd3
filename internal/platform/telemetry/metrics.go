package telemetry

import (
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Metrics are the counters and histograms of one process. Names begin with "scrip_";
// times are in seconds. It is safe for concurrent use.
type Metrics struct {
	registry  *prometheus.Registry
	requests  *prometheus.CounterVec
	latency   *prometheus.HistogramVec
	batches   prometheus.Histogram
	batchTime prometheus.Histogram
	handles   sync.Map // requestLabels → *requestHandles
}

type requestLabels struct {
	dialect, route string
	class          int
}

type requestHandles struct {
	count   prometheus.Counter
	latency prometheus.Observer
}

// NewMetrics returns metrics of its own registry, with those of the Go runtime and the process.
func NewMetrics() *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "scrip_http_requests_total",
			Help: "Finished HTTP requests by dialect, route and class of status."}, []string{"dialect", "route", "class"}),
		latency: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "scrip_http_request_seconds",
			Help: "Time from a request's first byte to its answer.", Buckets: prometheus.ExponentialBuckets(0.0005, 2, 15)}, []string{"dialect", "route"}),
		batches: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "scrip_ledger_batch_operations",
			Help: "Operations that shared one ledger transaction.", Buckets: prometheus.ExponentialBuckets(1, 2, 10)}),
		batchTime: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "scrip_ledger_batch_seconds",
			Help: "Time to decide and commit one ledger batch.", Buckets: prometheus.ExponentialBuckets(0.0001, 2, 15)}),
	}
	m.registry.MustRegister(m.requests, m.latency, m.batches, m.batchTime, collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Gauge registers a figure that is read when metrics are.
func (m *Metrics) Gauge(name, help string, read func() float64) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, read))
}

// Request counts a finished request. The labels are of closed sets: registered routes.
func (m *Metrics) Request(dialect, route string, status int, took time.Duration) {
	labels := requestLabels{dialect, route, status / 100}
	found, ok := m.handles.Load(labels)
	if !ok {
		found, _ = m.handles.LoadOrStore(labels, &requestHandles{
			count:   m.requests.WithLabelValues(dialect, route, strconv.Itoa(labels.class)+"xx"),
			latency: m.latency.WithLabelValues(dialect, route),
		})
	}
	handles := found.(*requestHandles)
	handles.count.Inc()
	handles.latency.Observe(took.Seconds())
}

// Batch counts a ledger batch.
func (m *Metrics) Batch(operations int, took time.Duration) {
	m.batches.Observe(float64(operations))
	m.batchTime.Observe(took.Seconds())
}

// Handler serves the metrics in Prometheus' text format.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4})
}
