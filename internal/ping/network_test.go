package ping_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/fraud"
	"github.com/scripcards/scrip/internal/ping"
	"github.com/scripcards/scrip/internal/platform/line"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/testkit/check"
)

func mustSecret(text string) pan.Secret { return pan.NewSecret(text) }

// partner is a network outside that does as it is configured.
type partner struct {
	does   string
	gates  *gates
	closed *atomic.Int64
	// lingers: one that lingers does so now.
	lingers *atomic.Bool
}

// gates hold calls back by PIN until they are opened.
type gates struct {
	mu      sync.Mutex
	of      map[string]chan struct{}
	arrived chan string
}

func (g *gates) gate(pin string) chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.of[pin] == nil {
		g.of[pin] = make(chan struct{})
	}
	return g.of[pin]
}

func (n *partner) Inquire(ctx context.Context, q ping.Inquiry) (ping.Balance, error) {
	right := ping.Balance{Status: ping.Active, Amount: money.New(1234, q.Currency), Expiry: "2028-05", PIN: ping.PINRight}
	switch n.does {
	case "down":
		return ping.Balance{}, line.Outage(fmt.Errorf("dial %s: refused", q.Number.Reveal()))
	case "explains":
		return ping.Balance{}, line.Because("the HTTP status is %d", 404)
	case "hang":
		n.gates.arrived <- q.PIN.Reveal()
		<-ctx.Done()
		return ping.Balance{}, ctx.Err()
	case "gate":
		gate := n.gates.gate(q.PIN.Reveal())
		n.gates.arrived <- q.PIN.Reveal()
		<-gate
		if q.PIN.Reveal() != "1234" {
			return ping.Balance{Status: ping.Active, Amount: right.Amount, PIN: ping.PINWrong}, nil
		}
	case "negative":
		right.Amount.Minor = -1
	case "no status":
		right.Status = "splendid"
	case "no currency":
		right.Amount.Currency = money.NoCurrency
	case "odd expiry":
		right.Expiry = "next year"
	case "boasts":
		right.Owner, right.Card, right.Staged = "bk_shop", "gc_1", &ping.Staged{Latency: time.Hour}
	case "picky":
		if strings.HasPrefix(q.Number.Reveal(), "13") {
			return ping.Balance{}, errors.New("no JSON")
		}
	case "digits":
		if !q.PIN.IsZero() && strings.Trim(q.PIN.Reveal(), "0123456789") != "" {
			return ping.Balance{}, fault.New(fault.CardInvalid, "no PIN such as %s", q.PIN.Reveal()).At("pin")
		}
	case "remembers":
		right.AsOf = epoch
	case "panic":
		panic(q.Number.Reveal())
	case "refuses":
		return ping.Balance{}, fault.New(fault.CardInvalid, "no %s of ours", q.Number.Reveal())
	}
	return right, nil
}

func (n *partner) Close() error {
	if n.does == "linger" && n.lingers.Load() {
		n.gates.arrived <- "closing"
		<-n.gates.gate("close")
	}
	n.closed.Add(1)
	return nil
}

// partners is where the fake networks of a process meet.
type partners struct {
	gates  gates
	opened atomic.Int64
	closed atomic.Int64
	// lingers: networks that linger do so when they are closed.
	lingers atomic.Bool
}

func newPartners() *partners {
	return &partners{gates: gates{of: map[string]chan struct{}{}, arrived: make(chan string, 1000)}}
}

func (p *partners) open(config []byte) (ping.Network, error) {
	var object map[string]string
	if err := json.Unmarshal(config, &object); err != nil {
		return nil, err
	}
	if object["does"] == "not open" {
		return nil, errors.New("the file of a secret is missing")
	}
	p.opened.Add(1)
	return &partner{does: object["does"], gates: &p.gates, closed: &p.closed, lingers: &p.lingers}, nil
}

func (p *partners) option(d *ping.Deps) { d.Adapters = map[string]ping.Adapter{"fake": p.open} }

func adapters(t testing.TB) options {
	t.Helper()
	return newPartners().option
}

func network(name, does string) ping.Setup {
	return ping.Setup{Configured: ping.Configured{Realm: realm.Live, ID: name, Name: "Partner", Type: ping.ClosedLoop, Kind: "fake", Active: true, Attempts: 1},
		Config: []byte(`{"does":"` + does + `","secret":"s3cret-of-partner"}`), Actor: "operator/1"}
}

// replace is the change that makes a network what is given.
func replace(s ping.Setup) ping.NetworkChange {
	return ping.NetworkChange{Realm: s.Realm, ID: s.ID, Config: s.Config, Actor: s.Actor, Edit: func(to *ping.Configured) error {
		*to = s.Configured
		return nil
	}}
}

func (p *process) configure(name, does string) {
	p.t.Helper()
	_, err := p.AddNetwork(context.Background(), network(name, does))
	check.OK(p.t, err)
}

// How old a balance is depends on nothing but the machine's clock, wherever that of the test
// realm stands.
func TestAgeInTheTestRealm(t *testing.T) {
	p := setup(t, openSQLite(t), adapters(t))
	check.OK(t, p.clocks.SetOffset(30*24*time.Hour))
	acme := network("acme", "remembers")
	acme.Realm = realm.Test
	_, err := p.AddNetwork(t.Context(), acme)
	check.OK(t, err)
	p.clock.Advance(time.Minute)
	r, err := p.Ping(t.Context(), asking(developer, "acme", "12345678", ""))
	check.OK(t, err)
	check.Equal(t, "age", r.At.Sub(r.AsOf), time.Minute)
}

// A configured network is offered by every process once it has looked, as it was last
// changed, until it is removed; what it replaced is closed.
func TestConfiguredNetworks(t *testing.T) {
	all := newPartners()
	twice(t, func(t *testing.T, both [2]*process) {
		ctx, closed := t.Context(), all.closed.Load()
		ask := func(p *process) string {
			r, err := p.Ping(ctx, asking(desk, "acme", "12345678", ""))
			if err != nil {
				return string(fault.CodeOf(err))
			}
			return r.Balance.String()
		}
		check.Equal(t, "before", ask(both[0]), "invalid_request")
		made, err := both[0].AddNetwork(ctx, network("acme", "answer"))
		check.OK(t, err)
		check.Equal(t, "state", made.State, ping.Operational)
		check.Equal(t, "here", ask(both[0]), "12.34")
		check.Equal(t, "there, before it looked", ask(both[1]), "invalid_request")
		check.OK(t, both[1].Refresh(ctx))
		check.Equal(t, "there", ask(both[1]), "12.34")

		both[0].clock.Advance(time.Second)
		change := network("acme", "")
		change.Config, change.Name, change.Rules = nil, "Acme", ping.Rules{Lengths: []int{10}, Prefixes: []string{"12"}, Currencies: []money.Currency{money.USD}}
		change.Timeout, change.Concurrency = 1500*time.Millisecond, 8
		changed, err := both[1].ChangeNetwork(ctx, replace(change))
		check.OK(t, err)
		check.Equal(t, "other rules there", ask(both[1]), "card_invalid")
		check.OK(t, both[0].Refresh(ctx))
		check.Equal(t, "other rules here", ask(both[0]), "card_invalid")
		found, err := both[0].FindNetwork(ctx, realm.Live, "acme")
		check.OK(t, err)
		check.Equal(t, "found", found, changed, alikeRules)
		check.Equal(t, "figures", []any{found.Name, found.Rules, found.Timeout, found.Concurrency, found.CreatedAt, found.ChangedAt},
			[]any{"Acme", change.Rules, change.Timeout, 8, epoch, epoch.Add(time.Second)}, alikeRules)
		list, err := both[0].ListNetworks(ctx, realm.Live)
		check.OK(t, err)
		check.Equal(t, "list", list, []ping.Configured{found}, alikeRules)

		change.Active = false
		_, err = both[0].ChangeNetwork(ctx, replace(change))
		check.OK(t, err)
		check.Equal(t, "disabled", ask(both[0]), "invalid_request")
		check.OK(t, both[0].RemoveNetwork(ctx, ping.NetworkRemoval{Realm: realm.Live, ID: "acme", Actor: "operator/1"}))
		check.Code(t, "removed twice", both[1].RemoveNetwork(ctx, ping.NetworkRemoval{Realm: realm.Live, ID: "acme", Actor: "operator/1"}), fault.NotFound)
		check.OK(t, both[1].Refresh(ctx))
		check.Equal(t, "removed", ask(both[1]), "invalid_request")
		_, err = both[1].FindNetwork(ctx, realm.Live, "acme")
		check.Code(t, "found no more", err, fault.NotFound)
		_, err = both[1].AddNetwork(ctx, network("acme", "answer"))
		check.OK(t, err)
		check.Equal(t, "added again", ask(both[1]), "12.34")
		// Looked at: twice; offered: two versions by one process and two by the other.
		check.Equal(t, "closed", all.closed.Load()-closed, int64(6))
	}, all.option)
}

// What cannot be a network is refused with the field that is wrong.
func TestConfigureRefuses(t *testing.T) {
	eachEngine(t, func(t *testing.T, db *storage.DB) {
		p := setup(t, db, adapters(t))
		p.configure("acme", "answer")
		for about, c := range map[string]struct {
			change func(*ping.Setup)
			code   fault.Code
			field  string
		}{
			"taken":                        {func(s *ping.Setup) { s.ID = "acme" }, fault.AlreadyExists, "id"},
			"built in":                     {func(s *ping.Setup) { s.ID = "scrip" }, fault.InvalidRequest, "id"},
			"a sandbox's":                  {func(s *ping.Setup) { s.ID, s.Realm = "visa_gift", realm.Test }, fault.InvalidRequest, "id"},
			"no id":                        {func(s *ping.Setup) { s.ID = "A b" }, fault.InvalidRequest, "id"},
			"no name":                      {func(s *ping.Setup) { s.Name = "" }, fault.InvalidRequest, "name"},
			"no type":                      {func(s *ping.Setup) { s.Type = "" }, fault.InvalidRequest, "type"},
			"no kind":                      {func(s *ping.Setup) { s.Kind = "telex" }, fault.InvalidRequest, "kind"},
			"no realm":                     {func(s *ping.Setup) { s.Realm = "" }, fault.InvalidRequest, "realm"},
			"no configuration":             {func(s *ping.Setup) { s.Config = nil }, fault.InvalidRequest, "config"},
			"an array":                     {func(s *ping.Setup) { s.Config = []byte("[]") }, fault.InvalidRequest, "config"},
			"null":                         {func(s *ping.Setup) { s.Config = []byte("null") }, fault.InvalidRequest, "config"},
			"does not open":                {func(s *ping.Setup) { s.Config = []byte(`{"does":"not open"}`) }, fault.InvalidRequest, "config"},
			"a long timeout":               {func(s *ping.Setup) { s.Timeout = time.Hour }, fault.InvalidRequest, "timeout"},
			"many attempts":                {func(s *ping.Setup) { s.Attempts = 6 }, fault.InvalidRequest, "attempts"},
			"many at once":                 {func(s *ping.Setup) { s.Concurrency = 5000 }, fault.InvalidRequest, "concurrency"},
			"a long number":                {func(s *ping.Setup) { s.Rules.Lengths = []int{33} }, fault.InvalidRequest, "rules"},
			"an odd prefix":                {func(s *ping.Setup) { s.Rules.Prefixes = []string{"4 5"} }, fault.InvalidRequest, "rules"},
			"a prefix without its letters": {func(s *ping.Setup) { s.Rules.Prefixes = []string{"AB", "NG"} }, fault.InvalidRequest, "rules"},
			"more digits than there are":   {func(s *ping.Setup) { s.Rules.Lengths = []int{20, 32} }, fault.InvalidRequest, "rules"},
			"an empty currency":            {func(s *ping.Setup) { s.Rules.Currencies = []money.Currency{0} }, fault.UnknownCurrency, "rules"},
		} {
			s := network("other", "answer")
			c.change(&s)
			_, err := p.AddNetwork(t.Context(), s)
			check.Code(t, about, err, c.code)
			check.Equal(t, about, fault.From(err).Field, c.field)
		}
		_, err := p.ChangeNetwork(t.Context(), replace(network("other", "answer")))
		check.Code(t, "change of what is not there", err, fault.NotFound)
	})
}

// A configuration, with the secrets in it, is sealed where it is stored.
func TestConfigurationIsSealed(t *testing.T) {
	eachEngine(t, func(t *testing.T, db *storage.DB) {
		p := setup(t, db, adapters(t))
		p.configure("acme", "answer")
		tables, err := storage.Tables(t.Context(), db)
		check.OK(t, err)
		for _, table := range tables {
			check.OK(t, table.Each(t.Context(), db, func(row []any) error {
				if text := fmt.Sprintf("%s", row); strings.Contains(text, "s3cret") {
					t.Errorf("%s holds the secret", table.Name)
				}
				return nil
			}))
		}
	})
}

// A network that cannot be opened in a process is down there, and nothing else is. A server
// says why; a command, which asks none, does not.
func TestNetworkThatDoesNotOpen(t *testing.T) {
	eachEngine(t, func(t *testing.T, db *storage.DB) {
		p := setup(t, db, adapters(t))
		p.configure("acme", "answer")
		other := join(t, db, p.clock, p.clocks) // without adapters
		_, err := other.Ping(t.Context(), asking(desk, "acme", "12345678", ""))
		check.Code(t, "acme", err, fault.Unavailable)
		states := map[string]ping.State{}
		for _, n := range other.Networks(realm.Live) {
			states[n.ID] = n.State
		}
		check.Equal(t, "states", states, map[string]ping.State{"acme": ping.Down, "scrip": ping.Operational})
		if other.log.Len() != 0 {
			t.Errorf("a command logs %s", other.log)
		}
		ended, end := context.WithCancel(t.Context())
		end()
		other.Run(ended)
		if log := other.log.String(); strings.Count(log, "level=ERROR") != 1 || !strings.Contains(log, "acme") {
			t.Errorf("a server logs %q", log)
		}
	})
}

// What a network claims that cannot be is not believed, and what it says of a number in
// its errors is not repeated.
func TestNetworkLies(t *testing.T) {
	p := setup(t, openSQLite(t), adapters(t))
	for does, code := range map[string]fault.Code{"negative": fault.Unavailable, "no status": fault.Unavailable, "no currency": fault.Unavailable,
		"panic": fault.Unavailable, "down": fault.Unavailable, "refuses": fault.CardInvalid, "odd expiry": "", "boasts": ""} {
		name := strings.ReplaceAll(does, " ", "_")
		p.configure(name, does)
		r, err := p.Ping(t.Context(), asking(desk, name, "12345678", "1234"))
		check.Code(t, does, err, code)
		if err != nil {
			noSecret(t, does, fmt.Sprintf("%v %+v", err, errors.Unwrap(err)), []string{"12345678"})
			continue
		}
		check.Equal(t, does, string(r.Status)+" "+r.Balance.String(), "active 12.34")
		if r.Latency >= time.Hour || does == "odd expiry" && r.Expiry != "" {
			t.Errorf("%s is believed: %+v", does, r)
		}
	}
	told, err := p.Probes.Tell(t.Context())
	check.OK(t, err)
	check.Equal(t, "owners told on a partner's word", told, 0)
}

// Operators find in the log which network failed and why, once a minute, and callers are told
// less.
func TestFailuresAreLogged(t *testing.T) {
	p := setup(t, openSQLite(t), adapters(t))
	for does, why := range map[string]string{"explains": "the HTTP status is 404", "negative": "has no balance", "down": "as it should"} {
		p.configure(does, does)
		err := p.ask(desk, does, "12345678")
		check.Code(t, does, err, fault.Unavailable)
		if strings.Contains(fault.From(err).Message, "404") {
			t.Errorf("the caller is told: %v", err)
		}
		log := p.log.String()
		p.log.Reset()
		if strings.Count(log, "level=WARN") != 1 || !strings.Contains(log, "network="+does+" ") || !strings.Contains(log, why) {
			t.Errorf("%s: %s", does, log)
		}
		noSecret(t, "the log", log, []string{"12345678"})
		check.Code(t, does, p.ask(desk, does, "12345678"), fault.Unavailable)
		check.Equal(t, does+" again", p.log.String(), "")
		p.clock.Advance(time.Minute)
		check.Code(t, does, p.ask(desk, does, "12345678"), fault.Unavailable)
		if log := p.log.String(); !strings.Contains(log, why) || !strings.Contains(log, "unsaid=1\n") {
			t.Errorf("%s, a minute later: %s", does, log)
		}
		p.log.Reset()
	}
	check.Code(t, "refused", p.ask(desk, "explains", "1234"), fault.CardInvalid)
	check.Equal(t, "what is the caller's", p.log.String(), "")
}

// A caller is told which of the two a network cannot take by its form, the number or the PIN.
func TestFormIsBlamed(t *testing.T) {
	p := setup(t, openSQLite(t), adapters(t))
	for does, field := range map[string]string{"refuses": "number", "digits": "pin"} {
		p.configure(does, does)
		_, err := p.Ping(t.Context(), asking(desk, does, "12345678", "12ab"))
		check.Code(t, does, err, fault.CardInvalid)
		check.Equal(t, does, fault.From(err).Field, field)
		noSecret(t, does, err.Error(), []string{"12345678", "12ab"})
	}
}

// Who knows a number that a partner answers with nonsense does not close the network by
// asking for it, and who makes up many of them closes it to nobody else: not of a book, nor
// of the visitors of a portal. One that cannot be reached is not asked for a while, though
// only one number is asked for.
func TestOneCallerClosesNoNetwork(t *testing.T) {
	p := setup(t, openSQLite(t), adapters(t))
	for _, does := range []string{"picky", "down"} {
		p.configure(does, does)
	}
	ask := func(network, number string) error { return p.ask(desk, network, number) }
	state := func(id string) (state ping.State) {
		for _, n := range p.Networks(realm.Live) {
			if n.ID == id {
				state = n.State
			}
		}
		return state
	}
	for range 10 {
		check.Code(t, "nonsense", ask("picky", "13000000"), fault.Unavailable)
		check.Code(t, "unreached", ask("down", "12000000"), fault.Unavailable)
	}
	check.OK(t, ask("picky", "12000000"))
	check.Equal(t, "one that cannot be reached", state("down"), ping.Down)
	visitor, other := desk, desk
	visitor.Credential, other.Credential, other.Address = "portal_1", "portal_1", netip.MustParseAddr("192.0.2.9")
	for i, caller := range []ping.Caller{desk, visitor} {
		for j := range 5 {
			check.Code(t, "nonsense", p.ask(caller, "picky", fmt.Sprintf("130001%d%d", i, j)), fault.Unavailable)
		}
		check.Code(t, "who made up five numbers", p.ask(caller, "picky", "12000000"), fault.Unavailable)
	}
	for _, caller := range []ping.Caller{shop, other} {
		check.OK(t, p.ask(caller, "picky", "12000000"))
	}
	check.Equal(t, "one that answers others", state("picky"), ping.Degraded)
	p.clock.Advance(5 * time.Second)
	check.OK(t, ask("picky", "12000000"))
}

// A network that hangs holds its own callers, up to its bound, and no others: further ones
// are refused at once, and cards of other networks are answered.
func TestNetworkHangs(t *testing.T) {
	all := newPartners()
	p := setup(t, openSQLite(t), all.option)
	hanging := network("hanging", "hang")
	hanging.Concurrency, hanging.Timeout = 3, time.Minute
	_, err := p.AddNetwork(t.Context(), hanging)
	check.OK(t, err)
	ctx, leave := context.WithCancel(t.Context())
	var waiting sync.WaitGroup
	for i := range 3 {
		waiting.Go(func() {
			_, err := p.Ping(ctx, asking(desk, "hanging", "12345678", fmt.Sprint(i)))
			check.Code(t, "a caller who left", err, fault.Timeout)
		})
	}
	for range 3 {
		<-all.gates.arrived
	}
	card := p.issue(desk, 100)
	check.Equal(t, "another network", p.look(desk, card.number, "").Status, ping.Active)
	for _, n := range p.Networks(realm.Live) {
		if n.ID == "hanging" {
			check.Equal(t, "state", n.State, ping.Degraded)
		}
	}
	leave()
	waiting.Wait()
}

// A right PIN that a network confirmed before the card was locked is not told when it
// was locked before the check is recorded: a crowd of guesses gets no more than a queue.
func TestLockedWhileAsked(t *testing.T) {
	all := newPartners()
	eachEngine(t, func(t *testing.T, db *storage.DB) {
		p := setup(t, db, all.option)
		p.configure("gated", "gate")
		all.gates.mu.Lock()
		all.gates.of = map[string]chan struct{}{}
		all.gates.mu.Unlock()
		right := make(chan ping.Result)
		go func() {
			r, err := p.Ping(context.Background(), asking(stranger(0), "gated", "12345678", "1234"))
			if err != nil {
				t.Error(err)
			}
			right <- r
		}()
		<-all.gates.arrived
		for i := range 5 {
			pin := fmt.Sprint("000", i)
			close(all.gates.gate(pin))
			r, err := p.Ping(t.Context(), asking(stranger(i+1), "gated", "12345678", pin))
			check.OK(t, err)
			check.Equal(t, "wrong", r.Status, ping.Invalid)
			<-all.gates.arrived
		}
		close(all.gates.gate("1234"))
		r := <-right
		check.Equal(t, "right, too late", string(r.Status)+" "+r.Balance.String()+r.Expiry, "invalid 0.00")
		record, err := p.Find(t.Context(), desk.Book, r.ID)
		check.OK(t, err)
		check.Equal(t, "kept", record.Status, ping.Invalid)
	})
}

// busy is an engine that does something while a check is scored.
type busy struct{ do func() }

func (b *busy) Score(fraud.Event) fraud.Score {
	b.do()
	return fraud.Score{}
}

func (*busy) Learn(fraud.Event, fraud.Outcome) {}

func (*busy) Label(fraud.Event, fraud.Label) {}

// A check that was accepted is answered by the network as it was then, also where it is
// changed or removed before it is asked; and what is replaced is closed after that.
func TestChangedWhileChecked(t *testing.T) {
	eachEngine(t, func(t *testing.T, db *storage.DB) {
		all, engine := newPartners(), &busy{}
		p := setup(t, db, all.option, func(d *ping.Deps) { d.Fraud = engine })
		for name, change := range map[string]func() error{
			"changed": func() error {
				_, err := p.ChangeNetwork(t.Context(), replace(network("acme", "down")))
				return err
			},
			"removed": func() error {
				return p.RemoveNetwork(t.Context(), ping.NetworkRemoval{Realm: realm.Live, ID: "acme", Actor: "operator/1"})
			},
		} {
			p.configure("acme", "answer")
			before := all.closed.Load()
			engine.do = func() {
				check.OK(t, change())
				engine.do = func() {}
				if looked := int64(1); name == "changed" && all.closed.Load() != before+looked || name == "removed" && all.closed.Load() != before {
					t.Errorf("%s: closed before the check was over", name)
				}
			}
			r, err := p.Ping(t.Context(), asking(desk, "acme", "12345678", ""))
			check.OK(t, err)
			check.Equal(t, name, r.Balance.String(), "12.34")
			if p.ask(desk, "acme", "12345678") == nil {
				t.Errorf("%s: the next is answered by what it was", name)
			}
			if name == "changed" {
				check.OK(t, p.RemoveNetwork(t.Context(), ping.NetworkRemoval{Realm: realm.Live, ID: "acme", Actor: "operator/1"}))
			}
			check.Equal(t, name+": still open", all.opened.Load()-all.closed.Load(), int64(0))
		}
	})
}

// While a network that is replaced takes its time to close, nobody waits for it: cards of
// every network are checked.
func TestClosingHoldsNobody(t *testing.T) {
	all := newPartners()
	p := setup(t, openSQLite(t), all.option)
	p.configure("other", "answer")
	p.configure("acme", "linger")
	all.lingers.Store(true) // not what was opened to be looked at
	changed := make(chan error, 1)
	go func() {
		_, err := p.ChangeNetwork(context.Background(), replace(network("acme", "answer")))
		changed <- err
	}()
	<-all.gates.arrived
	answered := make(chan error, 2)
	go func() {
		answered <- p.ask(desk, "other", "12345678")
		answered <- p.ask(desk, "acme", "12345678")
	}()
	for range cap(answered) {
		select {
		case err := <-answered:
			check.OK(t, err)
		case <-time.After(20 * time.Second):
			t.Error("a check waits until a network is closed")
		}
	}
	close(all.gates.gate("close"))
	check.OK(t, <-changed)
}
