package payout

import (
	"context"
	"errors"
	"time"

	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/cashout/payout/destination"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/id"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/job"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// Request asks for a payout.
type Request struct {
	ID    ID // empty: a fresh one
	Book  ledger.BookID
	Realm realm.Realm
	To    Destination
	// Amount is what the destination gets, in BTC.
	Amount money.Amount
	// From is the account that owes it. It pays Amount and nothing else.
	From ledger.AccountID
	// Reference is the caller's own name for it.
	Reference string
}

// Custody returns the account of the bitcoin that left, fees of the network included.
func Custody() ledger.NewAccount {
	return ledger.NewAccount{ID: custody, Currency: money.BTC, Side: ledger.Credit, Unbounded: true}
}

// NetworkFees returns the account of what it cost to send it.
func NetworkFees() ledger.NewAccount {
	return ledger.NewAccount{ID: networkFees, Currency: money.BTC, Side: ledger.Debit, Unbounded: true}
}

// The accounts and the counter of the books.
const (
	custody     = "payout.custody/" + bitcoin
	networkFees = "payout.fees/" + bitcoin
	bitcoin     = "BTC"
	daily       = "payout.day/"
)

// dayOf names the counter of what the book pays out on the day of an instant.
func dayOf(at time.Time) string { return daily + at.UTC().Format(time.DateOnly) }

const maxReference = 200

// Plan makes a payout a part of an operation of the same book: a hold, which ends with the
// payout, its row, and the job that pays it. Nothing of it exists unless the operation is
// done; Wake has it begin at once then. From must be open by the end of the operation, and
// have the amount, which a posting of the same operation may bring. It returns
// feature_disabled where there is no way to the destination, invalid_amount,
// invalid_request, or already_exists for an invoice that another payout has. The operation
// itself is refused with guard_exceeded when the book's limit of the day would be passed.
func (s *Service) Plan(ctx context.Context, r Request, op *ledger.Operation) (Payout, error) {
	now := s.Clocks.Now(r.Realm)
	if err := s.check(ctx, r, op, now); err != nil {
		return Payout{}, err
	}
	p := Payout{Book: r.Book, ID: r.ID, Realm: r.Realm, To: r.To, Amount: r.Amount, Fee: zero(), From: r.From, Hold: ledger.HoldID(id.New("hold")),
		Reference: r.Reference, State: Held, CreatedAt: now, ChangedAt: now, version: 1}
	if p.ID == "" {
		p.ID = NewID()
	}
	if in, err := r.To.Payable(now, 0); err == nil {
		p.Hash = hexOf(in.Hash)
	}
	op.Open = append(op.Open, Custody())
	op.Holds = append(op.Holds, ledger.HoldChange{Action: ledger.Place, ID: p.Hold, Amount: p.Amount, Debit: p.From, Credit: custody})
	op.Guards = append(op.Guards, ledger.Guard{Counter: dayOf(now), Add: p.Amount.Minor, Limit: s.Policy.Daily.Minor})
	rows, before := s.planned(p), op.Effects
	op.Effects = func(o ledger.Outcome) ([]storage.Effect, error) {
		if before == nil {
			return rows, nil
		}
		all, err := before(o)
		return append(all, rows...), err
	}
	return p, nil
}

// Wake has payouts that were planned begin at once.
func (s *Service) Wake() { s.Queue.Wake() }

func (s *Service) check(ctx context.Context, r Request, op *ledger.Operation, now time.Time) error {
	policy := s.Policy
	again, err := s.Parse(r.Realm, r.To.Text)
	switch {
	case err != nil:
		return err
	case again != r.To:
		return fault.New(fault.InvalidRequest, "the destination is not one of the %s network", again.Network)
	case !s.Nodes[r.Realm].has(r.To.Kind):
		return fault.New(fault.FeatureDisabled, "there are no payouts of that kind in the %s realm", r.Realm)
	case op.Book != r.Book || r.From == "" || len(r.Reference) > maxReference:
		return fault.New(fault.InvalidRequest, "a payout is of the book of its operation, from an account, with a reference of at most %d bytes", maxReference)
	case r.Amount.Currency != money.BTC:
		return fault.New(fault.CurrencyMismatch, "payouts are in BTC").At("amount")
	case r.Amount.Minor < max(policy.Least.Minor, r.To.Kind.Dust()) || r.Amount.Minor > policy.Most.Minor:
		return fault.New(fault.InvalidAmount, "want %s to %s BTC", policy.Least, policy.Most).At("amount")
	case r.To.Kind != destination.Invoice:
		return nil
	}
	in, err := r.To.Payable(now, policy.Lightning.Left)
	if err != nil {
		return err
	}
	_, taken, err := storage.One(ctx, s.DB, scanKey, findHash, string(r.Realm), hexOf(in.Hash))
	if err == nil && taken {
		err = fault.New(fault.AlreadyExists, "the invoice is another payout's: make a new one").At("ln_invoice")
	}
	return err
}

// planned returns what is written with a payout that is planned.
func (s *Service) planned(p Payout) []storage.Effect {
	effects := []storage.Effect{insertPayout.Row(p.row()...)}
	if p.Hash != "" {
		effects = append(effects, p.claimHash(p.Hash))
	}
	if p.To.Kind.IsLightning() {
		return append(effects, p.job(time.Time{}))
	}
	return append(effects, batchJob(p.Realm, p.CreatedAt.Add(s.Policy.Chain.Gather)))
}

// job asks for a payout over Lightning to be gone on with.
func (p *Payout) job(at time.Time) storage.Effect {
	return job.Enqueue(job.Request{Kind: jobPay, Book: string(p.Book), Realm: p.Realm, Payload: []byte(p.ID), RunAt: at, Unique: string(p.ID)})
}

// batchJob asks for the payouts of a realm that wait for a transaction to get one.
func batchJob(r realm.Realm, at time.Time) storage.Effect {
	return job.Enqueue(job.Request{Kind: jobBatch, Realm: r, RunAt: at, Unique: string(r)})
}

// Cancellation calls a payout back.
type Cancellation struct {
	Actor  string
	Book   ledger.BookID
	Payout ID
	Also   storage.Also[Payout]
}

// Cancel fails a payout of which nothing was sent, and frees its money. It returns
// not_found, or invalid_state for one that is under way or over.
func (s *Service) Cancel(ctx context.Context, c Cancellation) (Payout, error) {
	p, err := s.Find(ctx, c.Book, c.Payout)
	if err != nil {
		return Payout{}, err
	}
	if p.State != Held {
		return Payout{}, fault.New(fault.InvalidState, "the payout is %s: nobody can call it back", p.State)
	}
	// The books and the audit log are not written together: who tried comes first.
	err = s.DB.Write(ctx, func(ctx context.Context, tx *storage.Tx) error {
		return s.Audit.Append(ctx, tx, audit.Record{Actor: c.Actor, Action: auditCancel, Subject: string(p.ID), Book: string(p.Book), At: s.Clocks.Now(p.Realm)})
	})
	if err != nil {
		return Payout{}, err
	}
	if err := p.State.become(Failed); err != nil {
		return Payout{}, err
	}
	p.Reason = Cancelled
	p, err = s.end(ctx, p.release(c.Actor), p, func(p *Payout) ([]storage.Effect, error) {
		return c.Also.With(s.event(eventFailed, p), *p)
	})
	if errors.Is(err, storage.ErrStale) {
		err = fault.Wrap(err, fault.InvalidState, "the payout changed meanwhile: look at it again")
	}
	return p, err
}
