package captcha

import (
	"context"
	"crypto/sha256"
	"math/bits"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/scripcards/scrip/internal/core/clock"
)

// Work is a captcha without a service: whoever answers shows that a machine worked for it. An
// answer is "TIME:NONCE" of which the SHA-256 of "scrip:TIME:NONCE" begins with so many zero
// bits, with the time of the attempt in seconds since 1970 and a nonce of the caller's
// choice. Each answer passes once in a process. It is safe for concurrent use.
type Work struct {
	clock clock.Clock
	zeros int
	mu    sync.Mutex
	used  map[string]time.Time
}

// Bounds of work.
const (
	// UsualZeros take a million hashes: a second of a phone.
	UsualZeros = 20
	maxZeros   = 40
	workAge    = 5 * time.Minute
	workText   = "scrip:"
	maxWork    = 64      // bytes of an answer
	maxUsed    = 100_000 // answers that are remembered
)

// NewWork returns a captcha that asks for so many zero bits, from 1 to 40.
func NewWork(c clock.Clock, zeros int) *Work {
	return &Work{clock: c, zeros: min(max(zeros, 1), maxZeros), used: map[string]time.Time{}}
}

// Verify returns nil for an answer that took the work, is at most five minutes old and was
// not used before, and invalid_request for others.
func (w *Work) Verify(_ context.Context, answer, _ string) error {
	text, nonce, found := strings.Cut(answer, ":")
	seconds, err := strconv.ParseInt(text, 10, 64)
	now := w.clock.Now()
	age := now.Sub(time.Unix(seconds, 0))
	if err != nil || !found || nonce == "" || len(answer) > maxWork || age > workAge || age < -workAge || zeros(sha256.Sum256([]byte(workText+answer))) < w.zeros {
		return errWrong()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for old, at := range w.used {
		if len(w.used) < maxUsed && now.Sub(at) <= 2*workAge {
			break // what is left is looked at next time
		}
		delete(w.used, old)
	}
	if _, again := w.used[answer]; again {
		return errWrong()
	}
	w.used[answer] = now
	return nil
}

// zeros counts the zero bits that a sum begins with.
func zeros(sum [sha256.Size]byte) int {
	n := 0
	for _, b := range sum {
		if n += bits.LeadingZeros8(b); b != 0 {
			break
		}
	}
	return n
}
