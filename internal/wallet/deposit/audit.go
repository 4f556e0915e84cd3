package deposit

import (
	"context"
	"fmt"
	"maps"
	"math/big"

	"github.com/scripcards/scrip/internal/core/asset"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/wallet"
	"github.com/scripcards/scrip/internal/wallet/address"
)

// Holding is what an address has of an asset, or was ever paid.
type Holding struct {
	Address string
	Amount  asset.Amount
}

// Holder is a Chain that knows what addresses have.
type Holder interface {
	// Holdings returns what addresses have by the chain's own account, confirmed; what has
	// nothing may be left out.
	Holdings(ctx context.Context, addresses []string) ([]Holding, error)
}

// Kind says what does not agree.
type Kind string

// The kinds of differences.
const (
	Unseen Kind = "unseen" // the address has more than all deposits to it come to
	Gone   Kind = "gone"   // a deposit is credited, and the chain does not have it
	Booked Kind = "booked" // the books of a customer have another sum than the credited deposits
	Untold Kind = "untold" // payments in some blocks may have been missed, and the chain does not tell
)

// Difference is one thing that does not agree. Deposits and Found are in whole assets, and
// of Booked in dollars; of Untold Found says which blocks.
type Difference struct {
	Kind            Kind
	Book            ledger.BookID
	Address         string
	Asset           asset.Asset
	Deposits, Found string
}

// Sum is what an audit found of one asset.
type Sum struct {
	Asset asset.Asset
	// Deposits are how many there are on the chain, and Credited how many of them are.
	Deposits, Credited int
	// Paid is what the deposits come to, Held what the addresses have by the chain's account:
	// less, once something was taken away.
	Paid, Held *big.Int
	// Worth is what the credited ones are worth in the books.
	Worth money.Amount
}

// Audited is an audit of one chain.
type Audited struct {
	address.Place
	Addresses   int
	Sums        []Sum
	Differences []Difference
}

// auditPage is how many addresses are held against the chain at once: many, since chains go
// through everything that they have for each page.
const auditPage = 10_000

// Audit holds a chain's own account against the deposits, and these against the books. It
// changes nothing. Payments that arrive meanwhile may show as unseen: look again. It
// returns feature_disabled for a chain that keeps no account, and unavailable for one that is
// behind: what it does not have yet is not gone.
func (s *Service) Audit(ctx context.Context, p address.Place) (Audited, error) {
	chain := s.Chains[p]
	holder, ok := chain.(Holder)
	if chain == nil || !ok {
		return Audited{}, fault.New(fault.FeatureDisabled, "%s keeps no account of addresses in the %s realm", p.Chain, p.Realm).At("chain")
	}
	survey, err := s.Survey(ctx, p)
	switch {
	case err != nil:
		return Audited{}, err
	case survey.Problem != "":
		return Audited{}, fault.New(fault.Unavailable, "%s tells nothing: %s", p.Chain, survey.Problem)
	}
	a := &auditor{Service: s, chain: chain, holder: holder, out: Audited{Place: p}}
	for _, name := range p.Chain.On() {
		a.out.Sums = append(a.out.Sums, Sum{Asset: name, Paid: new(big.Int), Held: new(big.Int), Worth: zero()})
	}
	after := ""
	for {
		some, err := s.AddressBook.Owners(ctx, p, after, auditPage)
		if err != nil || len(some) == 0 {
			return a.out, err
		}
		if err := a.page(ctx, some); err != nil {
			return Audited{}, err
		}
		after = some[len(some)-1].Address
	}
}

type auditor struct {
	*Service
	chain  Chain
	holder Holder
	out    Audited
}

// page audits some addresses.
func (a *auditor) page(ctx context.Context, owners []address.Owner) error {
	addresses := make([]string, len(owners))
	for i, o := range owners {
		addresses[i] = o.Address
	}
	found, err := a.holder.Holdings(ctx, addresses)
	if err != nil {
		return err
	}
	held := map[string]map[asset.Asset]*big.Int{}
	for _, h := range found {
		if held[h.Address] == nil {
			held[h.Address] = map[asset.Asset]*big.Int{}
		}
		held[h.Address][h.Amount.Asset] = h.Amount.Big()
	}
	a.out.Addresses += len(owners)
	for _, o := range owners {
		if err := a.owner(ctx, o, held[o.Address]); err != nil {
			return err
		}
	}
	return nil
}

// owner audits one address.
func (a *auditor) owner(ctx context.Context, o address.Owner, held map[asset.Asset]*big.Int) error {
	now, err := a.agreed(ctx, o)
	if err != nil {
		return err
	}
	if err := a.present(ctx, o, now.deposits); err != nil {
		return err
	}
	if err := a.gaps(ctx, o); err != nil {
		return err
	}
	for i := range a.out.Sums {
		sum := &a.out.Sums[i]
		paid, worth := new(big.Int), zero()
		for _, d := range now.deposits {
			if d.Amount.Asset != sum.Asset || !d.IsThere() {
				continue
			}
			sum.Deposits++
			paid.Add(paid, d.Amount.Big())
			if d.Status == Confirmed && !now.undone[d.Credit] {
				sum.Credited++
				worth.Minor += d.Value.Minor
			}
		}
		sum.Paid.Add(sum.Paid, paid)
		sum.Worth.Minor += worth.Minor
		if has := held[sum.Asset]; has != nil {
			sum.Held.Add(sum.Held, has)
			if has.Cmp(paid) > 0 {
				a.differ(o, Difference{Kind: Unseen, Asset: sum.Asset, Deposits: Whole(paid, sum.Asset), Found: Whole(has, sum.Asset)})
			}
		}
		if in := now.booked[sum.Asset]; in.worth != worth.Minor {
			a.differ(o, Difference{Kind: Booked, Asset: sum.Asset, Deposits: worth.String(), Found: money.New(in.worth, currency).String()})
		}
	}
	return nil
}

// booking is what came in of an asset by the books, and after how many entries.
type booking struct{ worth, entries int64 }

// agreement is what there is about an address at one moment.
type agreement struct {
	deposits []Deposit
	undone   map[ledger.TransactionID]bool // credits that an operator took back in the books
	booked   map[asset.Asset]booking
}

// auditTries bounds how often an address is read again because something was credited, or
// taken back, meanwhile.
const auditTries = 8

// agreed returns the deposits to an address, and what the books have of its assets by then.
func (a *auditor) agreed(ctx context.Context, o address.Owner) (now agreement, err error) {
	before, err := a.booked(ctx, o.Book)
	for range auditTries {
		if err != nil {
			return now, err
		}
		if now.deposits, err = a.depositsTo(ctx, o); err != nil {
			return now, err
		}
		if now.undone, err = a.undone(ctx, o.Book, now.deposits); err != nil {
			return now, err
		}
		if now.booked, err = a.booked(ctx, o.Book); err == nil && maps.Equal(before, now.booked) {
			return now, nil
		}
		before = now.booked
	}
	if err == nil {
		err = fault.New(fault.Unavailable, "deposits to %s are credited all the time: ask again", o.Address)
	}
	return now, err
}

// booked returns what the books of a customer have of the chain's assets.
func (a *auditor) booked(ctx context.Context, book ledger.BookID) (map[asset.Asset]booking, error) {
	var ids []ledger.AccountID
	of := map[ledger.AccountID]asset.Asset{}
	for _, sum := range a.out.Sums {
		account := wallet.Custody(sum.Asset, currency).ID
		ids, of[account] = append(ids, account), sum.Asset
	}
	found, err := a.Books.FindAccounts(ctx, book, ids)
	all := map[asset.Asset]booking{}
	for _, account := range found {
		if account.Currency == currency {
			all[of[account.ID]] = booking{account.Posted().Minor, account.Entries}
		}
	}
	return all, err
}

// undone returns which credits of deposits an operator took back in the books.
func (a *auditor) undone(ctx context.Context, book ledger.BookID, all []Deposit) (map[ledger.TransactionID]bool, error) {
	var credits []ledger.TransactionID
	for i := range all {
		if all[i].Status == Confirmed {
			credits = append(credits, all[i].Credit)
		}
	}
	if len(credits) == 0 {
		return nil, nil
	}
	by, err := ledger.Reversals(ctx, a.DB, book, credits)
	undone := make(map[ledger.TransactionID]bool, len(by))
	for _, o := range by {
		undone[o.Reverses] = true
	}
	return undone, err
}

// gaps lists what nobody could tell of an address.
func (a *auditor) gaps(ctx context.Context, o address.Owner) error {
	gaps, err := storage.All(ctx, a.DB, scanGap, listGaps, string(o.Book), string(a.out.Chain), o.Address)
	for _, g := range gaps {
		a.differ(o, Difference{Kind: Untold, Asset: g.Asset, Deposits: "0", Found: fmt.Sprintf("blocks %d to %d", g.From, g.To)})
	}
	return err
}

// differ writes down what does not agree at an address.
func (a *auditor) differ(o address.Owner, d Difference) {
	d.Book, d.Address = o.Book, o.Address
	a.out.Differences = append(a.out.Differences, d)
}

// Whole writes units in whole assets.
func Whole(units *big.Int, a asset.Asset) string {
	m, err := asset.FromBig(units, a)
	if err != nil {
		return units.String() + " units"
	}
	return m.String()
}

// IsThere reports whether a deposit's payment is on its chain, as of the last look.
func (d *Deposit) IsThere() bool { return d.Status != Expired || d.Reason == BelowMinimum }

// depositsTo returns all deposits to an address, the oldest first.
func (a *auditor) depositsTo(ctx context.Context, o address.Owner) (all []Deposit, err error) {
	last := ""
	for {
		some, err := storage.All(ctx, a.DB, scanDeposit, listTo, string(o.Book), string(a.out.Chain), o.Address, last, maxRead)
		if err != nil || len(some) == 0 {
			return all, err
		}
		all, last = append(all, some...), string(some[len(some)-1].ID)
	}
}

// present asks the chain for the credited deposits, settled ones too.
func (a *auditor) present(ctx context.Context, o address.Owner, all []Deposit) error {
	var payments []Payment
	credited := map[Payment]*Deposit{}
	for i := range all {
		if all[i].Status == Confirmed {
			payments = append(payments, all[i].Payment)
			credited[all[i].Payment] = &all[i]
		}
	}
	for len(payments) > 0 {
		some := payments[:min(len(payments), maxWatched)]
		payments = payments[len(some):]
		seen, err := a.chain.Look(ctx, some)
		if err != nil {
			return err
		}
		for _, s := range seen {
			d := credited[s.Payment]
			if d == nil || !s.Gone && s.Confirmations > 0 {
				continue
			}
			now, err := a.Find(ctx, d.Book, d.ID)
			if err != nil {
				return err
			}
			if now.Status == Confirmed { // nobody has taken it back meanwhile
				a.differ(o, Difference{Kind: Gone, Asset: d.Amount.Asset, Deposits: d.Amount.String(), Found: "0"})
			}
		}
	}
	return nil
}
