package portal

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/id"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// NewPortal asks for a portal. It is active at once.
type NewPortal struct {
	Book  ledger.BookID
	Realm realm.Realm
	Name  string
	Slug  string
	// CustomDomain, Branding and Networks may be empty; Languages is English then.
	CustomDomain string
	Branding     Branding
	Languages    []string
	Networks     []string
	// Inactive makes a portal whose page is not served before a change makes it active.
	Inactive bool
	// Actor is named in the audit log.
	Actor string
	Also  storage.Also[Portal]
}

// Create stores a new portal. It returns invalid_request with the field to blame,
// already_exists when the slug is taken, and quota_exceeded when the book has as many
// portals, or slugs, as it may. A domain leads to the portal once it is verified.
func (s *Service) Create(ctx context.Context, n NewPortal) (Portal, error) {
	if _, err := realm.Parse(string(n.Realm)); err != nil || n.Book == "" {
		return Portal{}, fmt.Errorf("create portal: a book and a realm are required")
	}
	p := Portal{
		ID: ID(id.New(idPrefix)), Book: n.Book, Realm: n.Realm, Name: n.Name, Slug: n.Slug, CustomDomain: n.CustomDomain,
		Branding: n.Branding, Languages: slices.Clone(n.Languages), Networks: slices.Clone(n.Networks), Active: !n.Inactive,
		CreatedAt: s.Clocks.Now(n.Realm),
	}
	if len(p.Languages) == 0 {
		p.Languages = Languages()[:1]
	}
	if err := s.check(&p); err != nil {
		return Portal{}, err
	}
	if err := s.checkKnown(&p); err != nil {
		return Portal{}, err
	}
	p.Proof = s.newProof(&p)
	twin, err := s.twin(ctx, n.Book)
	if err != nil {
		return Portal{}, err
	}
	err = s.DB.Write(ctx, func(ctx context.Context, tx *storage.Tx) error {
		// The log locks the book's chain: two of these wait for each other, so the counts below hold.
		if err := s.record(ctx, tx, &p, audit.Record{Actor: n.Actor, Action: "portal.create"}); err != nil {
			return err
		}
		have, _, err := storage.One(ctx, tx, storage.Scalar[int], countPortals, string(p.Book))
		if err != nil {
			return err
		}
		if have >= s.Config.MaxPortals {
			return fault.New(fault.QuotaExceeded, "an account has at most %d portals", s.Config.MaxPortals)
		}
		if err := s.claim(ctx, tx, claiming{&p, &Portal{}, twin}); err != nil {
			return err
		}
		if err := tx.ExecRows(ctx, insertPortal, [][]any{p.values(s.Clocks.Now(realm.Live))}); err != nil {
			return err
		}
		return n.Also.Apply(ctx, tx, p)
	})
	if err != nil {
		return Portal{}, err
	}
	s.forget(p.ID)
	return p, nil
}

// Change says what to change of a portal, and who does. What is nil stays.
type Change struct {
	Book   ledger.BookID
	Portal ID
	Name   *string
	Slug   *string
	// CustomDomain may point at "", which gives the domain up.
	CustomDomain *string
	Branding     *Branding
	Languages    *[]string
	// Networks may point at an empty list, which stands for all.
	Networks *[]string
	Active   *bool
	// Disabled is the operator's: true takes the portal off until it is false, which puts
	// it on again.
	Disabled *bool
	// Operator says that it is the operator who changes or deletes a portal: its owner cannot
	// free the addresses of one that was taken off.
	Operator bool
	// Reason is kept in the audit log; it may be empty.
	Reason string
	// Actor is named in the audit log.
	Actor string
	Also  storage.Also[Portal]
}

func (c *Change) apply(p *Portal) {
	set(&p.Name, c.Name)
	set(&p.Slug, c.Slug)
	set(&p.CustomDomain, c.CustomDomain)
	set(&p.Branding, c.Branding)
	set(&p.Languages, c.Languages)
	set(&p.Networks, c.Networks)
	set(&p.Active, c.Active)
	if c.Disabled != nil {
		p.Disabled, p.Active = *c.Disabled, !*c.Disabled
	}
	p.Languages, p.Networks = slices.Clone(p.Languages), slices.Clone(p.Networks)
}

// permitted returns invalid_state for what the owner may not do with a portal that an operator
// took off: put it on, or give its addresses up, as another portal would be shown there.
func (c *Change) permitted(before, after *Portal) error {
	switch refused := fault.New(fault.InvalidState, "an operator disabled the portal"); {
	case !after.Disabled:
	case after.Active:
		return refused.At("active")
	case c.Operator:
	case after.Slug != before.Slug:
		return refused.At("slug")
	case after.CustomDomain != before.CustomDomain:
		return refused.At("custom_domain")
	}
	return nil
}

func set[T any](target, value *T) {
	if value != nil {
		*target = *value
	}
}

// Change makes a change to a portal of the book and returns the portal after it. It
// returns not_found, invalid_state when the owner puts on what an operator took off or moves
// it, and what Create returns.
func (s *Service) Change(ctx context.Context, c Change) (Portal, error) {
	var p Portal
	twin, err := s.twin(ctx, c.Book)
	if err != nil {
		return Portal{}, err
	}
	err = s.DB.Write(ctx, func(ctx context.Context, tx *storage.Tx) error {
		before, err := onePortal(ctx, tx, lockPortal, place{c.Book, c.Portal})
		if err != nil {
			return err
		}
		p = before
		c.apply(&p)
		if err := c.permitted(&before, &p); err != nil {
			return err
		}
		if err := s.check(&p); err != nil {
			return err
		}
		if p.CustomDomain != before.CustomDomain {
			p.Proof = s.newProof(&p)
		}
		if c.Networks != nil { // one that has gone since must not keep the rest from being changed
			if err := s.checkKnown(&p); err != nil {
				return err
			}
		}
		if slices.Equal(p.look(), before.look()) {
			return c.Also.Apply(ctx, tx, p)
		}
		if err := s.record(ctx, tx, &p, audit.Record{Actor: c.Actor, Action: "portal.change", Detail: reasonOf(&c)}); err != nil {
			return err
		}
		if err := s.claim(ctx, tx, claiming{&p, &before, twin}); err != nil {
			return err
		}
		if err := tx.Apply(ctx, append(release(&before, &p), p.saved(s.Clocks.Now(realm.Live)))); err != nil {
			return err
		}
		return c.Also.Apply(ctx, tx, p)
	})
	if err != nil {
		return Portal{}, err
	}
	s.forget(p.ID)
	return p, nil
}

// Delete removes a portal. Its domain is free for others at once; its slug stays with
// the customer. Of c only the portal, who deletes it and Also count. It returns not_found, and
// invalid_state when the owner deletes what an operator took off.
func (s *Service) Delete(ctx context.Context, c Change) error {
	err := s.DB.Write(ctx, func(ctx context.Context, tx *storage.Tx) error {
		p, err := onePortal(ctx, tx, lockPortal, place{c.Book, c.Portal})
		if err == nil {
			err = c.permitted(&p, &Portal{Disabled: p.Disabled})
		}
		if err != nil {
			return err
		}
		if err := s.record(ctx, tx, &p, audit.Record{Actor: c.Actor, Action: "portal.delete"}); err != nil {
			return err
		}
		effects := append(release(&p, &Portal{}), deletePortal.With(string(p.Book), string(p.ID)).Exactly(1))
		if err := tx.Apply(ctx, effects); err != nil {
			return err
		}
		return c.Also.Apply(ctx, tx, p)
	})
	if err != nil {
		return err
	}
	s.forget(c.Portal)
	return nil
}

// claiming is a portal as it is to be and as it was.
type claiming struct {
	after, before *Portal
	twin          ledger.BookID // of the same customer, in the other realm
}

// twin returns the book that the customer of a book has in the other realm.
func (s *Service) twin(ctx context.Context, book ledger.BookID) (ledger.BookID, error) {
	owner, err := s.Accounts.FindOwner(ctx, book)
	if err != nil {
		return "", err
	}
	customer, err := s.Accounts.FindCustomer(ctx, owner.Customer)
	if book == customer.Live {
		return customer.Test, err
	}
	return customer.Live, err
}

// claim takes the slug that a portal has and had not, and has somebody look for the record
// of a new domain.
func (s *Service) claim(ctx context.Context, tx *storage.Tx, c claiming) error {
	if c.after.Slug != c.before.Slug {
		if err := s.claimSlug(ctx, tx, c); err != nil {
			return err
		}
	}
	if c.after.CustomDomain == "" || c.after.CustomDomain == c.before.CustomDomain {
		return nil
	}
	return tx.Apply(ctx, []storage.Effect{s.lookLater(c.after, firstLook)})
}

func (s *Service) claimSlug(ctx context.Context, tx *storage.Tx, c claiming) error {
	p := c.after
	if n, err := tx.Exec(ctx, reclaimSlug, p.Slug, string(p.Book), string(p.ID)); err != nil || n > 0 {
		return err
	}
	n, err := tx.Exec(ctx, insertSlug, p.Slug, string(p.Book), string(p.ID))
	if err == nil && n == 0 {
		n, err = tx.Exec(ctx, adoptSlug, p.Slug, string(c.twin), string(p.Book), string(p.ID))
	}
	if err == nil && n == 0 {
		err = fault.New(fault.AlreadyExists, "the slug is taken").At("slug")
	}
	if err != nil {
		return err
	}
	have, _, err := storage.One(ctx, tx, storage.Scalar[int], countSlugs, string(p.Book))
	if err != nil {
		return err
	}
	if most := slugsPerPortal * s.Config.MaxPortals; have > most {
		return fault.New(fault.QuotaExceeded, "an account has at most %d slugs, those that it gave up included", most)
	}
	return nil
}

// release gives up the addresses that before had and after has not.
func release(before, after *Portal) []storage.Effect {
	var effects []storage.Effect
	if before.Slug != after.Slug {
		effects = append(effects, releaseSlug.With(before.Slug, string(before.Book), string(before.ID)).Exactly(1))
	}
	if before.Proof.Verified && before.CustomDomain != after.CustomDomain {
		effects = append(effects, deleteDomain.With(before.CustomDomain, string(before.Book), string(before.ID)).Exactly(1))
	}
	return effects
}

func (s *Service) record(ctx context.Context, tx *storage.Tx, p *Portal, r audit.Record) error {
	r.Subject, r.Book, r.At = string(p.ID), string(p.Book), s.Clocks.Now(p.Realm)
	detail := map[string]string{
		"name": audit.Clean(p.Name), "slug": audit.Clean(p.Slug), "domain": audit.Clean(p.CustomDomain),
		"networks": audit.Clean(strings.Join(p.Networks, " ")), "state": p.state(),
	}
	maps.Copy(detail, r.Detail)
	r.Detail = detail
	return s.Audit.Append(ctx, tx, r)
}

func reasonOf(c *Change) map[string]string {
	if c.Reason == "" {
		return nil
	}
	return map[string]string{"reason": audit.Clean(c.Reason)}
}
