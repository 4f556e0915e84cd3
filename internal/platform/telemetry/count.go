package telemetry

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// other stands for the names beyond maxHandles.
const other = "other"

type routeName struct{ dialect, route string }

// Route counts the requests of one route.
type Route struct {
	classes [statusClasses]prometheus.Counter
	seconds prometheus.Observer
}

// statusClasses are 0xx, for statuses that are none, to 5xx.
const statusClasses = 6

// Route returns the counters of a route, for whoever keeps them. Dialects and routes
// are names of a closed set, never a part of a request's path.
func (m *Metrics) Route(dialect, route string) *Route {
	found, err := m.routes.get(routeName{dialect, route}, m.newRoute)
	if err != nil {
		return m.newRoute(routeName{other, other})
	}
	return found
}

func (m *Metrics) newRoute(name routeName) *Route {
	r := &Route{seconds: m.requestSeconds.WithLabelValues(name.dialect, name.route)}
	for class := range r.classes {
		r.classes[class] = m.requests.WithLabelValues(name.dialect, name.route, strconv.Itoa(class)+"xx")
	}
	return r
}

// Observe counts a finished request.
func (r *Route) Observe(status int, took time.Duration) {
	class := status / 100
	if class < 1 || class >= statusClasses {
		class = 0
	}
	r.classes[class].Inc()
	r.seconds.Observe(took.Seconds())
}

// Request counts a finished request of a route, as Route's Observe.
func (m *Metrics) Request(dialect, route string, status int, took time.Duration) {
	m.Route(dialect, route).Observe(status, took)
}

// JobOutcome is how an attempt at a job ended.
type JobOutcome string

// The outcomes of an attempt at a job.
const (
	JobDone    JobOutcome = "done"
	JobRetried JobOutcome = "retried" // it will be tried again
	JobDead    JobOutcome = "dead"    // it will not
)

var jobOutcomes = [...]JobOutcome{JobDone, JobRetried, JobDead}

// JobKind counts the attempts at jobs of one kind.
type JobKind struct {
	outcomes [len(jobOutcomes)]prometheus.Counter
	seconds  prometheus.Observer
}

// JobKind returns the counters of a kind of job, for whoever keeps them.
func (m *Metrics) JobKind(kind string) *JobKind {
	found, err := m.kinds.get(kind, m.newJobKind)
	if err != nil {
		return m.newJobKind(other)
	}
	return found
}

func (m *Metrics) newJobKind(kind string) *JobKind {
	k := &JobKind{seconds: m.jobSeconds.WithLabelValues(kind)}
	for i, outcome := range jobOutcomes {
		k.outcomes[i] = m.jobs.WithLabelValues(kind, string(outcome))
	}
	return k
}

// Observe counts an attempt. An outcome that is none of the three counts as JobDead.
func (k *JobKind) Observe(outcome JobOutcome, took time.Duration) {
	k.outcomes[position(jobOutcomes[:], outcome)].Inc()
	k.seconds.Observe(took.Seconds())
}

// Job counts an attempt at a job, as JobKind's Observe.
func (m *Metrics) Job(kind string, outcome JobOutcome, took time.Duration) {
	m.JobKind(kind).Observe(outcome, took)
}

// DeliveryOutcome is how an attempt to deliver an event ended.
type DeliveryOutcome string

// The outcomes of an attempt to deliver an event.
const (
	Delivered       DeliveryOutcome = "delivered"
	DeliveryRefused DeliveryOutcome = "refused" // the receiver answered with an error
	DeliveryFailed  DeliveryOutcome = "failed"  // there was no answer
)

var deliveryOutcomes = [...]DeliveryOutcome{Delivered, DeliveryRefused, DeliveryFailed}

// Delivery counts an attempt to deliver an event. An outcome that is none of the three
// counts as DeliveryFailed.
func (m *Metrics) Delivery(outcome DeliveryOutcome, took time.Duration) {
	m.deliveries[position(deliveryOutcomes[:], outcome)].Inc()
	m.deliverySeconds.Observe(took.Seconds())
}

// position returns where one is in all, or the last position.
func position[T comparable](all []T, one T) int {
	for i := range all {
		if all[i] == one {
			return i
		}
	}
	return len(all) - 1
}
