package portal

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/storage"
)

const portalColumns = `book_id, portal_id, realm, name, slug, custom_domain, domain_token, domain_state,
	domain_claimed_at, domain_checked_at, domain_seen_at, logo_url, primary_color, text_color,
	tagline, support_url, privacy_url, languages, networks, state, created_at`

// Portals.
var (
	insertPortal = storage.Insert("portal.insert", "portals", "book_id", "portal_id", "realm", "name", "slug", "custom_domain",
		"domain_token", "domain_state", "domain_claimed_at", "domain_checked_at", "domain_seen_at", "logo_url", "primary_color", "text_color", "tagline", "support_url", "privacy_url", "languages", "networks", "state", "created_at", "changed_at")
	findPortal  = storage.SQL("portal.find", `SELECT `+portalColumns+` FROM portals WHERE book_id = $1 AND portal_id = $2`)
	lockPortal  = storage.SQL("portal.lock", `SELECT `+portalColumns+` FROM portals WHERE book_id = $1 AND portal_id = $2 {lock}`)
	listPortals = storage.SQL("portal.list", `SELECT `+portalColumns+` FROM portals
		WHERE book_id = $1 AND portal_id < $2 ORDER BY portal_id DESC LIMIT $3`)
	countPortals = storage.SQL("portal.count", `SELECT COUNT(*) FROM portals WHERE book_id = $1`)
	savePortal   = storage.SQL("portal.save", `UPDATE portals SET name = $3, slug = $4, custom_domain = $5, domain_token = $6,
		domain_state = $7, domain_claimed_at = $8, domain_checked_at = $9, domain_seen_at = $10, logo_url = $11, primary_color = $12,
		text_color = $13, tagline = $14, support_url = $15, privacy_url = $16, languages = $17, networks = $18,
		state = $19, changed_at = $20 WHERE book_id = $1 AND portal_id = $2`)
	deletePortal = storage.SQL("portal.delete", `DELETE FROM portals WHERE book_id = $1 AND portal_id = $2`)
)

// Addresses.
var (
	insertSlug   = storage.SQL("portal.insert_slug", `INSERT INTO portal_slugs (slug, book_id, portal_id) VALUES ($1, $2, $3) ON CONFLICT (slug) DO NOTHING`)
	findSlug     = storage.SQL("portal.find_slug", `SELECT book_id, portal_id FROM portal_slugs WHERE slug = $1`)
	reclaimSlug  = storage.SQL("portal.reclaim_slug", `UPDATE portal_slugs SET portal_id = $3 WHERE slug = $1 AND book_id = $2 AND portal_id = ''`)
	adoptSlug    = storage.SQL("portal.adopt_slug", `UPDATE portal_slugs SET book_id = $3, portal_id = $4 WHERE slug = $1 AND book_id = $2 AND portal_id = ''`)
	releaseSlug  = storage.SQL("portal.release_slug", `UPDATE portal_slugs SET portal_id = '' WHERE slug = $1 AND book_id = $2 AND portal_id = $3`)
	countSlugs   = storage.SQL("portal.count_slugs", `SELECT COUNT(*) FROM portal_slugs WHERE book_id = $1`)
	insertDomain = storage.SQL("portal.insert_domain", `INSERT INTO portal_domains (domain, book_id, portal_id) VALUES ($1, $2, $3) ON CONFLICT (domain) DO NOTHING`)
	findDomain   = storage.SQL("portal.find_domain", `SELECT book_id, portal_id FROM portal_domains WHERE domain = $1`)
	deleteDomain = storage.SQL("portal.delete_domain", `DELETE FROM portal_domains WHERE domain = $1 AND book_id = $2 AND portal_id = $3`)
)

// Challenges.
var (
	spendChallenge = storage.SQL("portal.spend_challenge", `INSERT INTO portal_challenges (book_id, portal_id, challenge, expires_at)
		VALUES ($1, $2, $3, $4) ON CONFLICT (book_id, portal_id, challenge) DO NOTHING`)
	findChallenge   = storage.SQL("portal.find_challenge", `SELECT expires_at FROM portal_challenges WHERE book_id = $1 AND portal_id = $2 AND challenge = $3`)
	purgeChallenges = storage.SQL("portal.purge_challenges", `DELETE FROM portal_challenges WHERE (book_id, portal_id, challenge) IN
		(SELECT book_id, portal_id, challenge FROM portal_challenges WHERE expires_at < $1 ORDER BY expires_at LIMIT $2)`)
)

// The states of a portal.
const (
	stateActive   = "active"
	stateInactive = "inactive"
	stateDisabled = "disabled"
)

// The states of a portal's own domain.
const (
	domainNone     = "none"
	domainPending  = "pending"
	domainVerified = "verified"
)

// DomainState is "pending" or "verified"; "none" without a domain.
func (p *Portal) DomainState() string {
	switch {
	case p.CustomDomain == "":
		return domainNone
	case p.Proof.Verified:
		return domainVerified
	}
	return domainPending
}

func (p *Portal) state() string {
	switch {
	case p.Disabled:
		return stateDisabled
	case p.Active:
		return stateActive
	}
	return stateInactive
}

func scanPortal(r storage.Row) (p Portal, err error) {
	var languages, networks, state, domain string
	var created int64
	var claimed, checked, seen sql.NullInt64
	b := &p.Branding
	err = r.Scan(&p.Book, &p.ID, &p.Realm, &p.Name, &p.Slug, &p.CustomDomain, &p.Proof.Token, &domain, &claimed, &checked, &seen, &b.LogoURL, &b.PrimaryColor, &b.TextColor,
		&b.Tagline, &b.SupportURL, &b.PrivacyURL, &languages, &networks, &state, &created)
	p.Proof.Verified, p.Proof.ClaimedAt = domain == domainVerified, storage.NullTime(claimed)
	p.Proof.CheckedAt, p.Proof.SeenAt = storage.NullTime(checked), storage.NullTime(seen)
	p.Languages, p.Networks = strings.Fields(languages), strings.Fields(networks)
	p.Active, p.Disabled, p.CreatedAt = state == stateActive, state == stateDisabled, storage.Time(created)
	return p, err
}

// look is what can change, in the order of the columns from name to state.
func (p *Portal) look() []any {
	b, proof := &p.Branding, &p.Proof
	return []any{p.Name, p.Slug, p.CustomDomain, proof.Token, p.DomainState(), storage.NullMicros(proof.ClaimedAt), storage.NullMicros(proof.CheckedAt),
		storage.NullMicros(proof.SeenAt), b.LogoURL, b.PrimaryColor, b.TextColor, b.Tagline, b.SupportURL, b.PrivacyURL,
		strings.Join(p.Languages, " "), strings.Join(p.Networks, " "), p.state()}
}

// values is a new portal's row. changed is the machine's time.
func (p *Portal) values(changed time.Time) []any {
	row := append([]any{string(p.Book), string(p.ID), string(p.Realm)}, p.look()...)
	return append(row, storage.Micros(p.CreatedAt), storage.Micros(changed))
}

func (p *Portal) saved(changed time.Time) storage.Effect {
	args := append([]any{string(p.Book), string(p.ID)}, p.look()...)
	return savePortal.With(append(args, storage.Micros(changed))...).Exactly(1)
}

// place is whose an address is. A slug that was given up has no portal.
type place struct {
	book   ledger.BookID
	portal ID
}

func scanPlace(r storage.Row) (p place, err error) {
	err = r.Scan(&p.book, &p.portal)
	return p, err
}

func onePortal(ctx context.Context, q storage.Queryer, statement *storage.Statement, at place) (Portal, error) {
	p, found, err := storage.One(ctx, q, scanPortal, statement, string(at.book), string(at.portal))
	if err != nil {
		return p, fmt.Errorf("find portal: %w", err)
	}
	if !found {
		return p, errNoPortal()
	}
	return p, nil
}

func errNoPortal() error { return fault.New(fault.NotFound, "no such portal") }
