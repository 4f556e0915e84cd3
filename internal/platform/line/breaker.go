package line

import (
	"time"
)

// phase is where a breaker is.
type phase uint8

const (
	closed   phase = iota // calls go through
	open                  // none does
	halfOpen              // one does, to try
)

// breaker lets calls through until too many in a row failed, then none for a while,
// then one to try. It is guarded by its line's lock.
type breaker struct {
	failures int           // in a row that open it
	cool     time.Duration // how long it stays open at first

	phase phase
	row   int           // failures in a row
	pause time.Duration // of the present opening
	until time.Time
}

// ready reports whether a call may be made now.
func (b *breaker) ready(now time.Time) bool {
	switch b.phase {
	case closed:
		return true
	case open:
		// A clock that was put back must not keep it open for longer than it would be.
		return !now.Before(b.until) || b.until.Sub(now) > b.pause
	case halfOpen:
	}
	return false
}

// wait is after how long a call may try that may not now; while another one tries nobody knows.
func (b *breaker) wait(now time.Time) time.Duration {
	if b.phase != open {
		return time.Second
	}
	return max(b.until.Sub(now), time.Second)
}

// admit is ready, for a call that is then made.
func (b *breaker) admit(now time.Time) bool {
	if !b.ready(now) {
		return false
	}
	if b.phase == open {
		b.phase = halfOpen
	}
	return true
}

func (b *breaker) succeed() { b.phase, b.row, b.pause = closed, 0, 0 }

// fail counts a failure; calls of before that end late while it is open change nothing.
func (b *breaker) fail(now time.Time) {
	switch b.phase {
	case open:
		return
	case halfOpen:
		b.pause = min(2*b.pause, max(longestCool, b.cool))
	case closed:
		if b.row++; b.row < b.failures {
			return
		}
		b.pause = b.cool
	}
	b.phase, b.until = open, now.Add(b.pause)
}

// forget takes a call back of which nothing is known: another may try.
func (b *breaker) forget() {
	if b.phase == halfOpen {
		b.phase, b.until = open, time.Time{}
	}
}

// mostCallers bounds the callers that a line remembers.
const mostCallers = 1024

// callers are the breakers of callers whose last calls got answers that are none.
type callers map[string]*breaker

// of returns the breaker of a caller. Where there are too many, any one makes room.
func (c callers) of(caller string, config Config) *breaker {
	if c[caller] == nil {
		for other := range c {
			if len(c) < mostCallers {
				break
			}
			delete(c, other)
		}
		c[caller] = &breaker{failures: config.Failures, cool: config.Cool}
	}
	return c[caller]
}

// forget takes the call of a caller back.
func (c callers) forget(caller string) {
	if own := c[caller]; own != nil {
		own.forget()
	}
}

// What a line remembers of the things it could get no answer about, and for how long.
const (
	mostSubjects = 64
	subjectFor   = 10 * time.Minute
)

// subjects is what calls failed about of late, by hashes that mean nothing outside of the
// process. The oldest makes room.
type subjects struct {
	seen [mostSubjects]struct {
		hash uint64
		at   time.Time
	}
	next int
}

// again notes a failure, and reports whether there was one about the same subject of late.
func (s *subjects) again(hash uint64, now time.Time) bool {
	for _, one := range s.seen {
		if one.hash == hash && now.Sub(one.at).Abs() < subjectFor {
			return true
		}
	}
	s.seen[s.next].hash, s.seen[s.next].at = hash, now
	s.next = (s.next + 1) % mostSubjects
	return false
}

// A network is degraded when one in poorOutOf of its last calls failed, or more: of those
// that are remembered and not older than memoryOfPoor.
const (
	remembered   = 20
	poorOutOf    = 5
	memoryOfPoor = 5 * time.Minute
)

// recent is how the last calls ended.
type recent struct {
	calls [remembered]struct {
		at time.Time
		ok bool
	}
	next int
}

func (r *recent) note(now time.Time, ok bool) {
	r.calls[r.next].at, r.calls[r.next].ok = now, ok
	r.next = (r.next + 1) % remembered
}

// poor reports whether too many calls of late failed.
func (r *recent) poor(now time.Time) bool {
	failed, all := 0, 0
	for _, c := range r.calls {
		if c.at.IsZero() || now.Sub(c.at) > memoryOfPoor {
			continue
		}
		all++
		if !c.ok {
			failed++
		}
	}
	return failed > 0 && failed*poorOutOf >= all
}
