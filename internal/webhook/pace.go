package webhook

import (
	"sync"
	"time"
)

const (
	// mostAtOnce is how many requests one endpoint gets at once at the most.
	mostAtOnce = 64
	// mostInAll is what the endpoints that are served share, beyond Config.PerEndpoint each.
	mostInAll = 1024
	// paceFor is how long an endpoint's pace is remembered, mostPaces of how many.
	paceFor   = time.Minute
	mostPaces = 1024
)

// pace is how many requests an endpoint gets at once: one more for each that it accepted,
// as long as none fails. After a failure it gets as few as at first, and from half of what
// was too much on one more for each round of requests.
type pace struct {
	window, first int
	careful       int // from here on it grows slowly; 0: nowhere
	round         int // accepted since it grew slowly last
	era           int // how often it fell back; what was sent before says nothing more
	at            time.Time
}

// took notes that a request was accepted while as many were under way as may be.
func (p *pace) took() {
	if p.round++; p.careful > 0 && p.window >= p.careful && p.round < p.window {
		return
	}
	p.window, p.round = min(p.window+1, mostAtOnce), 0
}

// fell notes that a request failed.
func (p *pace) fell() {
	p.careful, p.window, p.round = max(p.first, p.window/2), p.first, 0
	p.era++
}

// paces remembers the paces of endpoints between their turns, and how many are served now.
type paces struct {
	mu     sync.Mutex
	of     map[EndpointID]pace
	serves int
}

// begin returns the pace of an endpoint whose turn begins.
func (p *paces) begin(endpoint EndpointID, first int, now time.Time) pace {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.serves++
	known, found := p.of[endpoint]
	if delete(p.of, endpoint); !found || known.old(now) {
		return pace{window: first, first: first}
	}
	return known
}

// end remembers it, where there is something to remember and room for it.
func (p *paces) end(endpoint EndpointID, last pace, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.serves--
	if last.window == last.first && last.careful == 0 {
		return
	}
	if p.of == nil {
		p.of = map[EndpointID]pace{}
	}
	if len(p.of) >= mostPaces {
		for one, known := range p.of {
			if known.old(now) {
				delete(p.of, one)
			}
		}
	}
	if last.at = now; len(p.of) < mostPaces {
		p.of[endpoint] = last
	}
}

func (p *pace) old(now time.Time) bool { return now.Sub(p.at).Abs() > paceFor }

// share is the most that one endpoint may get now.
func (p *paces) share(first int) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return max(first, mostInAll/max(p.serves, 1))
}
