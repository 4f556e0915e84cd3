package iso8583

import "sync"

// turns has messages about one payment, of one connection, worked on in the order in which they
// came, beside those about others.
type turns struct {
	mu sync.Mutex
	// last is the end of the latest message about a payment, by its reference: of those that are
	// under way, and no others.
	last map[string]chan struct{}
}

// take is called in the order of the messages. It returns what waits for the one before about the
// same payment, and what ends this one. Messages without a reference wait for none.
func (t *turns) take(reference string) (wait, end func()) {
	if reference == "" {
		return func() {}, func() {}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	before, own := t.last[reference], make(chan struct{})
	t.last[reference] = own
	wait = func() {
		if before != nil {
			<-before // it was read before, so that it is under way or done
		}
	}
	end = func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		close(own)
		if t.last[reference] == own {
			delete(t.last, reference)
		}
	}
	return wait, end
}
