package webhook

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/id"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/core/plain"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/job"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// EndpointID names an endpoint ("wh_…").
type EndpointID string

// Endpoint is where a customer wants events sent.
type Endpoint struct {
	ID    EndpointID
	Book  ledger.BookID
	Realm realm.Realm
	URL   string
	// Events are the types it wants, or "*" alone for all.
	Events []string
	// Scheme is how requests to it are signed.
	Scheme string
	// Active endpoints get events. Others say why not: gone, failing, or what Disable was told.
	Active bool
	Reason string
	// Failures counts the turns since the last success; FailingSince is when the first was.
	Failures     int
	FailingSince time.Time
	// PreviousUntil is how long the secret before the last rotation stays valid, by the machine's
	// clock in both realms; zero when none is.
	PreviousUntil time.Time
	CreatedAt     time.Time
}

// Why an endpoint was disabled: by the program, or by whoever owns it (Change).
const (
	ReasonGone    = "gone"    // it answered 410
	ReasonFailing = "failing" // nothing succeeded for Config.DisableAfter
	ReasonOwner   = "owner"
)

// isOwners reports whether the owner of an endpoint that was disabled for a reason may
// enable it again.
func isOwners(reason string) bool {
	return reason == ReasonGone || reason == ReasonFailing || reason == ReasonOwner
}

// The states of an endpoint.
const (
	endpointActive   = "active"
	endpointDisabled = "disabled"
	endpointDeleted  = "deleted"
)

const (
	maxEvents = 32
	maxReason = 100 // characters
	// DefaultGrace is how long a rotated secret stays valid unless it is said otherwise.
	DefaultGrace = 24 * time.Hour
	// MaxGrace is the longest time for which it may.
	MaxGrace = 7 * 24 * time.Hour
)

// Limits of a secret that a customer chooses, in bytes.
const (
	MinSecret = 16
	MaxSecret = 128
)

// Issued is an endpoint with its secret, which nothing returns again. After a change that
// made none, the secret is empty.
type Issued struct {
	Endpoint
	Secret pan.Secret
}

// NewEndpoint asks for an endpoint.
type NewEndpoint struct {
	Book   ledger.BookID
	Realm  realm.Realm
	URL    string
	Events []string
	Scheme string
	// Secret may be chosen by the customer; one is made when it is empty.
	Secret pan.Secret
	// Actor is named in the audit log.
	Actor string
	Also  storage.Also[Issued]
}

// Change names an endpoint and who changes it.
type Change struct {
	Book     ledger.BookID
	Endpoint EndpointID
	Actor    string
	Also     storage.Also[Issued]
	// Queued is what to write with a delivery that SendTest or Resend queues, as Also.
	Queued storage.Also[Delivery]
}

// Create stores a new endpoint and returns it with its secret, which is never
// shown again. It returns invalid_request for an address that the guard refuses,
// unknown names of events or a secret that is too short, and quota_exceeded when
// the book has as many endpoints as it may.
func (s *Service) Create(ctx context.Context, n NewEndpoint) (Issued, error) {
	if err := s.validate(ctx, &n); err != nil {
		return Issued{}, err
	}
	secret, err := chooseSecret(n.Secret)
	if err != nil {
		return Issued{}, err
	}
	e := row{Endpoint: Endpoint{
		ID: EndpointID(id.New("wh")), Book: n.Book, Realm: n.Realm, URL: n.URL, Events: n.Events, Scheme: n.Scheme,
		Active: true, CreatedAt: s.Clocks.Now(n.Realm),
	}, state: endpointActive, version: 1}
	if e.secret, err = s.Vault.Seal(sealSecret, string(e.ID), []byte(secret.Reveal())); err != nil {
		return Issued{}, fmt.Errorf("create webhook: %w", err)
	}
	made := Issued{e.Endpoint, secret}
	err = s.DB.Write(ctx, func(ctx context.Context, tx *storage.Tx) error {
		// The log locks the book's chain: two of these wait for each other, so the count below holds.
		if err := s.record(ctx, tx, &e, audit.Record{Actor: n.Actor, Action: "webhook.create", Detail: e.wants()}); err != nil {
			return err
		}
		have, _, err := storage.One(ctx, tx, storage.Scalar[int], countEndpoints, string(n.Book))
		if err != nil {
			return err
		}
		if have >= s.Config.MaxEndpoints {
			return fault.New(fault.QuotaExceeded, "an account has at most %d webhooks", s.Config.MaxEndpoints)
		}
		if err := tx.ExecRows(ctx, insertEndpoint, [][]any{e.values(s.Clocks.Now(realm.Live))}); err != nil {
			return err
		}
		return n.Also.Apply(ctx, tx, made)
	})
	if err != nil {
		return Issued{}, err
	}
	s.Outbox.subscriptions.learn(e.subscription())
	return made, nil
}

func (s *Service) validate(ctx context.Context, n *NewEndpoint) error {
	if _, err := realm.Parse(string(n.Realm)); err != nil || n.Book == "" {
		return fmt.Errorf("create webhook: a book and a realm are required")
	}
	if _, ok := s.schemes.find(n.Scheme); !ok {
		return fmt.Errorf("create webhook: no scheme %q", n.Scheme)
	}
	withheld, err := s.withheld(ctx, n.Book)
	if err != nil {
		return err
	}
	if n.Events, err = s.checkEvents(withheld, n.Scheme, n.Events); err != nil {
		return err
	}
	_, err = s.Guard.Check(ctx, n.URL)
	return err
}

// TakesSecrets reports whether an endpoint is sent events whose data is a secret, so that
// whoever changes it has to be one who may see such.
func (s *Service) TakesSecrets(e *Endpoint) bool { return s.schemes.secrets(e.Scheme) }

// withheld returns the types that are never sent to a book, each with whom it is sent to.
func (s *Service) withheld(ctx context.Context, book ledger.BookID) (map[string]string, error) {
	all := map[string]string{}
	for _, r := range s.Config.Reserved {
		has, err := r.Has(ctx, book)
		if err != nil {
			return nil, fmt.Errorf("find out whether a webhook is of %s: %w", r.To, err)
		}
		if has {
			continue
		}
		for _, name := range r.Types {
			all[name] = r.To
		}
	}
	return all, nil
}

// checkEvents returns the names that an endpoint of a scheme can be sent, of those that are not
// withheld from its book, sorted, each once; "*" stands for all.
func (s *Service) checkEvents(withheld map[string]string, scheme string, events []string) ([]string, error) {
	if len(events) == 0 || len(events) > maxEvents {
		return nil, fault.New(fault.InvalidRequest, "name 1 to %d events, or * for all", maxEvents).At("events")
	}
	if slices.Contains(events, allEvents) {
		return []string{allEvents}, nil
	}
	isSecret := func(name string) bool { return !s.schemes.secrets(scheme) && slices.Contains(s.Config.Secrets, name) }
	offered := func() string {
		all := slices.DeleteFunc(slices.Clone(s.Config.Types), func(name string) bool { return isSecret(name) || withheld[name] != "" })
		return strings.Join(all, ", ")
	}
	for _, name := range events {
		switch known := s.Config.Types; {
		case len(known) > 0 && !slices.Contains(known, name):
			return nil, fault.New(fault.InvalidRequest, "there is no such event; there are %s", offered()).At("events")
		case !validType(name):
			return nil, fault.New(fault.InvalidRequest, "an event has a name such as card.created").At("events")
		case isSecret(name):
			return nil, fault.New(fault.InvalidRequest, "%s tells a secret, which this kind of webhook is not sent", name).At("events")
		case withheld[name] != "":
			return nil, fault.New(fault.InvalidRequest, "%s is sent to %s alone; there are %s", name, withheld[name], offered()).At("events")
		}
	}
	events = slices.Sorted(slices.Values(events))
	return slices.Compact(events), nil
}

// chooseSecret returns the customer's secret, or a new one of 256 random bits.
func chooseSecret(chosen pan.Secret) (pan.Secret, error) {
	if chosen.IsZero() {
		var b [32]byte
		_, _ = rand.Read(b[:]) // never fails: crypto/rand ends the process instead
		return pan.NewSecret("whsec_" + base64.RawURLEncoding.EncodeToString(b[:])), nil
	}
	text := chosen.Reveal()
	if len(text) < MinSecret || len(text) > MaxSecret || strings.ContainsFunc(text, func(c rune) bool { return c <= ' ' || c > '~' }) {
		return pan.Secret{}, fault.New(fault.InvalidRequest, "a secret has %d to %d printable ASCII characters", MinSecret, MaxSecret).At("secret")
	}
	return chosen, nil
}

// Find returns an endpoint of book, or the fault not_found.
func (s *Service) Find(ctx context.Context, book ledger.BookID, endpoint EndpointID) (Endpoint, error) {
	e, err := findRow(ctx, s.DB, book, endpoint)
	return e.Endpoint, err
}

// List returns the endpoints of book, the oldest first: at most Config.MaxEndpoints.
func (s *Service) List(ctx context.Context, book ledger.BookID) ([]Endpoint, error) {
	rows, err := storage.All(ctx, s.DB, scanEndpoint, listEndpoints, string(book), s.Config.MaxEndpoints)
	if err != nil {
		return nil, fmt.Errorf("list webhooks: %w", err)
	}
	endpoints := make([]Endpoint, len(rows))
	for i := range rows {
		endpoints[i] = rows[i].Endpoint
	}
	return endpoints, nil
}

// Delete removes an endpoint, its secrets and what was still to be delivered to it.
func (s *Service) Delete(ctx context.Context, c Change) error {
	_, err := s.change(ctx, c, "webhook.delete", func(ctx context.Context, tx *storage.Tx, e *row) error {
		e.state, e.Active, e.Reason = endpointDeleted, false, endpointDeleted
		e.secret, e.previous, e.PreviousUntil = []byte{}, nil, time.Time{}
		_, err := tx.Exec(ctx, cancelDeliveries, string(c.Book), string(c.Endpoint))
		return err
	})
	return err
}

// Disable stops deliveries to an endpoint, for a reason of at most 100 characters that is
// none of those with which its owner may enable it again. What is pending stays so and goes
// on when it is enabled within the retention.
func (s *Service) Disable(ctx context.Context, c Change, reason string) (Endpoint, error) {
	switch {
	case !plain.Line(reason, 1, maxReason):
		return Endpoint{}, fault.New(fault.InvalidRequest, "a reason of 1 to %d characters of plain text is required", maxReason).At("reason")
	case isOwners(reason):
		return Endpoint{}, fault.New(fault.InvalidRequest, "%q alone would let its owner enable it again: say more", reason).At("reason")
	}
	changed, err := s.change(ctx, c, "webhook.disable", func(_ context.Context, _ *storage.Tx, e *row) error {
		e.disable(reason)
		return nil
	})
	return changed.Endpoint, err
}

// Enable lets an endpoint have events again, beginning with those still pending.
func (s *Service) Enable(ctx context.Context, c Change) (Endpoint, error) {
	changed, err := s.change(ctx, c, "webhook.enable", func(ctx context.Context, tx *storage.Tx, e *row) error {
		e.enable()
		return tx.Apply(ctx, []storage.Effect{s.askTurn(e.Book, e.ID, e.Realm)})
	})
	s.Queue.Wake()
	return changed.Endpoint, err
}

// Settings are what may be changed of an endpoint; nil leaves a thing as it is.
type Settings struct {
	URL    *string
	Events []string
	Active *bool
}

// Change replaces settings of an endpoint, all or none. A new address is checked as
// Create checks it; it has a clean record, and gets what is still to be delivered.
// New events count for what happens from now on. It returns invalid_request for
// what Create would refuse or when there is nothing to change, and invalid_state for
// making active what was disabled with Disable: that is for Enable.
func (s *Service) Change(ctx context.Context, c Change, to Settings) (Endpoint, error) {
	if err := s.checkSettings(ctx, to); err != nil {
		return Endpoint{}, err
	}
	withheld, err := s.withheld(ctx, c.Book)
	if err != nil {
		return Endpoint{}, err
	}
	changed, err := s.change(ctx, c, "webhook.change", func(ctx context.Context, tx *storage.Tx, e *row) error {
		to := to
		if to.Events != nil {
			events, err := s.checkEvents(withheld, e.Scheme, to.Events)
			if err != nil {
				return err
			}
			to.Events = events
		}
		if err := e.apply(to); err != nil {
			return err
		}
		return tx.Apply(ctx, []storage.Effect{s.askTurn(e.Book, e.ID, e.Realm)})
	})
	s.Queue.Wake()
	return changed.Endpoint, err
}

func (s *Service) checkSettings(ctx context.Context, to Settings) error {
	if to.URL == nil && to.Events == nil && to.Active == nil {
		return fault.New(fault.InvalidRequest, "there is nothing to change")
	}
	if to.URL == nil {
		return nil
	}
	_, err := s.Guard.Check(ctx, *to.URL)
	return err
}

// apply makes e what it was told to be.
func (e *row) apply(to Settings) error {
	if to.URL != nil && *to.URL != e.URL {
		e.URL = *to.URL
		e.healthy() // the record is the old address's
	}
	if to.Events != nil {
		e.Events = to.Events
	}
	switch {
	case to.Active == nil || *to.Active == e.Active:
	case !*to.Active:
		e.disable(ReasonOwner)
	case isOwners(e.Reason):
		e.enable()
	default:
		return fault.New(fault.InvalidState, "the webhook was disabled by an operator")
	}
	return nil
}

// Rotation says how to change a secret.
type Rotation struct {
	// Secret may be chosen by the customer; one is made when it is empty.
	Secret pan.Secret
	// Grace is how long the present secret stays valid; DefaultGrace when 0, MaxGrace at most.
	Grace time.Duration
}

// Rotate gives an endpoint a new secret and returns it; it is never shown again.
// Requests are signed with both for the time of grace. A secret that was still in
// its grace ends.
func (s *Service) Rotate(ctx context.Context, c Change, r Rotation) (Issued, error) {
	if r.Grace < 0 || r.Grace > MaxGrace {
		return Issued{}, fault.New(fault.InvalidRequest, "a secret stays valid for at most %s", MaxGrace).At("grace")
	}
	if r.Grace == 0 {
		r.Grace = DefaultGrace
	}
	secret, err := chooseSecret(r.Secret)
	if err != nil {
		return Issued{}, err
	}
	sealed, err := s.Vault.Seal(sealSecret, string(c.Endpoint), []byte(secret.Reveal()))
	if err != nil {
		return Issued{}, fmt.Errorf("rotate webhook %s: %w", c.Endpoint, err)
	}
	return s.change(ctx, c, "webhook.rotate", func(_ context.Context, _ *storage.Tx, e *row) error {
		e.previous, e.PreviousUntil = e.secret, s.Clocks.Now(realm.Live).Add(r.Grace)
		e.secret, e.issued = sealed, secret
		return nil
	})
}

// change makes one change to a locked endpoint, audited unless it changed nothing, and tells
// this process of it at once.
func (s *Service) change(ctx context.Context, c Change, action string, edit func(context.Context, *storage.Tx, *row) error) (Issued, error) {
	var e row
	var made Issued
	err := s.DB.Write(ctx, func(ctx context.Context, tx *storage.Tx) error {
		var err error
		if e, err = lockRow(ctx, tx, c.Book, c.Endpoint); err != nil {
			return err
		}
		before := e
		if err := edit(ctx, tx, &e); err != nil {
			return err
		}
		made = Issued{e.Endpoint, e.issued}
		if reflect.DeepEqual(e, before) {
			return c.Also.Apply(ctx, tx, made)
		}
		if err := s.save(ctx, tx, &e); err != nil {
			return err
		}
		detail := e.detail()
		if e.URL != before.URL || !slices.Equal(e.Events, before.Events) {
			maps.Copy(detail, e.wants())
		}
		if err := s.record(ctx, tx, &e, audit.Record{Actor: c.Actor, Action: action, Detail: detail}); err != nil {
			return err
		}
		return c.Also.Apply(ctx, tx, made)
	})
	if err != nil {
		return Issued{}, err
	}
	s.Outbox.subscriptions.learn(e.subscription())
	return made, nil
}

// save writes e as its next version.
func (s *Service) save(ctx context.Context, tx *storage.Tx, e *row) error {
	e.version++
	effect := saveEndpoint.With(string(e.Book), string(e.ID), e.version, e.state, e.Reason, e.secret, storage.NullBytes(e.previous),
		storage.NullMicros(e.PreviousUntil), e.Failures, storage.NullMicros(e.FailingSince), storage.NullMicros(e.pausedUntil),
		storage.Micros(s.Clocks.Now(realm.Live)), e.URL, strings.Join(e.Events, " "))
	return tx.Apply(ctx, []storage.Effect{effect.Exactly(1)})
}

func (s *Service) record(ctx context.Context, tx *storage.Tx, e *row, r audit.Record) error {
	r.Subject, r.Book, r.At = string(e.ID), string(e.Book), s.Clocks.Now(e.Realm)
	return s.Audit.Append(ctx, tx, r)
}

// askTurn is the effect of having an endpoint served soon.
func (s *Service) askTurn(book ledger.BookID, endpoint EndpointID, r realm.Realm) storage.Effect {
	return job.Enqueue(job.Request{Kind: jobDeliver, Book: string(book), Realm: r, RunAt: s.Clocks.Now(r), Unique: string(endpoint)})
}

func (e *row) enable() {
	e.state, e.Active, e.Reason = endpointActive, true, ""
	e.healthy()
}

// healthy forgets what went wrong so far.
func (e *row) healthy() { e.Failures, e.FailingSince, e.pausedUntil = 0, time.Time{}, time.Time{} }

func (e *row) disable(reason string) {
	e.state, e.Active, e.Reason = endpointDisabled, false, reason
}

// wants says for the audit log what is sent where. A query, which may have a key in it, is
// left out: nothing is ever removed there.
func (e *row) wants() map[string]string {
	address, query, found := strings.Cut(e.URL, "?")
	if found && query != "" {
		address += "?" + redacted
	}
	return map[string]string{"url": audit.Clean(address), "events": audit.Clean(strings.Join(e.Events, " "))}
}

func (e *row) detail() map[string]string {
	detail := map[string]string{"state": e.state}
	if e.state == endpointDisabled {
		detail["reason"] = audit.Clean(e.Reason)
	}
	return detail
}
