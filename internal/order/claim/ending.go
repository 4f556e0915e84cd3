package claim

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/order"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// key names the decision that comes next to package order.
func (c *Claim) key() string { return string(c.ID) + "/" + strconv.FormatInt(c.Revision, 10) }

// OfKey returns the claim that a remedy is for, by its key; empty where it is for none.
func OfKey(key string) ID {
	claim, _, found := strings.Cut(key, "/")
	if !found {
		return ""
	}
	return ID(claim)
}

// system is who acts where nobody did.
const system = "system"

// unreplaced says why codes are open again, by how their replacement ended.
var unreplaced = map[order.Status]string{
	order.Failed:    "nobody delivers a replacement",
	order.Cancelled: "the replacement was given up",
}

// why says why codes are open again after a replacement.
func why(r *order.Replacement) string {
	if r.Moot != "" {
		return r.Moot
	}
	return unreplaced[r.Status]
}

// ending returns what to write with the end of a replacement: its codes are replaced, or open
// again, for the operator to decide anew.
func (s *Service) ending(ctx context.Context, r order.Replacement) (order.Ending, error) {
	c, err := s.Find(ctx, r.Book, OfKey(r.Key))
	if err != nil {
		return order.Ending{}, err
	}
	t := turn{before: Replacing, verdict: Replace}
	for i := range c.Lines {
		if l := &c.Lines[i]; l.Verdict == Replacing && slices.Contains(r.Codes, l.Code) {
			t.chosen, t.reason, t.actor = append(t.chosen, i), l.Decision, l.Actor
		}
	}
	if len(t.chosen) != len(r.Codes) {
		return order.Ending{}, fmt.Errorf("replacement %s: the claim has %d of its %d codes: %w", r.Key, len(t.chosen), len(r.Codes), storage.ErrStale)
	}
	return order.Ending{
		Replaced: func(done *order.Remedied) ([]storage.Effect, error) {
			_, effects, err := s.turn(c, t, done)
			return effects, err
		},
		Failed: func(ctx context.Context, tx *storage.Tx, r order.Replacement) error {
			c.ChangedAt = r.ChangedAt
			return s.reopen(ctx, tx, c, turn{before: Replacing, verdict: Pending, reason: why(&r), chosen: t.chosen})
		},
	}, nil
}

// reopen writes within tx that codes of a claim are open again since it changed.
func (s *Service) reopen(ctx context.Context, tx *storage.Tx, c Claim, t turn) error {
	_, effects, err := s.turn(c, t, &order.Remedied{Change: order.Change{At: c.ChangedAt}})
	if err != nil {
		return err
	}
	if err := tx.Apply(ctx, effects); err != nil {
		return err
	}
	record := s.record(&c, &Decision{Verdict: Pending, Reason: t.reason, Actor: system}, t.chosen)
	record.At = c.ChangedAt
	return s.Audit.Append(ctx, tx, record)
}

// Intervention is what an operator does about the replacements of a claim that are under way.
type Intervention struct {
	Book   ledger.BookID
	Claim  ID
	Reason string // 1 to 400 bytes
	Actor  string
}

// GiveUp has nobody else asked for the replacements of a claim that are under way: their
// suppliers are asked to cancel, and the codes are open again unless those deliver all the
// same. It returns not_found, invalid_request, or invalid_state where nothing is under way.
func (s *Service) GiveUp(ctx context.Context, i Intervention) (Claim, error) {
	return s.intervene(ctx, i, s.Orders.GiveUp)
}

// Deny records that suppliers will never deliver the replacements of a claim that are under
// way, of which they do not say what became. The next ones are asked then. It returns what
// GiveUp does, and invalid_state where a call to a supplier is under way.
func (s *Service) Deny(ctx context.Context, i Intervention) (Claim, error) {
	return s.intervene(ctx, i, s.Orders.Deny)
}

func (s *Service) intervene(ctx context.Context, i Intervention, do func(context.Context, order.Intervention) error) (Claim, error) {
	c, err := s.Find(ctx, i.Book, i.Claim)
	if err != nil {
		return Claim{}, err
	}
	all, err := s.Orders.Replacements(ctx, c.Book, c.Order)
	if err != nil {
		return Claim{}, err
	}
	all = slices.DeleteFunc(all, func(r order.Replacement) bool { return OfKey(r.Key) != c.ID })
	if len(all) == 0 {
		return Claim{}, fault.New(fault.InvalidState, "no replacement of the claim is under way")
	}
	for _, r := range all {
		if err := do(ctx, order.Intervention{Book: c.Book, Number: c.Order, Remedy: r.Key, Reason: i.Reason, Actor: i.Actor}); err != nil {
			return Claim{}, err
		}
	}
	return s.Find(ctx, c.Book, c.ID)
}
