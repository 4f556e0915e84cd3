package issuing

import (
	"context"
	"fmt"
	"strings"

	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/id"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/plain"
	"github.com/scripcards/scrip/internal/issuing/spending"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// Change is what to change of a card; nil leaves as it is.
type Change struct {
	Card  CardID
	Label *string
	// SpendingLimit is the monthly one; zero: the BIN's alone.
	SpendingLimit *money.Amount
	Categories    *[]string
	// AutoFreezeAt is off when zero.
	AutoFreezeAt *money.Amount
	// Metadata is merged: a nil value removes its key.
	Metadata map[string]*string
	// Controls replaces them all, before the parts above.
	Controls *Controls
	Also     storage.Also[Card]
}

// Bounds of what a customer writes on a card.
const (
	maxLabel     = 64 // characters
	maxMetadata  = 20
	maxMetaKey   = 40  // characters
	maxMetaValue = 500 // characters
)

func checkLabel(label string) error {
	if !plain.Line(label, 0, maxLabel) {
		return fault.New(fault.InvalidRequest, "a label has at most %d characters of plain text", maxLabel).At("label")
	}
	return secretless("label", label)
}

// secretless refuses what looks like a card number or another secret: labels and metadata
// are shown, logged and sent around.
func secretless(field, text string) error {
	if audit.HoldsSecret(text) {
		return fault.New(fault.InvalidRequest, "%s must not hold a card number or another secret", field).At(field)
	}
	return nil
}

// mergeMetadata returns metadata with changes, or what is wrong with it.
func mergeMetadata(old map[string]string, changes map[string]*string) (map[string]string, error) {
	merged := make(map[string]string, len(old)+len(changes))
	for key, value := range old {
		merged[key] = value
	}
	for key, value := range changes {
		if value == nil {
			delete(merged, key)
			continue
		}
		switch {
		case strings.TrimSpace(key) != key || !plain.Line(key, 1, maxMetaKey):
			return nil, fault.New(fault.InvalidRequest, "a key of metadata has 1 to %d characters of plain text", maxMetaKey).At("metadata")
		case !plain.Line(*value, 0, maxMetaValue):
			return nil, fault.New(fault.InvalidRequest, "a value of metadata has at most %d characters of plain text", maxMetaValue).At("metadata")
		}
		for _, text := range []string{key, *value} {
			if err := secretless("metadata", text); err != nil {
				return nil, err
			}
		}
		merged[key] = *value
	}
	if len(merged) > maxMetadata {
		return nil, fault.New(fault.InvalidRequest, "metadata has at most %d keys", maxMetadata).At("metadata")
	}
	return merged, nil
}

func pointers(m map[string]string) map[string]*string {
	all := make(map[string]*string, len(m))
	for key, value := range m {
		all[key] = &value
	}
	return all
}

// apply makes the changes on a card.
func (ch *Change) apply(c *record) (err error) {
	if ch.Label != nil {
		if err := checkLabel(*ch.Label); err != nil {
			return err
		}
		c.Label = *ch.Label
	}
	if c.Metadata, err = mergeMetadata(c.Metadata, ch.Metadata); err != nil {
		return err
	}
	controls := c.Controls
	if ch.Controls != nil {
		controls = *ch.Controls
	}
	if ch.SpendingLimit != nil {
		old, _ := spending.Of(controls.Limits, spending.PerMonth) // its count is not the customer's
		controls.Limits = spending.With(controls.Limits, spending.Limit{Window: spending.PerMonth, Amount: *ch.SpendingLimit, Count: old.Count})
	}
	if ch.Categories != nil {
		controls.Categories = *ch.Categories
	}
	if ch.AutoFreezeAt != nil {
		controls.AutoFreezeAt = *ch.AutoFreezeAt
	}
	limits, asTheyAre := controls.Limits, ch.Controls == nil && ch.SpendingLimit == nil
	if asTheyAre { // what the BIN allows may be less by now
		controls.Limits = nil
	}
	if c.Controls, err = controls.checked(&c.BIN); asTheyAre {
		c.Controls.Limits = limits
	}
	return err
}

// touched names what a change is about, for the audit log.
func (ch *Change) touched() string {
	var names []string
	for _, part := range []struct {
		name string
		set  bool
	}{{"label", ch.Label != nil}, {"spending_limit", ch.SpendingLimit != nil}, {"allowed_categories", ch.Categories != nil},
		{"auto_freeze_at", ch.AutoFreezeAt != nil}, {"metadata", ch.Metadata != nil}, {"controls", ch.Controls != nil}} {
		if part.set {
			names = append(names, part.name)
		}
	}
	return strings.Join(names, " ")
}

// Change changes what is written on a card and what it may do; payments follow it at
// once. It returns not_found, invalid_request, invalid_amount, currency_mismatch, or
// invalid_state for a card that has ended.
func (s *Service) Change(ctx context.Context, h Holder, ch Change) (Card, error) {
	if !id.Valid(idPrefix, string(ch.Card)) {
		return Card{}, unknownCard()
	}
	account, err := s.Books.FindAccount(ctx, h.Book, accountOf(ch.Card))
	if fault.CodeOf(err) == fault.NotFound {
		return Card{}, unknownCard()
	}
	if err != nil {
		return Card{}, err
	}
	before, err := s.stored(ctx, h.Book, ch.Card) // the BIN and the tier are read outside of the transaction
	if err != nil {
		return Card{}, err
	}
	kept, err := s.shown(ctx, before, account, s.Clocks.Now(h.Realm))
	if err != nil {
		return Card{}, err
	}
	var card *Card
	err = s.DB.Write(ctx, func(ctx context.Context, tx *storage.Tx) error {
		c, _, err := storage.One(ctx, tx, scanCard, lockCard, string(h.Book), string(ch.Card))
		if err != nil {
			return err
		}
		c.BIN, c.Tier = before.BIN, before.Tier
		if card, err = s.write(ctx, tx, c, changing{h, &ch}); err != nil {
			return err
		}
		card.withMoney(account.Posted(), account.Available())
		if before.Status == Active && card.Status == Active { // an operator may have frozen its account in the books alone
			card.Status, card.Reason = kept.Status, kept.Reason
		}
		return ch.Also.Apply(ctx, tx, *card)
	})
	if err != nil {
		return Card{}, fmt.Errorf("change card %s: %w", ch.Card, err)
	}
	s.forget(h.Book, ch.Card)
	return *card, nil
}

// changing is a change with on whose behalf it is made.
type changing struct {
	holder Holder
	*Change
}

// write makes a change of a locked card.
func (s *Service) write(ctx context.Context, tx *storage.Tx, c *record, ch changing) (*Card, error) {
	now := s.Clocks.Now(c.Realm)
	if card := c.at(now); card.Status == Terminated {
		return nil, ended(card)
	}
	written := func() [3]string { return [3]string{c.Label, encodeMetadata(c.Metadata), encodeControls(&c.Controls)} }
	before := written()
	if err := ch.apply(c); err != nil {
		return nil, err
	}
	after := written()
	if after == before {
		return c.at(now), nil
	}
	if _, err := tx.Exec(ctx, setControls, string(c.Book), string(c.ID), c.Version, after[0], fold(c.Label), after[1], after[2]); err != nil {
		return nil, err
	}
	c.Version++
	r := audit.Record{Actor: ch.holder.Actor, Action: "card.change", Subject: string(c.ID), Book: string(c.Book), At: now,
		Detail: map[string]string{"changed": ch.touched()}}
	return c.at(now), s.Audit.Append(ctx, tx, r)
}
