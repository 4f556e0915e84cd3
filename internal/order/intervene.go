package order

import (
	"context"
	"errors"

	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/plain"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/order/supply"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// Intervention is what an operator does about an order under way.
type Intervention struct {
	Book   ledger.BookID
	Number Number
	// Remedy is the key of a remedy whose replacement it is about; empty: the order itself.
	Remedy string
	Reason string // 1 to 400 bytes
	Actor  string
}

// GiveUp has nobody else asked for what is under way: its supplier is asked to cancel, and
// it is cancelled unless that delivers all the same. It returns not_found, or invalid_state
// for what is over.
func (s *Service) GiveUp(ctx context.Context, i Intervention) error {
	return s.intervene(ctx, i, "supplier.give_up", func(st *standing) ([]storage.Effect, error) {
		now := storage.Micros(s.Clocks.Now(st.order.Realm))
		if st.exchange != nil {
			return []storage.Effect{giveUpExchange.With(string(i.Book), i.Remedy, now).Exactly(1)}, nil
		}
		return []storage.Effect{giveUpOrder.With(string(i.Book), int64(i.Number), now).Exactly(1)}, nil
	})
}

// Deny records that the supplier will never deliver what was submitted to it last and whose
// end it does not say: the operator asked it by other means. The next supplier is asked then.
// It returns not_found, or invalid_state where no submission is open or a call about it is
// under way.
func (s *Service) Deny(ctx context.Context, i Intervention) error {
	return s.intervene(ctx, i, "supplier.deny", func(st *standing) ([]storage.Effect, error) {
		open := st.open()
		if open == nil || s.Supply.Busy(open) > 0 {
			return nil, fault.New(fault.InvalidState, "no submission is open, or a call about it is under way")
		}
		row := *open
		row.State, row.Reason = supply.Refused, "denied by the operator"
		return []storage.Effect{s.Supply.Changed(&row)}, nil
	})
}

func (s *Service) intervene(ctx context.Context, i Intervention, action string, what func(*standing) ([]storage.Effect, error)) error {
	if !plain.LineBytes(i.Reason, 1, maxReason) {
		return fault.New(fault.InvalidRequest, "want a reason of 1 to %d bytes of plain text", maxReason).At("reason")
	}
	st, err := s.read(ctx, supply.For{Book: i.Book, Order: int64(i.Number), Remedy: i.Remedy})
	if err != nil {
		return err
	}
	o := &st.order
	switch {
	case st.over() && st.exchange != nil:
		return fault.New(fault.InvalidState, "the replacement is %s", st.exchange.Status)
	case st.over():
		return fault.New(fault.InvalidState, "the order is %s", o.Status)
	}
	effects, err := what(&st)
	if err != nil {
		return err
	}
	detail := map[string]string{"reason": i.Reason}
	if i.Remedy != "" {
		detail["remedy"] = i.Remedy
	}
	err = s.DB.Write(ctx, func(ctx context.Context, tx *storage.Tx) error {
		if err := tx.Apply(ctx, append(effects, s.wakeAt(st.what, o.Realm, 0))); err != nil {
			return err
		}
		return s.Audit.Append(ctx, tx, audit.Record{Actor: i.Actor, Action: action, Subject: o.Name(), Book: string(o.Book), At: s.Clocks.Now(o.Realm),
			Detail: detail})
	})
	if errors.Is(err, storage.ErrStale) {
		err = fault.Wrap(err, fault.InvalidState, "the order went on meanwhile: look again")
	}
	if err == nil {
		s.Queue.Wake()
	}
	return err
}

// maxReason bounds an operator's reason, in bytes: a hundred characters of any script.
const maxReason = 400
