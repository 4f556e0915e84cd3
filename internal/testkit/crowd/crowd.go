// Package crowd makes calls at once, for tests, and counts how they were answered.
package crowd

import (
	"sync"

	"github.com/scripcards/scrip/internal/core/fault"
)

// AtOnce makes n calls at the same time and waits for them.
func AtOnce(n int, call func(i int)) {
	var group sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		group.Go(func() {
			<-start
			call(i)
		})
	}
	close(start)
	group.Wait()
}

// Tally counts answers by their code, "" for success. Many may be added at once.
type Tally struct {
	mu    sync.Mutex
	Codes map[fault.Code]int // for whoever waited for all of them
}

// Add counts an answer.
func (c *Tally) Add(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.Codes == nil {
		c.Codes = map[fault.Code]int{}
	}
	c.Codes[fault.CodeOf(err)]++
}
