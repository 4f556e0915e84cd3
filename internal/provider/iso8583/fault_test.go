package iso8583

import (
	"context"
	"fmt"
	"net"
	"runtime"
	"sync"
	"testing"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/platform/line"
	"github.com/scripcards/scrip/internal/testkit/faultproxy"
)

// most is the growth of the heap that no fault may exceed, in bytes.
const most = 24 << 20

// heap returns the bytes in use.
func heap() uint64 {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}

// keepAsking asks a network again and again, which must always answer, until the
// returned function is called.
func keepAsking(t *testing.T, n *network) (stop func()) {
	t.Helper()
	stopped := make(chan struct{})
	var group sync.WaitGroup
	group.Go(func() {
		for {
			select {
			case <-stopped:
				return
			default:
			}
			if b, err := ask(t, n, "other"); err != nil || b.Amount.Minor != 12 {
				t.Errorf("the healthy network: %+v, %v", b, err)
				return
			}
		}
	})
	return func() {
		close(stopped)
		group.Wait()
	}
}

// Whatever the way to a host does to the bytes, inquiries end with unavailable within
// their time; another network answers all along, goroutines and memory stay bounded,
// and the network answers again when the way is clear.
func TestFaultsOnTheWay(t *testing.T) {
	address := startProcess(t, "binary")
	proxy := faultproxy.New(t, address)
	failing := mustOpen(t, usual(t, proxy.Addr()).with(object{"timeout_ms": 250, "connect_timeout_ms": 250, "max_in_flight": 8, "echo_ms": 100}))
	healthy := mustOpen(t, usual(t, address))
	defer keepAsking(t, healthy)()
	askUntil(t, failing, "good")
	before := heap()
	faults := []struct {
		kind       faultproxy.Kind
		attributes faultproxy.Attributes
		upstream   bool
	}{
		{faultproxy.Latency, faultproxy.Attributes{"latency": 60000}, false},
		{faultproxy.Silence, faultproxy.Attributes{"timeout": 0}, false},
		{faultproxy.Silence, faultproxy.Attributes{"timeout": 0}, true},
		{faultproxy.Silence, faultproxy.Attributes{"timeout": 30}, false},
		{faultproxy.Reset, nil, false},
		{faultproxy.Half, faultproxy.Attributes{"bytes": 0}, false},
		{faultproxy.Half, faultproxy.Attributes{"bytes": 1}, false},
		{faultproxy.Half, faultproxy.Attributes{"bytes": 20}, false},
		{faultproxy.Half, faultproxy.Attributes{"bytes": 20}, true},
		{faultproxy.Drip, faultproxy.Attributes{"average_size": 1, "delay": 50000}, false},
		{faultproxy.Garbage, nil, false},
		{faultproxy.Garbage, nil, true},
		{faultproxy.SlowClose, faultproxy.Attributes{"delay": 60000}, false},
	}
	for i, f := range faults {
		t.Run(fmt.Sprintf("%d %s", i, f.kind), func(t *testing.T) {
			if f.upstream {
				proxy.AddUpstream(t, f.kind, f.attributes)
			} else {
				proxy.Add(t, f.kind, f.attributes)
			}
			refused := 0
			for range 3 {
				var group sync.WaitGroup
				results := make(chan error, 24)
				for range 24 {
					group.Go(func() {
						_, err := ask(t, failing, "good")
						results <- err
					})
				}
				group.Wait()
				for range 24 {
					if err := <-results; err != nil {
						wantFault(t, err, fault.Unavailable)
						refused++
					}
				}
			}
			if f.kind != faultproxy.SlowClose && refused == 0 {
				t.Error("the fault changed nothing")
			}
			if count, stacks := running(); count > 60 {
				t.Errorf("%d goroutines:\n%s", count, stacks)
			}
			proxy.Cut() // what is left of the connections that the fault has seen
			_, err := ask(t, failing, "good")
			wantFault(t, err, fault.Unavailable)
			proxy.Restore(t)
			if b := askUntil(t, failing, "good"); b.Amount.Minor != 4750 {
				t.Errorf("behaving again: %+v", b)
			}
		})
	}
	if err := failing.Close(); err != nil {
		t.Fatal(err)
	}
	wantRunning(t, 12) // the healthy network's
	if after := heap(); after > before+most {
		t.Errorf("the heap grew from %d to %d bytes", before, after)
	}
}

// A flood of messages that nobody asked for, on the way or from the host itself, is
// cut off: it takes neither memory nor goroutines, and the other network answers.
func TestFlood(t *testing.T) {
	address := startProcess(t, "binary")
	proxy := faultproxy.New(t, address)
	flooded := mustOpen(t, usual(t, proxy.Addr()).with(object{"timeout_ms": 2000}))
	healthy := mustOpen(t, usual(t, address))
	defer keepAsking(t, healthy)()
	askUntil(t, flooded, "good")
	before := heap()
	proxy.Add(t, faultproxy.Flood, faultproxy.Attributes{"times": 5000})
	session := flooded.link.session
	for range 50 {
		_, _ = ask(t, flooded, "good") // the first copy may be taken for the answer that it is
	}
	<-session.done()
	proxy.Cut()
	proxy.Restore(t)
	askUntil(t, flooded, "good")
	for range 5 {
		_, err := ask(t, flooded, "flood")
		wantFault(t, err, fault.Unavailable)
		askUntil(t, flooded, "good")
	}
	if count, stacks := running(); count > 24 {
		t.Errorf("%d goroutines:\n%s", count, stacks)
	}
	if after := heap(); after > before+most {
		t.Errorf("the heap grew from %d to %d bytes", before, after)
	}
}

// A host that misbehaves for one card costs that inquiry, and at most the others
// that were in flight: the next ones are answered.
func TestTroubles(t *testing.T) {
	address := startProcess(t, "binary")
	n := mustOpen(t, usual(t, address).with(object{"timeout_ms": 250, "echo_ms": 100}))
	healthy := mustOpen(t, usual(t, address))
	defer keepAsking(t, healthy)()
	for _, name := range []string{"silent", "reset", "half", "garbage", "oversize", "late", "away", "corrupt"} {
		t.Run(name, func(t *testing.T) {
			askUntil(t, n, "good")
			_, err := ask(t, n, name)
			wantFault(t, err, fault.Unavailable)
			if line.IsOutage(err) {
				t.Errorf("what may be about the one card is taken for an outage: %v", err)
			}
			if b := askUntil(t, n, "good"); b.Amount.Minor != 4750 {
				t.Errorf("afterwards: %+v", b)
			}
		})
	}
	_, err := ask(t, mustOpen(t, usual(t, "127.0.0.1:1").with(object{"connect_timeout_ms": 250})), "good")
	if wantFault(t, err, fault.Unavailable); !line.IsOutage(err) {
		t.Errorf("that nobody listens is no outage: %v", err)
	}
}

// Connections that are cut over and over, with inquiries in flight, leave nothing
// behind, and no inquiry gets another's answer.
func TestReconnects(t *testing.T) {
	proxy := faultproxy.New(t, startProcess(t, "binary"))
	n := mustOpen(t, usual(t, proxy.Addr()).with(object{"timeout_ms": 2000}))
	stopped := make(chan struct{})
	var group sync.WaitGroup
	for i := range 6 {
		name, want := "good", int64(4750)
		if i%2 == 1 {
			name, want = "other", 12
		}
		group.Go(func() {
			for {
				select {
				case <-stopped:
					return
				default:
				}
				b, err := ask(t, n, name)
				if err == nil && b.Amount.Minor != want {
					t.Errorf("%s got %+v", name, b)
				}
			}
		})
	}
	for range 30 {
		askUntil(t, n, "good")
		proxy.Cut()
		proxy.Restore(t)
	}
	close(stopped)
	group.Wait()
	askUntil(t, n, "good")
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	wantRunning(t, 0)
}

// A host that reads nothing more blocks nobody beyond their own time, and loses the
// connection.
func TestHostThatDoesNotRead(t *testing.T) {
	n := mustOpen(t, usual(t, "127.0.0.1:1").with(object{"timeout_ms": 100}))
	ours, theirs := net.Pipe() // which holds nothing: a write waits for its reader
	t.Cleanup(func() { _ = theirs.Close() })
	s, err := startSession(t.Context(), ours, n.host, n.link.traces)
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	for range 2 * cap(s.out) {
		group.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), n.host.timeout)
			defer cancel()
			_, err := s.exchange(ctx, message{0: "0800", 70: functionEcho})
			wantFault(t, err, fault.Unavailable)
		})
	}
	group.Wait()
	<-s.done()
	s.end()
	if len(s.pending) != 0 {
		t.Errorf("%d questions are left", len(s.pending))
	}
	wantRunning(t, 0)
}
