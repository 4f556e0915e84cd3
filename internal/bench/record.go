package bench

import (
	"slices"
	"time"

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
