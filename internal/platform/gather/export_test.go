package gather

import "runtime"

// AwaitWaiting returns once n turns wait behind the group that is asked.
func (g *Gather[Q, A]) AwaitWaiting(n int) {
	for {
		g.mu.Lock()
		waiting := len(g.waiting)
		g.mu.Unlock()
		if waiting == n {
			return
		}
		runtime.Gosched()
	}
}
