package deposit

import (
	"context"

	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/core/asset"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/plain"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/wallet/address"
)

// isOld reports whether what was left at an address has a payment already that nobody noted
// before, or an operator has answered for its block. Payments to one address are noted one
// after the other. It returns unavailable for a rest that was worked out without payments
// that were noted meanwhile.
func isOld(ctx context.Context, tx *storage.Tx, d *Deposit, seen *Sighting) (bool, error) {
	if seen.Height == 0 {
		return false, nil
	}
	if _, _, err := storage.One(ctx, tx, storage.Scalar[string], lockAddress, string(d.Realm), string(d.Chain), d.Address); err != nil {
		return false, err
	}
	key := []any{string(d.Book), string(d.Chain), d.Address, string(d.Amount.Asset)}
	if !seen.Rest {
		rest, _, err := storage.One(ctx, tx, storage.Scalar[int64], maxRest, key...)
		if err != nil || seen.Height <= rest {
			return err == nil, err
		}
		dismissed, _, err := storage.One(ctx, tx, storage.Scalar[int64], countDismissed, append(key, seen.Height)...)
		return dismissed > 0, err
	}
	known, _, err := storage.One(ctx, tx, storage.Scalar[int64], countPaid, key...)
	if err == nil && known != seen.Known {
		err = fault.New(fault.Unavailable, "other payments to %s were noted meanwhile", d.Address)
	}
	return false, err
}

// PaidTo returns all deposits of an asset to each of some addresses of a place, those that
// are gone, too, the oldest first. Addresses that are nobody's are left out.
func (s *Service) PaidTo(ctx context.Context, p address.Place, a asset.Asset, addresses []string) (map[string][]Deposit, error) {
	all := make(map[string][]Deposit, len(addresses))
	for _, text := range addresses {
		book, ours, err := s.AddressBook.Find(ctx, p, text)
		if err != nil {
			return nil, err
		}
		if !ours {
			continue
		}
		if all[text], err = storage.All(ctx, s.DB, scanDeposit, listPaid, string(book), string(p.Chain), text, string(a)); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// compared writes down up to where a chain's account of addresses was compared with
// payments, and where it could not be. A gap that was read by now is none any more; what
// was read before does not become one when it is read again.
func (s *Service) compared(ctx context.Context, p address.Place, page *Page) error {
	if page.Compared == (Span{}) {
		return nil
	}
	gaps, err := s.gapRows(ctx, p, page.Gaps)
	if err != nil {
		return err
	}
	at := []any{string(p.Realm), string(p.Chain)}
	return s.DB.Write(ctx, func(ctx context.Context, tx *storage.Tx) error {
		before, _, err := storage.One(ctx, tx, storage.Scalar[int64], lockCompared, at...)
		if err != nil {
			return err
		}
		if !page.Lost {
			span := append(at, page.Compared.From, page.Compared.To)
			if _, err := tx.Exec(ctx, closeGaps, span...); err != nil {
				return err
			}
			if _, err := tx.Exec(ctx, shortenGaps, span...); err != nil {
				return err
			}
		}
		var effects []storage.Effect
		for _, g := range gaps {
			if g.From = max(g.From, before+1); g.From <= g.To {
				effects = append(effects, upsertGap.Row(g.book, string(p.Chain), g.Address, g.To, g.From, string(p.Realm), string(g.Asset), storage.Bit(false), storage.Micros(s.Clocks.Now(p.Realm))))
			}
		}
		effects = append(effects, saveCompared.With(append(at, max(before, page.Compared.To))...))
		return tx.Apply(ctx, effects)
	})
}

// ownedGap is a gap with whose address it is at.
type ownedGap struct {
	Gap
	book string
}

func (s *Service) gapRows(ctx context.Context, p address.Place, gaps []Gap) (all []ownedGap, err error) {
	for _, g := range gaps {
		book, ours, err := s.AddressBook.Find(ctx, p, g.Address)
		if err != nil {
			return nil, err
		}
		if ours {
			all = append(all, ownedGap{g, string(book)})
		}
	}
	return all, nil
}

// Dismissal says that an operator has looked after what may have been missed.
type Dismissal struct {
	address.Place
	Address string
	Reason  string // for the audit log
	Actor   string
	Also    storage.Also[Dismissed]
}

// Dismissed is what was taken off the audit.
type Dismissed struct {
	address.Place
	Address string
	Book    ledger.BookID
	// Gaps are the spans of blocks, the lowest first.
	Gaps []Gap
}

// MaxReason bounds the reason of a dismissal, in bytes.
const MaxReason = 200

// Dismiss takes the gaps of an address off the audit, for good: what is found in their blocks
// later is not credited, since the operator has answered for it. It returns not_found for an
// address that is nobody's or has none, and invalid_request for a reason that is none or that
// no log may hold.
func (s *Service) Dismiss(ctx context.Context, in Dismissal) (Dismissed, error) {
	switch {
	case !plain.LineBytes(in.Reason, 1, MaxReason):
		return Dismissed{}, fault.New(fault.InvalidRequest, "want a reason of 1 to %d bytes of plain text", MaxReason).At("reason")
	case audit.Clean(in.Reason) != in.Reason:
		return Dismissed{}, fault.New(fault.InvalidRequest, "the reason looks like it holds a card number or another secret").At("reason")
	case !plain.LineBytes(in.Address, 1, maxAddress):
		return Dismissed{}, errNoGap()
	}
	book, ours, err := s.AddressBook.Find(ctx, in.Place, in.Address)
	if err == nil && !ours {
		err = errNoGap()
	}
	if err != nil {
		return Dismissed{}, err
	}
	out := Dismissed{Place: in.Place, Address: in.Address, Book: book}
	err = s.DB.Write(ctx, func(ctx context.Context, tx *storage.Tx) error {
		key := []any{string(book), string(in.Chain), in.Address}
		if out.Gaps, err = storage.All(ctx, tx, scanGap, lockGaps, key...); err != nil {
			return err
		}
		if len(out.Gaps) == 0 {
			return errNoGap()
		}
		if _, err := tx.Exec(ctx, dismissGaps, key...); err != nil {
			return err
		}
		if err := in.Also.Apply(ctx, tx, out); err != nil {
			return err
		}
		return s.AddressBook.Audit.Append(ctx, tx, audit.Record{Actor: in.Actor, Action: "wallet.dismiss", Subject: in.Address, Book: string(book),
			At: s.Clocks.Now(in.Realm), Detail: map[string]string{"realm": string(in.Realm), "chain": string(in.Chain), "reason": in.Reason}})
	})
	return out, err
}

func errNoGap() error {
	return fault.New(fault.NotFound, "nothing may have been missed at that address").At("address")
}

func scanGap(r storage.Row) (g Gap, err error) {
	err = r.Scan(&g.Address, (*string)(&g.Asset), &g.From, &g.To)
	return g, err
}
