package telemetry

import "github.com/prometheus/client_golang/prometheus"

// Family is a metric whose labels have values of a closed set.
type Family struct {
	Name, Help string
	Labels     []string
	// Grows says that it is a counter; it is a gauge otherwise.
	Grows bool
}

// Sample is one figure of a family, with a value for each of its labels.
type Sample struct {
	Labels []string
	Value  float64
}

// Family registers figures that are read when metrics are. What read leaves out is absent
// from the answer. It refuses the names that Gauge does.
func (m *Metrics) Family(f Family, read func() []Sample) error {
	c := &family{about: prometheus.NewDesc(f.Name, f.Help, f.Labels, nil), kind: prometheus.GaugeValue, read: read}
	if f.Grows {
		c.kind = prometheus.CounterValue
	}
	return m.register(f.Name, c)
}

// family implements prometheus.Collector.
type family struct {
	about *prometheus.Desc
	kind  prometheus.ValueType
	read  func() []Sample
}

// Describe implements prometheus.Collector.
func (f *family) Describe(to chan<- *prometheus.Desc) { to <- f.about }

// Collect implements prometheus.Collector.
func (f *family) Collect(to chan<- prometheus.Metric) {
	for _, s := range f.read() {
		one, err := prometheus.NewConstMetric(f.about, f.kind, s.Value, s.Labels...)
		if err != nil {
			one = prometheus.NewInvalidMetric(f.about, err)
		}
		to <- one
	}
}
