package feature

import "math"

// seconds is how events are timed here: 1970 is 0, and a second has parts.
type seconds float64

func secondsOf(micros int64) seconds { return seconds(micros) / 1e6 }

const (
	minute seconds = 60
	hour           = 60 * minute
	day            = 24 * hour
)

// halves are the half-lives of what is counted.
var halves = [...]seconds{minute, hour, day, 7 * day, 30 * day}

var halfNames = [len(halves)]string{"1m", "1h", "1d", "7d", "30d"}

// count is one number of events that fades, at each half-life.
type count [len(halves)]float32

// fades is by how much what was counted fades over a time, at each half-life.
type fades [len(halves)]float32

// fadesOver returns the fading over a time that passed; none for what comes late.
func fadesOver(passed seconds) (f fades) {
	for i, half := range halves {
		f[i] = 1
		if passed > 0 {
			f[i] = float32(math.Exp2(float64(-passed / half)))
		}
	}
	return f
}

func (c *count) fade(f *fades) {
	for i := range c {
		c[i] *= f[i]
	}
}

func (c *count) add(n float32) {
	for i := range c {
		c[i] += n
	}
}
