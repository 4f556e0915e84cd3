package ping

import (
	"context"
	"strings"
	"time"

	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/fraud"
	"github.com/scripcards/scrip/internal/fraud/pseudonym"
	"github.com/scripcards/scrip/internal/giftcard"
	"github.com/scripcards/scrip/internal/issuing"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/ping/sandbox"
)

// scripID is the network of every card of this installation.
const scripID = pseudonym.Own

// Numbers of gift cards are "GC" and sixteen digits; their PIN is their key. Those of
// virtual cards are sixteen digits.
const (
	giftcardLength, giftcardPrefix = 18, "GC"
	virtualLength                  = 16
)

// Issuing looks virtual cards up by their numbers.
type Issuing interface {
	Probe(ctx context.Context, number pan.Number, asker ledger.BookID) (issuing.Probe, error)
}

// scrip answers for the cards of this installation.
type scrip struct {
	cards   *giftcard.Service
	virtual Issuing // nil: there are none
}

func (n scrip) rules() Rules {
	rules := Rules{Lengths: []int{giftcardLength}, Letters: true, form: n.has}
	if n.virtual != nil {
		rules.Lengths = []int{virtualLength, giftcardLength}
	}
	return rules
}

// has reports whether a number could be one of this installation's.
func (n scrip) has(number string) bool {
	rest, gift := strings.CutPrefix(number, giftcardPrefix)
	return gift && len(number) == giftcardLength && isDigits(rest) || n.isVirtual(number)
}

func (n scrip) isVirtual(number string) bool {
	return n.virtual != nil && len(number) == virtualLength && isDigits(number)
}

func isDigits(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return r < '0' || r > '9' })
}

// inquireVirtual shows a virtual card to the callers of its own book, unless anybody could
// be asking, and to nobody else. There is no PIN that would show it to others: three digits
// of a CVV must not be found out by asking. It does the same work whatever it finds.
func (n scrip) inquireVirtual(ctx context.Context, q Inquiry) (Balance, error) {
	asker := q.Book
	if q.Public {
		asker = ""
	}
	found, err := n.virtual.Probe(ctx, q.Number, asker)
	hidden := Balance{Status: Invalid}
	if err != nil || found.Card == nil {
		return hidden, err
	}
	shown, own := hidden.ofVirtual(found.Card), found.Card.Book == q.Book
	switch {
	case !found.Known || found.Card.Realm != q.Realm:
	case own && !q.Public:
		return shown, nil
	case !own:
		hidden.Owner, hidden.Card = found.Card.Book, string(found.Card.ID)
	}
	return hidden, nil
}

// ofVirtual completes an answer with what can be seen of a virtual card.
func (b Balance) ofVirtual(card *issuing.Card) Balance {
	b.Amount, b.Expiry, b.Status = card.Balance, card.ExpiresAt.Format("2006-01"), Inactive
	switch {
	case card.Status == issuing.Active:
		b.Status = Active
	case card.Reason == issuing.ReasonExpired:
		b.Status = Expired
	}
	return b
}

// Inquire implements Network. With the card's key it shows any card of the caller's
// realm, without one those of the caller's own book, unless anybody could be asking. It
// does the same work whatever it finds.
func (n scrip) Inquire(ctx context.Context, q Inquiry) (Balance, error) {
	if n.isVirtual(q.Number.Reveal()) {
		return n.inquireVirtual(ctx, q)
	}
	found, err := n.cards.Probe(ctx, q.Number, q.PIN)
	hidden := Balance{Status: Invalid}
	if err != nil || found.Card == nil {
		return hidden, err
	}
	shown, own := hidden.of(found.Card, n.cards.Clocks.Now(found.Realm)), found.Card.Book == q.Book
	if !found.Known || found.Realm != q.Realm {
		return hidden, nil
	}
	if !own {
		hidden.Owner, hidden.Card = found.Card.Book, string(found.Card.ID)
		shown.Owner, shown.Card = hidden.Owner, hidden.Card
	}
	switch {
	case q.PIN.IsZero() && own && !q.Public:
		return shown, nil
	case q.PIN.IsZero():
		return hidden, nil
	case !found.KeyRight:
		hidden.PIN = PINWrong
		return hidden, nil
	}
	shown.PIN = PINRight
	return shown, nil
}

// of completes an answer with what can be seen of a gift card at a time.
func (b Balance) of(card *giftcard.Card, now time.Time) Balance {
	b.Amount, b.Expiry = card.Balance, card.ExpiresAt.Format("2006-01")
	switch {
	case card.Status == giftcard.Cancelled:
		b.Status = Inactive
	case !now.Before(card.ExpiresAt): // one that is used up takes no reload any more
		b.Status = Expired
	case card.Blocked:
		b.Status = Inactive
	default:
		b.Status = Active // one that is used up can be reloaded
	}
	return b
}

// staged answers for a network of the test realm.
type staged struct{ network sandbox.Network }

// stagedModel is what the scores of the test realm's numbers say that they were made by.
const stagedModel = "sandbox"

// Inquire implements Network.
func (n staged) Inquire(ctx context.Context, q Inquiry) (Balance, error) {
	a, magic := n.network.Ask(q.Number.Reveal(), q.PIN.Reveal())
	switch a.Refusal {
	case sandbox.Unavailable:
		return Balance{}, fault.New(fault.Unavailable, "the network is unavailable")
	case sandbox.CardInvalid:
		return Balance{}, fault.New(fault.CardInvalid, "the network does not take this number").At("number")
	case sandbox.None:
	}
	if a.Wait > 0 {
		if err := clock.Wait(ctx, a.Wait); err != nil {
			return Balance{}, fault.Wrap(err, fault.Timeout, "the caller left before the network answered")
		}
	}
	b := Balance{Status: Status(a.Status), Amount: money.New(a.Minor, q.Currency), Expiry: a.Expiry}
	switch {
	case a.PINWrong:
		b.PIN = PINWrong
	case !q.PIN.IsZero():
		b.PIN = PINRight
	}
	if magic {
		signals := stagedSignals(a.Signals)
		b.Staged = &Staged{Latency: a.Latency, Score: fraud.Score{Hundredths: a.Score, Signals: signals, Model: stagedModel,
			Told: &fraud.Told{Hundredths: a.Score, Signals: signals}}} // it tells of nobody: all of it is shown
	}
	return b, nil
}

// stagedOf is whose checks the signals of the test realm's numbers are about.
var stagedOf = map[string]string{"velocity_anomaly": "credential", "proxy_ip_detected": "address", "sequential_pan_pattern": "neighbourhood"}

// stagedSignals are signals with made-up figures: each was seen once more than it may be.
func stagedSignals(names []string) []fraud.Signal {
	var signals []fraud.Signal
	for _, name := range names {
		signals = append(signals, fraud.Signal{Name: name, Of: stagedOf[name], Value: 2, Threshold: 1, Window: time.Hour, Points: 29})
	}
	return signals
}

// builtIn returns the networks that need no configuration.
func builtIn(own scrip) []*connection {
	var all []*connection
	for _, r := range realm.All() {
		all = append(all, &connection{realm: r, id: scripID, name: "Scrip", kind: ClosedLoop, rules: own.rules(), network: own})
	}
	for _, n := range sandbox.Networks() {
		rules := Rules{Lengths: []int{n.Length}, Letters: n.Letters, PINRequired: n.PINRequired}
		if n.Prefix != "" {
			rules.Prefixes = []string{n.Prefix}
		}
		for _, code := range n.Currencies {
			if currency, err := money.Parse(code); err == nil { // a test reads the table
				rules.Currencies = append(rules.Currencies, currency)
			}
		}
		all = append(all, &connection{realm: realm.Test, id: n.ID, name: n.Name, kind: Type(n.Type), rules: rules, network: staged{n}, sandbox: true})
	}
	return all
}
