package portal

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/job"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// Proof is what shows that a domain is its customer's: a TXT record of DNS with a token.
// Its times are the machine's.
type Proof struct {
	// Token is new with every claim. It is not a secret.
	Token string
	// Verified says that the record was seen, and that the domain leads to the portal.
	Verified  bool
	ClaimedAt time.Time
	// CheckedAt is when an answer was had last, SeenAt when the record was in it; zero: never.
	CheckedAt, SeenAt time.Time
}

// Record returns the name and the text of the TXT record that proves the domain; empty
// without one.
func (p *Portal) Record() (name, text string) {
	if p.CustomDomain == "" {
		return "", ""
	}
	return "_scrip." + p.CustomDomain, "scrip-portal=" + p.Proof.Token
}

// Resolver asks DNS, as net.Resolver does: a name that does not exist, or has no such
// record, is a net.DNSError with IsNotFound.
type Resolver interface {
	LookupTXT(ctx context.Context, name string) ([]string, error)
}

// How records are looked for.
const (
	jobDomain     = "portal.domain"
	jobActor      = "job/" + jobDomain
	domainChecks  = 8 // at once
	lookupTimeout = 10 * time.Second
	domainTimeout = 30 * time.Second
	// A domain that was claimed is looked up after a minute, then more and more seldom.
	firstLook, seldomLook = time.Minute, 6 * time.Hour
	// claimLife is for how long.
	claimLife = 14 * 24 * time.Hour
	// verifiedLook is how often the record of a verified domain is looked for…
	verifiedLook = 12 * time.Hour
	// …and lostAfter for how long it may be missing.
	lostAfter = 72 * time.Hour
	// silentLook is the pause after no answer.
	silentLook = 15 * time.Minute
)

// newProof begins a claim to the domain of p.
func (s *Service) newProof(p *Portal) Proof {
	if p.CustomDomain == "" {
		return Proof{}
	}
	return Proof{Token: strings.ToLower(rand.Text()), ClaimedAt: s.Clocks.Now(realm.Live)}
}

// lookLater returns the job that looks for the record of p after a while, and goes on.
func (s *Service) lookLater(p *Portal, after time.Duration) storage.Effect {
	name := string(p.ID) + "/" + p.Proof.Token
	return job.Enqueue(job.Request{Kind: jobDomain, Book: string(p.Book), RunAt: s.Clocks.Now(realm.Live).Add(after), Payload: []byte(name), Unique: name})
}

// VerifyDomain looks for the record of the portal's domain now, and returns the portal
// after it, verified or not. It returns not_found, invalid_state without a domain, and
// unavailable when DNS gives no answer. Of c only the portal and the actor count.
func (s *Service) VerifyDomain(ctx context.Context, c Change) (Portal, error) {
	p, err := s.Find(ctx, c.Book, c.Portal)
	if err != nil {
		return Portal{}, err
	}
	if p.CustomDomain == "" {
		return Portal{}, fault.New(fault.InvalidState, "the portal has no domain of its own").At("custom_domain")
	}
	return s.verify(ctx, &p, c.Actor)
}

// domainJob is the job that keeps looking for a record.
func (s *Service) domainJob(ctx context.Context, j job.Job) error {
	which, token, _ := strings.Cut(string(j.Payload), "/")
	p, err := s.Find(ctx, ledger.BookID(j.Book), ID(which))
	switch {
	case fault.CodeOf(err) == fault.NotFound || err == nil && p.Proof.Token != token:
		return nil // the claim was given up
	case err != nil:
		return err
	}
	after, err := s.verify(ctx, &p, jobActor)
	switch wait := s.nextLook(&after); {
	case fault.CodeOf(err) == fault.Unavailable:
		return job.Postpone(silentLook)
	case err != nil:
		return err
	case after.Proof.Token == token && wait > 0:
		return job.Postpone(wait)
	}
	return nil
}

// nextLook is after how long to look again; 0: no more.
func (s *Service) nextLook(p *Portal) time.Duration {
	age := s.Clocks.Now(realm.Live).Sub(p.Proof.ClaimedAt)
	switch {
	case p.Proof.Verified:
		return verifiedLook
	case age >= claimLife:
		return 0
	}
	return min(max(age/4, firstLook), seldomLook)
}

// verify asks DNS, outside of any transaction, and writes down what came of it.
func (s *Service) verify(ctx context.Context, p *Portal, actor string) (Portal, error) {
	name, _ := p.Record()
	limited, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	texts, err := s.Resolver.LookupTXT(limited, name+".") // the dot: no other name will do
	if missing := (*net.DNSError)(nil); errors.As(err, &missing) && missing.IsNotFound {
		texts, err = nil, nil
	}
	if err != nil {
		return Portal{}, fault.Wrap(fmt.Errorf("look up %s: %w", name, err), fault.Unavailable, "DNS gives no answer about the domain")
	}
	twin, err := s.twin(ctx, p.Book)
	if err != nil {
		return Portal{}, err
	}
	var after, other Portal
	err = s.DB.Write(ctx, func(ctx context.Context, tx *storage.Tx) (err error) {
		after, other, err = s.settle(ctx, tx, looked{portal: p, twin: twin, texts: texts, actor: actor})
		return err
	})
	if err != nil {
		return Portal{}, err
	}
	s.forget(after.ID)
	if other.ID != "" {
		s.forget(other.ID)
	}
	return after, nil
}

// looked is an answer of DNS about the domain of a portal.
type looked struct {
	portal *Portal       // as it was asked about
	twin   ledger.BookID // of the same customer, in the other realm
	texts  []string
	actor  string
}

func (l *looked) shows(p *Portal) bool {
	_, text := p.Record()
	return text != "" && slices.Contains(l.texts, text)
}

// keeps reports whether a domain stays with its holder whatever the record says: an operator
// took that off, and its owner would show another portal there.
func (l *looked) keeps(holder *Portal) bool {
	return holder.Disabled && (holder.Book == l.portal.Book || holder.Book == l.twin)
}

// settle writes down an answer and returns the portal after it, and the one that lost the domain to it.
func (s *Service) settle(ctx context.Context, tx *storage.Tx, l looked) (p, loser Portal, err error) {
	p, holder, err := lockClaims(ctx, tx, l.portal)
	if err != nil || p.Proof.Token != l.portal.Proof.Token {
		return p, loser, err
	}
	now := s.Clocks.Now(realm.Live)
	p.Proof.CheckedAt = now
	switch seen := l.shows(&p); {
	case seen && p.Proof.Verified:
		p.Proof.SeenAt = now
	case seen && (l.shows(&holder) || l.keeps(&holder)): // whose it was keeps it
	case seen:
		if loser = holder; loser.ID != "" {
			err = s.lose(ctx, tx, &loser, l.actor)
		}
		if err == nil {
			err = s.win(ctx, tx, &p, l.actor)
		}
	case p.Proof.Verified && !p.Disabled && now.Sub(p.Proof.SeenAt) >= lostAfter:
		return p, loser, s.lose(ctx, tx, &p, l.actor)
	}
	if err != nil {
		return p, loser, err
	}
	var again []storage.Effect
	if l.actor != jobActor { // the job may have ended
		if !p.Proof.Verified {
			p.Proof.ClaimedAt = now
		}
		again = append(again, s.lookLater(&p, s.nextLook(&p)))
	}
	return p, loser, tx.Apply(ctx, append(again, p.saved(now)))
}

// win has the domain lead to a portal, unless another one got it meanwhile.
func (s *Service) win(ctx context.Context, tx *storage.Tx, p *Portal, actor string) error {
	// The statement waits for another transaction that takes the same, and tells in rows: an error would end ours.
	n, err := tx.Exec(ctx, insertDomain, p.CustomDomain, string(p.Book), string(p.ID))
	if err != nil || n == 0 {
		return err
	}
	p.Proof.Verified, p.Proof.SeenAt = true, p.Proof.CheckedAt
	return s.record(ctx, tx, p, audit.Record{Actor: actor, Action: "portal.verify_domain"})
}

// lose takes the domain from a portal. It may be shown to be the portal's again.
func (s *Service) lose(ctx context.Context, tx *storage.Tx, p *Portal, actor string) error {
	now := s.Clocks.Now(realm.Live)
	p.Proof.Verified, p.Proof.CheckedAt, p.Proof.ClaimedAt = false, now, now
	if err := s.record(ctx, tx, p, audit.Record{Actor: actor, Action: "portal.lose_domain"}); err != nil {
		return err
	}
	return tx.Apply(ctx, []storage.Effect{deleteDomain.With(p.CustomDomain, string(p.Book), string(p.ID)).Exactly(1), p.saved(now)})
}

// lockClaims locks a portal and the other one, if any, that its domain leads to, in one
// order in all transactions.
func lockClaims(ctx context.Context, tx *storage.Tx, p *Portal) (own, holder Portal, err error) {
	mine := place{p.Book, p.ID}
	at, taken, err := storage.One(ctx, tx, scanPlace, findDomain, p.CustomDomain)
	if err != nil {
		return own, holder, err
	}
	places := []place{mine}
	if taken && at != mine {
		places = append(places, at)
	}
	slices.SortFunc(places, func(a, b place) int { return cmp.Or(cmp.Compare(a.book, b.book), cmp.Compare(a.portal, b.portal)) })
	for _, at := range places {
		switch found, err := onePortal(ctx, tx, lockPortal, at); {
		case at == mine && err != nil:
			return own, holder, err
		case at == mine:
			own = found
		case err == nil && found.CustomDomain == p.CustomDomain && found.Proof.Verified:
			holder = found // still
		case err != nil && fault.CodeOf(err) != fault.NotFound:
			return own, holder, err
		}
	}
	return own, holder, nil
}
