package iso8583

import (
	"context"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/ping"
	"github.com/scripcards/scrip/internal/provider/simulator"
)

// A host that runs as a process of its own is asked over TCP, in both forms of the
// specification, and each answer becomes the balance that it states.
func TestHostProcess(t *testing.T) {
	usd := currency(t, "USD")
	amount := func(minor int64) money.Amount { return money.New(minor, usd) }
	cases := []struct {
		card, pin string
		want      ping.Balance
		code      fault.Code
	}{
		{"good", "", ping.Balance{Status: ping.Active, Amount: amount(4750), Expiry: "2027-03"}, ""},
		{"great", "", ping.Balance{Status: ping.Active, Amount: amount(999999999999)}, ""},
		{"overdrawn", "", ping.Balance{Status: ping.Active, Amount: amount(0)}, ""},
		{"pin", testPIN, ping.Balance{Status: ping.Active, Amount: amount(100), PIN: ping.PINRight}, ""},
		{"pin", "1235", ping.Balance{Status: ping.Invalid, Amount: amount(0), PIN: ping.PINWrong}, ""},
		{"pin", "", ping.Balance{Status: ping.Invalid, Amount: amount(0)}, ""},
		{"pin", "123", ping.Balance{}, fault.CardInvalid},
		{"pin", "1234567890123", ping.Balance{}, fault.CardInvalid},
		{"pin", "abcd", ping.Balance{}, fault.CardInvalid},
		{"good", "123456789012", ping.Balance{Status: ping.Active, Amount: amount(4750), Expiry: "2027-03", PIN: ping.PINRight}, ""},
		{"nobody", "", ping.Balance{Status: ping.Invalid, Amount: amount(0)}, ""},
		{"lost", "", ping.Balance{Status: ping.Inactive, Amount: amount(0)}, ""},
		{"expired", "", ping.Balance{Status: ping.Expired, Amount: amount(0), Expiry: "2020-01"}, ""},
		{"tried", testPIN, ping.Balance{Status: ping.Invalid, Amount: amount(0), PIN: ping.PINWrong}, ""},
		{"twice", "", ping.Balance{Status: ping.Active, Amount: amount(77)}, ""},
		{"stranger", "", ping.Balance{Status: ping.Active, Amount: amount(55)}, ""},
		{"alien", "", ping.Balance{}, fault.CardInvalid},
		{"away", "", ping.Balance{}, fault.Unavailable},
		{"strange", "", ping.Balance{}, fault.Unavailable},
		{"corrupt", "", ping.Balance{}, fault.Unavailable},
		{"empty", "", ping.Balance{}, fault.Unavailable},
	}
	for _, bitmap := range []string{"binary", "hex"} {
		n := mustOpen(t, usual(t, startProcess(t, bitmap)).with(object{"bitmap": bitmap}))
		for _, c := range cases {
			t.Run(bitmap+"/"+c.card+c.pin, func(t *testing.T) {
				inquiry := about(t, c.card)
				inquiry.PIN = pan.NewSecret(c.pin)
				b, err := n.Inquire(t.Context(), inquiry)
				if c.code != "" {
					wantFault(t, err, c.code)
				} else if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(c.want, b); diff != "" {
					t.Errorf("balance (-want +got):\n%s", diff)
				}
			})
		}
	}
}

// Nothing is dialled before the first inquiry; then one connection signs on once,
// carries many inquiries at a time and gives each its own answer.
func TestManyInFlight(t *testing.T) {
	wantRunning(t, 0) // those of other tests end behind their own
	var count counter
	n := mustOpen(t, usual(t, startHost(t, func(c *simulator.Config) { c.Observe = count.observe })))
	if got, _ := running(); got != 0 {
		t.Errorf("%d goroutines run before the first inquiry", got)
	}
	var group sync.WaitGroup
	for i := range 200 {
		name, want := "good", int64(4750)
		if i%2 == 1 {
			name, want = "other", 12
		}
		group.Go(func() {
			b, err := ask(t, n, name)
			if err != nil || b.Amount.Minor != want {
				t.Errorf("%s: %+v, %v", name, b, err)
			}
		})
	}
	group.Wait()
	inquiries, connections := count.of("")
	signOns, _ := count.of(functionSignOn)
	if inquiries != 200 || signOns != 1 || connections != 1 {
		t.Errorf("%d inquiries, %d sign-ons, %d connections", inquiries, signOns, connections)
	}
	if len(n.link.session.pending) != 0 {
		t.Error("questions are left")
	}
}

// An answer that comes after its inquiry was given up reaches nobody, and the next
// inquiry gets its own.
func TestLateAnswer(t *testing.T) {
	heard := make(chan simulator.Event, 16)
	n := mustOpen(t, usual(t, startHost(t, func(c *simulator.Config) { c.Observe = func(e simulator.Event) { heard <- e } })))
	if e := first(t, heard, n); e.Function != functionSignOn {
		t.Fatalf("first = %+v", e)
	}
	<-heard // the inquiry
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-heard
		cancel()
	}()
	_, err := n.Inquire(ctx, about(t, "late"))
	wantFault(t, err, fault.Unavailable)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error = %v, want the cancellation in it", err)
	}
	for range 3 {
		b, err := ask(t, n, "good")
		if err != nil || b.Amount.Minor != 4750 {
			t.Errorf("after a late answer: %+v, %v", b, err)
		}
	}
}

func first(t *testing.T, heard chan simulator.Event, n *network) simulator.Event {
	t.Helper()
	if b, err := ask(t, n, "good"); err != nil || b.Amount.Minor != 4750 {
		t.Fatalf("%+v, %v", b, err)
	}
	return <-heard
}

// A connection on which nothing is asked is tested, and one whose host does not
// answer the test is replaced.
func TestEcho(t *testing.T) {
	echoed := make(chan simulator.Event, 64)
	observe := func(c *simulator.Config) {
		c.Observe = func(e simulator.Event) {
			if e.Function == functionEcho {
				select {
				case echoed <- e:
				default:
				}
			}
		}
	}
	n := mustOpen(t, usual(t, startHost(t, observe)).with(object{"echo_ms": 50}))
	askUntil(t, n, "good")
	for range 3 {
		if e := <-echoed; e.Connection != 1 {
			t.Errorf("an echo on connection %d", e.Connection)
		}
	}
	deaf := func(c *simulator.Config) {
		observe(c)
		c.Deaf = []string{functionEcho}
	}
	n = mustOpen(t, usual(t, startHost(t, deaf)).with(object{"echo_ms": 50, "timeout_ms": 100}))
	askUntil(t, n, "good")
	for e := range echoed {
		if e.Connection > 2 { // it was replaced, and replaced again
			break
		}
	}
	askUntil(t, n, "good")
}

// A host that refuses the sign-on, or does not answer it, is not asked.
func TestSignOnRefused(t *testing.T) {
	for name, change := range map[string]func(*simulator.Config){
		"refused": func(c *simulator.Config) { c.SignOnCode = "91" },
		"silence": func(c *simulator.Config) { c.Deaf = []string{functionSignOn} },
	} {
		t.Run(name, func(t *testing.T) {
			var count counter
			n := mustOpen(t, usual(t, startHost(t, func(c *simulator.Config) {
				change(c)
				c.Observe = count.observe
			})).with(object{"timeout_ms": 100}))
			for range 5 {
				_, err := ask(t, n, "good")
				wantFault(t, err, fault.Unavailable)
			}
			if inquiries, _ := count.of(""); inquiries != 0 {
				t.Error("it was asked")
			}
		})
	}
}

// Why there is no connection is said in words of our own.
func TestWhyNoConnection(t *testing.T) {
	plain, secured := startHost(t, nil), httptest.NewTLSServer(nil)
	defer secured.Close()
	for why, change := range map[string]object{
		"the partner's host cannot be reached":    {"address": "127.0.0.1:1"},
		"it broke off":                            {"address": plain, "tls": object{}},
		"the TLS connection was refused":          {"address": secured.Listener.Addr().String(), "tls": object{}},
		"the host refuses network management 001": {"address": startHost(t, func(c *simulator.Config) { c.SignOnCode = "91" })},
	} {
		_, err := ask(t, mustOpen(t, usual(t, plain).with(change)), "good")
		wantFault(t, err, fault.Unavailable)
		if !strings.Contains(err.Error(), "no connection to the host: "+why) {
			t.Errorf("%v, want %s", err, why)
		}
	}
}

// A host may be spoken to without a sign-on.
func TestNoSignOn(t *testing.T) {
	var count counter
	n := mustOpen(t, usual(t, startHost(t, func(c *simulator.Config) { c.Observe = count.observe })).with(object{"sign_on": false}))
	if _, err := ask(t, n, "good"); err != nil {
		t.Fatal(err)
	}
	if signOns, _ := count.of(functionSignOn); signOns != 0 {
		t.Error("it signed on")
	}
}

// Inquiries that the host cannot know are refused before it is dialled.
func TestImpossibleInquiries(t *testing.T) {
	wantRunning(t, 0)
	n := mustOpen(t, usual(t, "127.0.0.1:1"))
	letters, err := pan.ParseAlnum("GC0123456789ABCD")
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*ping.Inquiry){
		"letters":             func(q *ping.Inquiry) { q.Number = letters },
		"no number":           func(q *ping.Inquiry) { q.Number = pan.Number{} },
		"no currency":         func(q *ping.Inquiry) { q.Currency = money.NoCurrency },
		"currency without id": func(q *ping.Inquiry) { q.Currency = currency(t, "BTC") },
		"PIN":                 func(q *ping.Inquiry) { q.PIN = pan.NewSecret("12 4") },
	} {
		q := about(t, "good")
		change(&q)
		_, err := n.Inquire(t.Context(), q)
		if fault.CodeOf(err) != fault.CardInvalid || (fault.From(err).Field == "pin") != (name == "PIN") {
			t.Errorf("%s: %v at %q", name, err, fault.From(err).Field)
		}
	}
	if got, _ := running(); got != 0 {
		t.Errorf("%d goroutines run", got)
	}
}

// A closed network says so, frees what waits for it, signs off and leaves nothing
// running; closing it again is fine.
func TestClose(t *testing.T) {
	heard := make(chan simulator.Event, 64)
	n := mustOpen(t, usual(t, startHost(t, func(c *simulator.Config) { c.Observe = func(e simulator.Event) { heard <- e } })))
	first(t, heard, n)
	<-heard
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			_, err := ask(t, n, "silent")
			wantFault(t, err, fault.Unavailable)
		})
	}
	for range 4 {
		<-heard
	}
	for range 2 {
		if err := n.Close(); err != nil {
			t.Fatal(err)
		}
	}
	group.Wait()
	if e := <-heard; e.Function != functionSignOff {
		t.Errorf("last = %+v, want a sign-off", e)
	}
	_, err := ask(t, n, "good")
	wantFault(t, err, fault.Unavailable)
	wantRunning(t, 0)

	unused := mustOpen(t, usual(t, "127.0.0.1:1"))
	if err := unused.Close(); err != nil {
		t.Fatal(err)
	}
	_, err = ask(t, unused, "good")
	wantFault(t, err, fault.Unavailable)
}

// A host that takes connections and drops them is dialled again after pauses, not
// once for each inquiry.
func TestNoStorm(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	taken := make(chan struct{}, 1024)
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_ = conn.Close()
			taken <- struct{}{}
		}
	}()
	n := mustOpen(t, usual(t, listener.Addr().String()).with(object{"reconnect_ms": 60000, "reconnect_max_ms": 60000}))
	var group sync.WaitGroup
	for range 500 {
		group.Go(func() {
			_, err := ask(t, n, "good")
			wantFault(t, err, fault.Unavailable)
		})
	}
	group.Wait()
	<-taken
	if len(taken) != 0 {
		t.Errorf("%d connections for one pause", len(taken)+1)
	}
}

// The exported form of an error or a network never holds a number, PIN or key.
func TestNothingPrints(t *testing.T) {
	n := mustOpen(t, usual(t, startHost(t, nil)).with(object{"timeout_ms": 200}))
	for _, name := range []string{"away", "corrupt", "silent", "alien"} {
		q := about(t, name)
		q.PIN = pan.NewSecret(testPIN)
		_, err := n.Inquire(t.Context(), q)
		if err == nil {
			t.Fatalf("%s: no error", name)
		}
		for _, verb := range []string{"%v", "%+v", "%#v", "%q"} {
			wantFault(t, fmt.Errorf("printed as %s", fmt.Sprintf(verb, err)), fault.Internal)
		}
	}
}

// TLS is checked against the named authority and host; a host without it is not
// spoken to.
func TestTLS(t *testing.T) {
	plain := startHost(t, nil)
	server := httptest.NewTLSServer(nil)
	t.Cleanup(server.Close)
	authority := filepath.Join(t.TempDir(), "ca.pem")
	content := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(authority, content, 0o600); err != nil {
		t.Fatal(err)
	}
	secured := terminate(t, plain, server.TLS.Certificates)
	cases := map[string]struct {
		address string
		tls     object
		ok      bool
	}{
		"right":             {secured, object{"ca_file": authority}, true},
		"right name":        {secured, object{"ca_file": authority, "server_name": "example.com"}, true},
		"another name":      {secured, object{"ca_file": authority, "server_name": "elsewhere.example"}, false},
		"another authority": {secured, object{}, false},
		"no TLS there":      {plain, object{"ca_file": authority}, false},
		"no TLS here":       {secured, nil, false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			config := usual(t, c.address).with(object{"timeout_ms": 2000, "connect_timeout_ms": 2000})
			if c.tls != nil {
				config["tls"] = c.tls
			}
			b, err := ask(t, mustOpen(t, config), "good")
			if !c.ok {
				wantFault(t, err, fault.Unavailable)
			} else if err != nil || b.Amount.Minor != 4750 {
				t.Errorf("%+v, %v", b, err)
			}
		})
	}
}

// terminate takes TLS connections for a host that has none.
func terminate(t *testing.T, to string, certificates []tls.Certificate) string {
	t.Helper()
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: certificates})
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	t.Cleanup(func() {
		_ = listener.Close()
		group.Wait()
	})
	group.Go(func() {
		for {
			from, err := listener.Accept()
			if err != nil {
				return
			}
			group.Go(func() {
				defer func() { _ = from.Close() }()
				host, err := net.Dial("tcp", to)
				if err != nil {
					return
				}
				go func() {
					_, _ = io.Copy(from, host)
					_ = from.Close()
				}()
				_, _ = io.Copy(host, from)
				_ = host.Close()
			})
		}
	})
	return listener.Addr().String()
}
