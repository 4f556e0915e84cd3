package upload

import (
	"sync"

	"github.com/scripcards/scrip/internal/cashout/image"
)

// ownMost bounds the files of one order that are read at once: as many as it may have to
// show. Otherwise one form is enough to keep everybody else from the store, by sending slowly.
const ownMost = 5

// crowd counts the files of each owner that are being read.
type crowd struct {
	mu sync.Mutex
	of map[image.Owner]int
}

// enter counts one more, and reports false where there are as many as there may be.
func (c *crowd) enter(o image.Owner) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.of[o] >= ownMost {
		return false
	}
	c.of[o]++
	return true
}

func (c *crowd) leave(o image.Owner) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.of[o]--; c.of[o] == 0 {
		delete(c.of, o)
	}
}
