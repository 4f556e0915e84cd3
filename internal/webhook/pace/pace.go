// Package pace is how many requests an endpoint gets at once: more as long as it accepts
// them, as few as at first after one that failed.
//
// What an endpoint came to is remembered for a minute after it was last served, in this
// process alone, and of so many endpoints at most.
package pace

import (
	"sync"
	"time"
)

// Most is how many requests one endpoint gets at once at the most.
const Most = 64

const (
	// mostInAll is what the endpoints that are served share, or each has what it began with.
	mostInAll = 1024
	// rememberFor is how long a pace is remembered, mostRemembered of how many endpoints.
	rememberFor    = time.Minute
	mostRemembered = 1024
)

// Pace is one endpoint's: one request more at once for each that it accepted, as long as
// none fails. After a failure it gets as few as at first, and from half of what was too
// much on one more for each round of requests.
type Pace struct {
	window, first int
	careful       int // from here on it grows slowly; 0: nowhere
	round         int // accepted since it grew last
	era           int
	at            time.Time
}

// Window is how many requests may be under way.
func (p *Pace) Window() int { return p.window }

// Era is how often it fell back: what was sent in another says nothing more.
func (p *Pace) Era() int { return p.era }

// Took notes that a request was accepted while as many were under way as might be.
func (p *Pace) Took() {
	if p.round++; p.careful > 0 && p.window >= p.careful && p.round < p.window {
		return
	}
	p.window, p.round = min(p.window+1, Most), 0
}

// Fell notes that a request failed.
func (p *Pace) Fell() {
	p.careful, p.window, p.round = max(p.first, p.window/2), p.first, 0
	p.era++
}

// Book remembers the paces of endpoints, and how many are served now. The zero value is
// empty; it is safe for concurrent use.
type Book struct {
	mu     sync.Mutex
	paces  map[string]Pace
	served int
}

// Begin returns the pace of an endpoint that is to be served, first at once unless more is
// known of it.
func (b *Book) Begin(endpoint string, first int, now time.Time) Pace {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.served++
	known, found := b.paces[endpoint]
	if delete(b.paces, endpoint); !found || known.old(now) {
		return Pace{window: first, first: first}
	}
	return known
}

// End remembers it, where there is something to remember and room for it.
func (b *Book) End(endpoint string, last Pace, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.served--
	if last.window == last.first && last.careful == 0 {
		return
	}
	if b.paces == nil {
		b.paces = map[string]Pace{}
	}
	if len(b.paces) >= mostRemembered {
		for one, known := range b.paces {
			if known.old(now) {
				delete(b.paces, one)
			}
		}
	}
	if last.at = now; len(b.paces) < mostRemembered {
		b.paces[endpoint] = last
	}
}

func (p *Pace) old(now time.Time) bool { return now.Sub(p.at).Abs() > rememberFor }

// Share is the most that one endpoint may get now, and first at least.
func (b *Book) Share(first int) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return max(first, mostInAll/max(b.served, 1))
}
