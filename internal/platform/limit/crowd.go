package limit

import "sync"

// Crowd counts what is under way, by whose it is. It is safe for concurrent use; the zero
// value has nothing under way.
type Crowd[K comparable] struct {
	mu sync.Mutex
	of map[K]int
}

// Enter counts one more of who's, and reports false, counting none, where most are under way.
func (c *Crowd[K]) Enter(who K, most int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.of[who] >= most {
		return false
	}
	if c.of == nil {
		c.of = map[K]int{}
	}
	c.of[who]++
	return true
}

// Leave ends what Enter counted.
func (c *Crowd[K]) Leave(who K) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.of[who]--; c.of[who] == 0 {
		delete(c.of, who)
	}
}
