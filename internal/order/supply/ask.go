package supply

import (
	"cmp"
	"context"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/scripcards/scrip/internal/catalog"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/plain"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/platform/line"
)

const (
	// quoteTimeout bounds one question for a price: a buyer waits for it.
	quoteTimeout = 3 * time.Second
	// mostQuoted bounds how many suppliers are asked for a price at once.
	mostQuoted = 16
	// DefaultTimeout bounds a call about a submission where a supplier has no bound of its own.
	DefaultTimeout = 30 * time.Second
)

// Offer is a source that can deliver now, at a cost that may be sold at.
type Offer struct {
	Source
	Quote
	asked Wanted
}

// Ask is what a source is asked for, and at what price a code of it is sold.
type Ask struct {
	Price        catalog.Charged
	Quantity     int
	Denomination string // what each is to be worth, as in Wanted
	Range        bool   // it was chosen of an item that has a range of them
}

// wanted is an ask in the words of a source.
func (a *Ask) wanted(from *Route, to Supplier) Wanted {
	w := Wanted{Item: from.TheirItem(), Quantity: a.Quantity, Denomination: a.Denomination}
	if p, may := to.(Plain); may && p.Plain() && !a.Range {
		w.Denomination = ""
	}
	return w
}

// Best returns the sources outside of this installation that can deliver what is asked for,
// of those in sources, which are of one priority: the cheapest first. Who names no price is
// left out, and so is who asks for more than the codes are sold at, unless its route allows
// for it, and for a minute with whom the balance did not suffice for as many, or who delivered
// something else.
func (s *Service) Best(ctx context.Context, sources []Source, a Ask) []Offer {
	offers, found := make([]Offer, len(sources)), make([]bool, len(sources))
	var group errgroup.Group
	group.SetLimit(mostQuoted)
	for i := range sources {
		group.Go(func() error {
			offers[i].Source = sources[i]
			found[i] = s.quote(ctx, &offers[i], a)
			return nil
		})
	}
	_ = group.Wait() // none returns an error
	var all []Offer
	for i, o := range offers {
		switch {
		case !found[i]:
		case !o.Affords(a.Price, o.Cost):
			s.Logger.WarnContext(ctx, "supplier asks for more than the price", "realm", string(o.Realm), "item", string(o.Item),
				"supplier", o.Supplier, "cost", o.Cost.String(), "price", a.Price.String())
		default:
			all = append(all, o)
		}
	}
	// Nobody knows which of two currencies is less: the one that is offered first goes first.
	first := map[money.Currency]int{}
	for i, o := range slices.Backward(all) {
		first[o.Cost.Currency] = i
	}
	slices.SortStableFunc(all, func(a, b Offer) int {
		return cmp.Or(cmp.Compare(first[a.Cost.Currency], first[b.Cost.Currency]), cmp.Compare(a.Cost.Minor, b.Cost.Minor))
	})
	return all
}

// Affords reports whether a code may be sold at a price that costs so much. What is unknown
// or in another currency than the price counts as too much.
func (r *Route) Affords(price catalog.Charged, cost catalog.Cost) bool {
	return r.BelowCost || (cost.Currency == price.Currency && cost.Minor <= price.Minor)
}

// quote asks a source for its price, through its line, and remembers the answer. It reports
// whether that is an offer.
func (s *Service) quote(ctx context.Context, from *Offer, a Ask) bool {
	c := from.conn
	if c == nil || c.open == nil || !c.deal.Ready() || s.avoids(&from.Route, &a) { // whom nothing can be submitted to
		return false
	}
	supplier, err := c.supplier()
	if err != nil {
		return false
	}
	from.asked = a.wanted(&from.Route, supplier)
	from.Quote, err = line.Ask(ctx, c.quote, func(ctx context.Context) (Quote, error) { return supplier.Quote(ctx, from.asked) })
	if err != nil {
		if !line.NotAsked(err) && ctx.Err() == nil {
			if unsaid, due := c.quote.Due(err); due {
				s.Logger.WarnContext(ctx, "supplier gave no price", "realm", string(from.Realm), "supplier", from.Supplier, "error", err, "unsaid", unsaid)
			}
		}
		return false
	}
	switch of := from.of(a.Denomination); {
	case from.Available && s.unaffordable(from, &a):
		return false
	case from.Available:
		s.named.note(of, balance{from.Cost, s.now()})
		s.out.forget(of)
		s.out.forget(from.whole(&a))
	case from.Unfit:
		if s.out.note(of, 1, s.now()) {
			s.Logger.WarnContext(ctx, "supplier does not sell the item like that", "realm", string(from.Realm), "item", string(from.Item),
				"supplier", from.Supplier, "value", a.Denomination)
		}
	case a.Quantity == 1: // that there are not as many says nothing of one
		s.out.note(from.whole(&a), 1, s.now())
	}
	return from.Available
}

// unaffordable reports whether an offer is more than the balance at its supplier, which is
// known from what that refused of late: of whatever item.
func (s *Service) unaffordable(o *Offer, a *Ask) bool {
	since, is := s.credit.lacks(o.supplier(), o.Cost, a.Quantity, s.now())
	if is {
		s.unpaid.note(o.of(a.Denomination), a.Quantity, since)
	}
	return is
}

// avoids reports whether a source is not to be asked for as much at present.
func (s *Service) avoids(from *Route, a *Ask) bool {
	return s.has(&s.unpaid, from, a) || s.has(&s.avoided, from, a)
}

// has reports whether something is remembered of what a source would be asked for: for an
// item's one denomination it may have been asked without a word of that.
func (s *Service) has(of *shortages, from *Route, a *Ask) bool {
	now := s.now()
	return of.has(from.of(a.Denomination), a.Quantity, now) || !a.Range && of.has(from.of(""), a.Quantity, now)
}

// Submit submits what was written down, once. That the balance there did not suffice is
// remembered; what is said when a submission is asked about may have been so long ago.
func (s *Service) Submit(ctx context.Context, sub *Row) Answer {
	a := s.deal(ctx, sub, Supplier.Submit)
	if a.State == Refused && a.Unpaid {
		now := s.now()
		s.unpaid.note(sub.asked(), sub.Quantity, now)
		if a.Balance.Currency.IsValid() {
			s.credit.note(sub.asked().supplier, balance{a.Balance, now})
		}
	}
	return a
}

// Query asks what became of a submission.
func (s *Service) Query(ctx context.Context, sub *Row) Answer {
	return s.deal(ctx, sub, Supplier.Query)
}

// Cancel asks a supplier to give a submission up.
func (s *Service) Cancel(ctx context.Context, sub *Row) Answer {
	return s.deal(ctx, sub, Supplier.Cancel)
}

// deal makes a call about a submission. What went wrong is told to the log and the breaker,
// never taken for a refusal but where the supplier was not called at all.
func (s *Service) deal(ctx context.Context, sub *Row, call func(Supplier, context.Context, Submission) (Answer, error)) Answer {
	c := s.find(key{sub.Realm, sub.Supplier})
	if c == nil || c.open == nil {
		return Answer{State: notCalled, Reason: "the supplier is not set up here"}
	}
	supplier, err := c.supplier()
	if err != nil {
		return Answer{State: notCalled, Reason: "the supplier cannot be opened here"}
	}
	a, err := line.Ask(ctx, c.deal, func(ctx context.Context) (Answer, error) { return call(supplier, ctx, sub.Submission) })
	if line.NotAsked(err) {
		a = Answer{State: notCalled, Reason: fault.From(err).Message}
	}
	if err != nil && !line.NotAsked(err) {
		if unsaid, due := c.deal.Due(err); due {
			s.Logger.WarnContext(ctx, "supplier failed", "realm", string(sub.Realm), "supplier", sub.Supplier, "submission", string(sub.ID), "error", err, "unsaid", unsaid)
		}
		if a.Reason == "" {
			a.Reason = fault.From(err).Message
		}
	}
	return a.checked()
}

// Avoid has nobody ask a supplier for a minute for what it delivered something else for, or at
// another price than it named: each order of that would be a loss.
func (s *Service) Avoid(sub *Row) { s.avoided.note(sub.asked(), 1, s.now()) }

// asked names what was asked for.
func (r *Row) asked() asked { return asked{key{r.Realm, r.Supplier}, r.Item, r.Denomination} }

// notCalled is the state of a submission that was not called about. Where it was never
// called about before, that is a refusal.
const notCalled State = "not_called"

// NotCalled reports whether the call was never made.
func (a *Answer) NotCalled() bool { return a.State == notCalled }

// checked makes nothing known of an answer that cannot be.
func (a Answer) checked() Answer {
	known := a.State == Working || a.State == Refused || a.State == notCalled ||
		(a.State == Delivered && len(a.Codes) > 0 && len(a.Codes) <= mostCodes)
	if !known {
		a.State, a.Codes = Unknown, nil
	}
	if !plain.LineBytes(a.Reference, 0, MaxReference) {
		a.Reference = ""
	}
	if !plain.LineBytes(a.Reason, 0, maxReason) {
		a.Reason = "the supplier's reason cannot be shown"
	}
	return a
}

const (
	// mostCodes bounds what a supplier may deliver on one submission.
	mostCodes = 1000
	maxReason = 200
)

// Likely reports whether a source other than stock can probably deliver one code of what is
// asked for now, without asking it: it answered the last time, or may be asked again, since nobody asks whom
// nobody believes to have any; and it did not say of late that it has none, that it costs more
// than it may be sold at, or that the balance there does not suffice for one, and delivered
// nothing else. Of a range, whose least denomination is asked for, it may have others than that;
// they cost no less.
func (s *Service) Likely(from *Source, a Ask) bool {
	return from.Kind != Stock && (from.State != line.Down || from.conn.ready()) &&
		!s.out.has(from.whole(&a), 1, s.now()) && !s.has(&s.unpaid, &from.Route, &a) &&
		(a.Range || !s.has(&s.avoided, &from.Route, &a) && !s.tooDear(&from.Route, &a))
}

// tooDear reports whether a source named a cost of late at which what is asked for may not be sold.
func (s *Service) tooDear(from *Route, a *Ask) bool {
	cost, found := s.named.find(from.of(a.Denomination), s.now())
	return found && !from.Affords(a.Price, cost)
}

// whole names what a source that has none of what is asked for has none of: of an item with a
// range, that is all of it.
func (r *Route) whole(a *Ask) asked {
	if a.Range {
		return r.of("")
	}
	return r.of(a.Denomination)
}

// of names what is asked for over a route.
func (r *Route) of(denomination string) asked {
	return asked{r.supplier(), r.TheirItem(), denomination}
}

func (r *Route) supplier() key { return key{r.Realm, r.Supplier} }

// now is the machine's time.
func (s *Service) now() time.Time { return s.Clocks.Now(realm.Live) }
