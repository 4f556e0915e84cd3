package ping

import (
	"cmp"
	"context"
	"io"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/platform/line"
)

// connection is a network that can be asked. Only its use changes once it is listed.
type connection struct {
	realm   realm.Realm
	id      string
	name    string
	kind    Type
	rules   Rules
	network Network
	failed  error // why there is none to ask
	// line guards what is outside; nil for what is built in.
	line    *line.Line
	sandbox bool
	version int64 // of the row; 0 for what is built in
	use     use
}

func (c *connection) key() networkKey { return networkKey{c.realm, c.id} }

func (c *connection) state() State {
	switch {
	case c.line == nil:
		return Operational
	case c.network == nil: // its configuration could not be opened here
		return Down
	}
	return c.line.State()
}

// ask asks the network about a card of a caller's, who entered it.
func (c *connection) ask(ctx context.Context, a *attempt) (Balance, error) {
	q := a.inquiry
	if c.line == nil {
		return c.network.Inquire(ctx, q)
	}
	if c.network == nil {
		return Balance{}, errNotReady()
	}
	about := line.About{Subject: string(a.card[:]), Caller: a.caller.name}
	return line.AskAbout(ctx, c.line, about, func(ctx context.Context) (Balance, error) { return c.network.Inquire(ctx, q) })
}

func errNotReady() error { return fault.New(fault.Unavailable, "the network is not ready") }

// leave ends what registry.enter began.
func (c *connection) leave() {
	if c.line != nil {
		c.use.done(c.network)
	}
}

// answerOf is what is told of an error that is a network's word on a card.
func answerOf(err error) error {
	f := fault.From(err)
	if f.Code != fault.CardInvalid {
		return nil
	}
	if f.Field == "pin" {
		return fault.New(fault.CardInvalid, "the network takes no such PIN").At("pin")
	}
	return fault.New(fault.CardInvalid, "the network does not take this number").At("number")
}

// judge makes one answer of all ways of being invalid, and believes no network a figure
// that cannot be.
func (c *connection) judge(q *Inquiry, b Balance) (Balance, error) {
	if c.line != nil {
		b.Owner, b.Card, b.Staged = "", "", nil
	}
	if b.PIN == PINWrong {
		b.Status = Invalid
	}
	switch b.Status {
	case Active, Inactive, Expired:
		if b.Amount.Minor < 0 || !b.Amount.Currency.IsValid() {
			return Balance{}, fault.New(fault.Unavailable, "the network's answer has no balance")
		}
	case Invalid:
		b.Amount, b.Expiry, b.AsOf = money.New(0, q.Currency), "", time.Time{}
	default:
		return Balance{}, fault.New(fault.Unavailable, "the network's answer has no status")
	}
	if !isMonth(b.Expiry) {
		b.Expiry = ""
	}
	return b, nil
}

// isMonth reports whether text is a year and a month, such as 2030-11. It takes next to no
// time: of a locked card whose PIN is right the month is looked at, and of others none is.
func isMonth(text string) bool {
	if len(text) != len("2006-01") || text[4] != '-' {
		return false
	}
	for i, char := range []byte(text) {
		if i != 4 && (char < '0' || char > '9') {
			return false
		}
	}
	return text[5:] >= "01" && text[5:] <= "12"
}

type networkKey struct {
	realm realm.Realm
	id    string
}

// registry is the networks as this process knows them.
type registry struct {
	mu      sync.RWMutex
	known   map[networkKey]*connection
	removed map[networkKey]int64 // version of the removal, so that an older row does not bring it back
}

func (r *registry) setup(all []*connection) {
	r.known, r.removed = map[networkKey]*connection{}, map[networkKey]int64{}
	for _, c := range all {
		r.known[c.key()] = c
	}
}

func (r *registry) find(in realm.Realm, id string) (*connection, error) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if c := r.known[networkKey{in, id}]; c != nil {
		return c, nil
	}
	return nil, errNoNetwork()
}

// enter finds a network that stays open until it is left, whatever becomes of it meanwhile.
func (r *registry) enter(in realm.Realm, id string) (*connection, error) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	c := r.known[networkKey{in, id}]
	switch {
	case c == nil:
		return nil, errNoNetwork()
	case c.line != nil && !c.use.begin():
		return nil, errNotReady()
	}
	return c, nil
}

func errNoNetwork() error {
	return fault.New(fault.InvalidRequest, "there is no such network").At("network")
}

func (r *registry) list(in realm.Realm) []*connection {
	r.mu.RLock()
	defer r.mu.RUnlock()
	var all []*connection
	for c := range maps.Values(r.known) {
		if c.realm == in {
			all = append(all, c)
		}
	}
	slices.SortFunc(all, func(a, b *connection) int { return cmp.Compare(a.id, b.id) })
	return all
}

// current reports whether this process knows a version of a network, or a later one.
func (r *registry) current(key networkKey, version int64) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.removed[key] >= version || r.known[key] != nil && r.known[key].version >= version
}

// put takes over a network, or its removal when c has none to ask, unless a later version is
// known. What it takes the place of is closed once nobody asks it any more; whoever looks for
// a network meanwhile does not wait for that, which may take a while.
func (r *registry) put(c *connection, gone bool) { r.replace(c, gone).retire() }

// replace returns the one of the two that is of no use any more; nil if there is none.
func (r *registry) replace(c *connection, gone bool) *connection {
	r.mu.Lock()
	defer r.mu.Unlock()
	key, old := c.key(), r.known[c.key()]
	if r.removed[key] >= c.version || old != nil && old.version >= c.version {
		return c
	}
	if gone {
		r.removed[key] = c.version
		delete(r.known, key)
	} else {
		r.known[key] = c
	}
	return old
}

// retire closes a network once nobody asks it any more. Nobody can enter it.
func (c *connection) retire() {
	if c != nil {
		c.use.end(c.network)
	}
}

// close closes every network. They stay listed: who asks now is told that they are not ready.
func (r *registry) close() {
	r.mu.RLock()
	all := slices.Collect(maps.Values(r.known))
	r.mu.RUnlock()
	for _, c := range all {
		c.retire()
	}
}

// use counts who is asking a network, so that the last one out closes it.
type use struct {
	mu     sync.Mutex
	calls  int
	ended  bool
	closed bool
}

// begin reports whether the network may still be asked.
func (u *use) begin() bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.closed {
		return false
	}
	u.calls++
	return true
}

func (u *use) done(n Network) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.calls--
	u.closeIfUnused(n)
}

func (u *use) end(n Network) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.ended = true
	u.closeIfUnused(n)
}

// closeIfUnused closes what can be closed. Its error has nobody left to be told to.
func (u *use) closeIfUnused(n Network) {
	if !u.ended || u.closed || u.calls > 0 {
		return
	}
	u.closed = true
	if closer, ok := n.(io.Closer); ok {
		_ = closer.Close()
	}
}

// Networks returns the networks of a realm, by id.
func (s *Service) Networks(r realm.Realm) []NetworkInfo {
	var all []NetworkInfo
	for _, c := range s.networks.list(r) {
		all = append(all, NetworkInfo{ID: c.id, Name: c.name, Type: c.kind, Rules: c.rules, State: c.state()})
	}
	return all
}
