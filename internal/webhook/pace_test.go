package webhook

import (
	"net/http"
	"runtime"
	"testing"

	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/testkit"
	"github.com/scripcards/scrip/internal/webhook/pace"
)

// held is an endpoint that keeps its requests waiting until each is told its answer.
type held struct {
	*receiver
	t       *testing.T
	answers chan int
}

func newHeld(t *testing.T) *held {
	h := &held{t: t, answers: make(chan int)}
	h.receiver = newReceiver(t, func(w http.ResponseWriter, _ *http.Request) {
		if status, open := <-h.answers; open {
			w.WriteHeader(status)
		}
	})
	return h
}

// arrive waits until n more requests are there.
func (h *held) arrive(n int) {
	for range n {
		<-h.arrived
	}
}

// say answers n of the waiting requests.
func (h *held) say(status, n int) {
	for range n {
		h.answers <- status
	}
}

// still fails the test if a request more arrived than was waited for.
func (h *held) still() {
	h.t.Helper()
	select {
	case <-h.arrived:
		h.t.Fatal("one request too many")
	default:
	}
}

// An endpoint gets one request more at once for each that it accepted, up to a bound. After
// a failure nothing is sent until another request succeeds, and then as few as at first;
// how far it had come is remembered from one turn to the next.
func TestPaceFollowsEndpoint(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		b := setup(t, db, Config{PerEndpoint: 4})
		h := newHeld(t)
		defer close(h.answers) // before the service stops
		e, _ := b.create(h.receiver, SchemeCardPing, "*")
		emit := func(n int) {
			for range n {
				b.emit("card.created")
			}
		}
		emit(300)
		b.start()
		h.arrive(4)
		for now := 4; now < pace.Most; now *= 2 {
			h.still()
			h.say(200, now)
			h.arrive(2 * now)
		}
		h.still()
		h.say(200, pace.Most)
		h.arrive(pace.Most)
		h.still()
		h.say(503, 1)
		h.say(200, pace.Most-1)
		h.arrive(4)
		h.still()
		for now := 4; now < pace.Most/2; now *= 2 {
			h.say(200, now)
			h.arrive(min(2*now, pace.Most/2))
			h.still()
		}
		if d, _, err := b.Deliveries(t.Context(), DeliveryFilter{Book: book, Endpoint: e.ID, State: deliveryFailed}); err != nil || len(d) != 0 {
			t.Errorf("%d deliveries were given up, %v", len(d), err)
		}
	})
}

// While one request has failed and none has succeeded since, nothing new is sent and nothing
// is held against the endpoint: the requests that are under way will tell.
func TestDoubt(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		b := setup(t, db, Config{PerEndpoint: 4})
		h := newHeld(t)
		defer close(h.answers) // before the service stops
		e, _ := b.create(h.receiver, SchemeCardPing, "*")
		for range 20 {
			b.emit("card.created")
		}
		b.start()
		h.arrive(4)
		for n := 1; n <= 3; n++ {
			h.say(503, 1)
			for tried := 0; tried < n; runtime.Gosched() { // until that is written down
				all, _, err := b.Deliveries(t.Context(), DeliveryFilter{Book: book, Endpoint: e.ID})
				if err != nil {
					t.Fatal(err)
				}
				tried = 0
				for _, d := range all {
					tried += d.Attempts
				}
			}
		}
		h.still()
		if got := b.endpoint(e); got.Failures != 0 {
			t.Errorf("in doubt: %+v", got)
		}
		h.say(200, 1)
		h.arrive(4)
		h.say(503, 4)
		for b.endpoint(e).Failures == 0 {
			runtime.Gosched()
		}
		h.still()
	})
}
