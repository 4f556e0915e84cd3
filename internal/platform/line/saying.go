package line

import "time"

// What a line says of its failures: each reason once in sayAgain, of the last mostReasons.
const (
	sayAgain    = time.Minute
	mostReasons = 64
)

// sayings is what was said of why calls failed, by a hash of the whole text of that: the text
// may be a counterparty's. Where there is too much, any one makes room.
type sayings map[uint64]*saying

type saying struct {
	at     time.Time
	unsaid int // how often since
}

// due notes a failure, and reports whether to say it, and how many like it were not said.
func (s sayings) due(why uint64, now time.Time) (unsaid int, due bool) {
	before := s[why]
	if before != nil && now.Sub(before.at).Abs() < sayAgain {
		before.unsaid++
		return 0, false
	}
	if before != nil {
		unsaid = before.unsaid
	}
	for other := range s {
		if before != nil || len(s) < mostReasons {
			break
		}
		delete(s, other)
	}
	s[why] = &saying{at: now}
	return unsaid, true
}

// Due reports whether the failure of a call is to be logged: not again within a minute of when
// one like it was, however many fail. It returns how many were not logged since.
func (l *Line) Due(err error) (unsaid int, due bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.said.due(l.hash(err.Error()), l.clock.Now())
}
