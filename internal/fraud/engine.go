package fraud

import (
	"cmp"
	"net/netip"
	"sync"
	"unsafe"

	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/fraud/keep"
)

// Config is what an operator decides.
type Config struct {
	// Proxies are addresses that hide who uses them: proxies, VPNs, Tor exits. A prefix
	// that is invalid is left out.
	Proxies []netip.Prefix
	// Memory bounds what is remembered, in bytes; 0 means DefaultMemory. Less than
	// MinMemory counts as that.
	Memory int64
	// PaymentMemory bounds what is remembered of payments, likewise; 0 means
	// DefaultPaymentMemory. It is taken as cards pay.
	PaymentMemory int64
}

// The bounds of Config.Memory and Config.PaymentMemory.
const (
	DefaultMemory        = 256 << 20
	DefaultPaymentMemory = 64 << 20
	MinMemory            = 4 << 20
)

// Engine scores events. It is safe for concurrent use; given the same events one
// after the other it makes the same scores. What it remembers is lost when the
// process ends.
type Engine struct {
	proxies ranges
	// The realms share nothing: the clock of the test realm can be moved, and whoever
	// moves it must not age what is known of live attacks.
	live, test *world
}

// world is what is known in one realm.
type world struct {
	parties [parties]*keep.Table[party]
	cards   *keep.Table[cardState]
	blocks  *keep.Table[blockState]
	// paying is made with the first payment.
	paying func() *payments
}

// New returns an engine that has seen nothing.
func New(config Config) *Engine {
	memory := max(cmp.Or(config.Memory, DefaultMemory), MinMemory)
	paying := max(cmp.Or(config.PaymentMemory, DefaultPaymentMemory), MinMemory)
	return &Engine{
		proxies: rangesOf(config.Proxies),
		live:    newWorld(memory/8*7, paying/8*7),
		test:    newWorld(memory/8, paying/8),
	}
}

const (
	// life and cardLife are how long it takes for half of an entry's heat to go when
	// nothing happens.
	life     = 86_400 // a day
	cardLife = 30 * life
	// overhead is what a table needs for an entry beside it, in bytes.
	overhead = 80
)

// newWorld divides memory by what is worth remembering.
func newWorld(memory, paying int64) *world {
	one := memory / 100
	parties := func(share int64) *keep.Table[party] {
		return keep.New[party](share*one/int64(unsafe.Sizeof(party{})+overhead), life)
	}
	w := &world{
		paying: sync.OnceValue(func() *payments { return newPayments(paying) }),
		cards:  keep.New[cardState](50*one/int64(unsafe.Sizeof(cardState{})+overhead), cardLife),
		blocks: keep.New[blockState](10*one/int64(unsafe.Sizeof(blockState{})+overhead), life),
	}
	w.parties[caller], w.parties[address], w.parties[net] = parties(8), parties(20), parties(12)
	return w
}

func (e *Engine) world(r realm.Realm) *world {
	if r == realm.Test {
		return e.test
	}
	return e.live
}

// count counts a balance check and returns what was seen of its parties.
func (e *Engine) count(event *Event, f *facts) (public bool) {
	w, a := e.world(event.Realm), e.ask(event)
	near := w.near(&a)
	own := w.askCard(&a, &f[card])
	for who := range parties {
		w.askParty(who, &a, asking{own: own[who], near: near[who]}, &f[who])
	}
	w.readBlock(&a, &f[block])
	if a.listed {
		f[address][listed][always] = 1
	}
	return a.public
}

// Learn counts what came of an event that was scored.
func (e *Engine) Learn(event Event, outcome Outcome) {
	if event.Kind == Authorization {
		e.world(event.Realm).paying().learn(&event, outcome)
		return
	}
	w, a := e.world(event.Realm), e.ask(&event)
	near := w.near(&a)
	own, first := w.learnCard(&a, outcome)
	for who := range parties {
		w.learnParty(who, &a, outcome, asking{own: own[who], near: near[who]})
	}
	w.learnBlock(&a, first)
}

// Label takes in what somebody found out about an event. A second label of an event
// replaces the first. Labels of payments change no score.
func (e *Engine) Label(event Event, label Label) {
	if event.Kind == Authorization {
		return
	}
	w, a := e.world(event.Realm), e.ask(&event)
	a.now = secondOf(label.At)
	w.labelCard(&a, label.Fraud)
	for who := range parties {
		w.labelParty(who, &a, label.Fraud)
	}
}

// Append appends all that the engine remembers. Nobody uses the engine meanwhile.
func (e *Engine) Append(to []byte) []byte {
	for _, w := range [...]*world{e.live, e.test} {
		for _, t := range w.parties {
			to = t.Append(to)
		}
		to = w.blocks.Append(w.cards.Append(to))
		p := w.paying()
		to = p.pairs.Append(p.shops.Append(p.payers.Append(to)))
	}
	return to
}

// Load fills an engine that has seen nothing with what Append wrote, and returns what
// follows it.
func (e *Engine) Load(from []byte) ([]byte, error) {
	for _, w := range [...]*world{e.live, e.test} {
		p := w.paying()
		for _, load := range [...]func([]byte) ([]byte, error){w.parties[caller].Load, w.parties[address].Load, w.parties[net].Load,
			w.cards.Load, w.blocks.Load, p.payers.Load, p.shops.Load, p.pairs.Load} {
			var err error
			if from, err = load(from); err != nil {
				return nil, err
			}
		}
	}
	return from, nil
}

// Layout says how what is remembered is written: only the same layout can be loaded.
func Layout() string {
	return keep.Layout[party]() + keep.Layout[cardState]() + keep.Layout[blockState]() + keep.Layout[payer]() + keep.Layout[payee]() + keep.Layout[span]()
}
