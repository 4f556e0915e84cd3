package fraud

import "github.com/scripcards/scrip/internal/fraud/keep"

// second is a time in seconds since 1970; 0 is never.
type second = keep.Second

// window names a stretch of time that is counted over.
type window uint8

const (
	always window = iota // what is so now
	minute
	hour
	day
	week
	month
	windows
)

// lengths are the windows in seconds.
var lengths = [windows]second{0, 60, 3600, 86_400, 7 * 86_400, 30 * 86_400}

// recent says whether something that was at then is less than a window old.
// What comes late, from before then, is as recent.
func recent(now, then second, w window) bool {
	return then != 0 && (now < then || now-then < lengths[w])
}

const (
	// parts is how finely a window slides; a counter keeps one part more.
	parts = 4
	kept  = parts + 1
)

// counter counts over one sliding window. Its count covers the window and up to a
// quarter more: nothing within the window is missed, whenever it came.
type counter struct {
	part  uint32 // the newest, counted from 1970
	count [kept]uint32
}

// add counts one event. An event that comes later than the counter remembers is lost.
func (c *counter) add(now second, w window) {
	part := uint32(now / (lengths[w] / parts))
	switch {
	case part >= c.part+kept:
		c.count = [kept]uint32{}
		c.part = part
	case part > c.part:
		for c.part < part {
			c.part++
			c.count[c.part%kept] = 0
		}
	case part+kept <= c.part:
		return
	}
	c.count[part%kept]++
}

// read returns how many events the window holds.
func (c *counter) read(now second, w window) int64 {
	part := uint32(now / (lengths[w] / parts))
	sum := int64(0)
	for i := range uint32(kept) {
		at := c.part - i
		if i > c.part || at+kept <= part {
			break
		}
		sum += int64(c.count[at%kept])
	}
	return sum
}

// span counts over an hour and over a day.
type span struct{ hour, day counter }

func (s *span) add(now second) {
	s.hour.add(now, hour)
	s.day.add(now, day)
}

// addUnless counts in each window in which then is no more.
func (s *span) addUnless(now, then second) {
	if !recent(now, then, hour) {
		s.hour.add(now, hour)
	}
	if !recent(now, then, day) {
		s.day.add(now, day)
	}
}

func (s *span) read(now second, into *[windows]int64) {
	into[hour], into[day] = s.hour.read(now, hour), s.day.read(now, day)
}
