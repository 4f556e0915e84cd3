// Package decision asks a customer's own server whether a payment that the rules allow
// may go on, and keeps whom to ask, one address a book.
//
// A question is one signed POST with a deadline. What happens without an answer in time is
// stated beside the address; an answer that comes later changes nothing and is told in an
// event. A server that keeps failing is left alone for a while. Requests leave through the
// guard of webhooks.
//
// It can only tighten: no answer makes a payment that the rules decline.
package decision

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/gather"
	"github.com/scripcards/scrip/internal/platform/memo"
	"github.com/scripcards/scrip/internal/platform/reply"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/platform/vault"
	"github.com/scripcards/scrip/internal/webhook"
)

// Otherwise is what happens to a payment when there is no answer in time.
type Otherwise string

// What can happen.
const (
	Approve Otherwise = "approve"
	Decline Otherwise = "decline"
	// StandIn leaves it to the stand-in rules, which approve small amounts.
	StandIn Otherwise = "stand_in"
)

// Bounds of a deadline, and the one that is taken when none is given.
const (
	MinDeadline     = 50 * time.Millisecond
	MaxDeadline     = 5 * time.Second
	DefaultDeadline = time.Second
)

// Config tunes a Service; the zero value is right for production.
type Config struct {
	// LateFor is how long an answer is waited for after its deadline; ten seconds.
	LateFor time.Duration
	// Asking bounds the questions under way; 1,024. What is above has no answer.
	Asking int
	// Failures in a row, 5, leave a server alone for Pause, ten seconds.
	Failures int
	Pause    time.Duration
	// Roots are trusted instead of the system's certificate authorities, for tests.
	Roots *x509.CertPool
}

func (c Config) withDefaults() Config {
	c.LateFor, c.Pause = orDefault(c.LateFor, 10*time.Second), orDefault(c.Pause, 10*time.Second)
	c.Asking, c.Failures = orDefault(c.Asking, 1024), orDefault(c.Failures, 5)
	return c
}

func orDefault[T int | time.Duration](value, fallback T) T {
	if value <= 0 {
		return fallback
	}
	return value
}

// Deps is what a Service stands on. Guard may be nil: the zero Guard.
type Deps struct {
	DB     *storage.DB
	Vault  *vault.Vault
	Outbox *webhook.Outbox
	Audit  *audit.Log
	Clocks *clock.Realms
	Guard  *webhook.Guard
	Logger *slog.Logger
	Config Config
}

// Service keeps whom to ask, and asks. It is safe for concurrent use.
type Service struct {
	Deps
	client *http.Client
	sign   func(webhook.Message) http.Header
	recent *memo.Memo[*setting]
	rows   *gather.Gather[ledger.BookID, gather.Row[setting]]
	asking chan struct{}
	health health
	under  sync.WaitGroup
	closed chan struct{} // by Close
	once   sync.Once
}

// longestLook is when a database that does not answer is not waited for any longer.
const longestLook = 10 * time.Second

// recentBooks bounds the books whose setting, or that they have none, is remembered.
const recentBooks = 65_536

// New returns the service. Close ends the questions under way.
func New(d Deps) *Service {
	d.Config = d.Config.withDefaults()
	if d.Guard == nil {
		d.Guard = &webhook.Guard{}
	}
	d.Guard = d.Guard.Of("decision server")
	s := &Service{Deps: d, client: newClient(d.Guard, d.Config), asking: make(chan struct{}, d.Config.Asking), closed: make(chan struct{}),
		recent: memo.New[*setting](memo.Config{Present: recentBooks, Absent: recentBooks, Fresh: time.Second, Life: time.Minute})}
	s.rows = gather.Rows(longestLook, s.read, func(found *setting) ledger.BookID { return found.Book })
	for _, scheme := range webhook.BuiltInSchemes() {
		if scheme.Name == webhook.SchemeCryptoCardy {
			s.sign = scheme.Sign
		}
	}
	return s
}

// Close gives up the questions under way.
func (s *Service) Close() {
	s.once.Do(func() { close(s.closed) })
	s.under.Wait()
	s.client.CloseIdleConnections()
}

// newClient returns a client that goes through guard, follows no redirect and knows no proxy.
func newClient(guard *webhook.Guard, config Config) *http.Client {
	transport := &http.Transport{
		DialContext:            guard.Dialer(MaxDeadline).DialContext,
		TLSClientConfig:        &tls.Config{RootCAs: config.Roots, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    MaxDeadline,
		MaxResponseHeaderBytes: 16 << 10,
		DisableCompression:     true,
		MaxIdleConns:           256,
		MaxIdleConnsPerHost:    32,
		IdleConnTimeout:        30 * time.Second,
	}
	return &http.Client{Transport: reply.Bounded{Transport: transport}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// Decider is whom a book wants asked.
type Decider struct {
	Book      ledger.BookID
	URL       string
	Deadline  time.Duration
	Otherwise Otherwise
	ChangedAt time.Time
}

// Put is whom to ask from now on.
type Put struct {
	Decider
	// Secret signs the questions; empty: the one there is, or a new one.
	Secret pan.Secret
	Actor  string
	Also   storage.Also[Saved]
}

// Saved is a Decider as it was saved. Secret is shown this once, and when it was made or changed alone.
type Saved struct {
	Decider
	Secret pan.Secret
}

// Bounds of a secret, in bytes.
const (
	minSecret = 16
	maxSecret = 256
	// purposeSecret is what secrets are sealed for.
	purposeSecret = "decision.secret"

	actionPut    = "decider.put"
	actionDelete = "decider.delete"
)

// Put saves whom a book wants asked. It returns invalid_request for an address that may
// not be called, a deadline outside its bounds, or a secret that is too short or long.
func (s *Service) Put(ctx context.Context, p Put) (Saved, error) {
	if p.Deadline == 0 {
		p.Deadline = DefaultDeadline
	}
	if p.Otherwise == "" {
		p.Otherwise = StandIn
	}
	host, err := s.check(ctx, &p)
	if err != nil {
		return Saved{}, err
	}
	var saved Saved
	err = s.DB.Write(ctx, func(ctx context.Context, tx *storage.Tx) error {
		saved = Saved{Decider: p.Decider, Secret: p.Secret}
		saved.ChangedAt = s.Clocks.Now(realm.Live)
		before, known, err := storage.One(ctx, tx, scanSetting, lockSetting, string(p.Book))
		if err != nil {
			return err
		}
		sealed := []byte(nil)
		if known {
			sealed = before.sealed
			if s.same(before, &p) {
				saved = Saved{Decider: before.Decider}
				return p.Also.Apply(ctx, tx, saved)
			}
		}
		if !known || !p.Secret.IsZero() {
			if saved.Secret.IsZero() {
				saved.Secret = newSecret()
			}
			if sealed, err = s.Vault.Seal(purposeSecret, string(p.Book), []byte(saved.Secret.Reveal())); err != nil {
				return err
			}
		}
		row := []any{string(p.Book), p.URL, sealed, p.Deadline.Milliseconds(), string(p.Otherwise), storage.Micros(saved.ChangedAt)}
		if err := tx.ExecRows(ctx, putSetting, [][]any{row}); err != nil {
			return err
		}
		if err := s.Audit.Append(ctx, tx, audit.Record{Actor: p.Actor, Action: actionPut, Subject: string(p.Book), Book: string(p.Book),
			Detail: map[string]string{"host": host, "otherwise": string(p.Otherwise)}, At: saved.ChangedAt}); err != nil {
			return err
		}
		return p.Also.Apply(ctx, tx, saved)
	})
	if err != nil {
		return Saved{}, fmt.Errorf("save decider: %w", err)
	}
	s.recent.Drop(keyOf(p.Book))
	s.health.answered(p.Book) // what failed may be mended, or another server
	return saved, nil
}

// same reports whether nothing changes.
func (s *Service) same(before *setting, p *Put) bool {
	now := p.Decider
	now.ChangedAt = before.ChangedAt
	if now != before.Decider {
		return false
	}
	if p.Secret.IsZero() {
		return true
	}
	secret, err := s.Vault.Unseal(purposeSecret, string(p.Book), before.sealed)
	return err == nil && pan.NewSecret(string(secret)).Equal(p.Secret) // a secret that is lost is replaced
}

// check returns the host that is to be asked, or what is wrong.
func (s *Service) check(ctx context.Context, p *Put) (string, error) {
	if p.Deadline < MinDeadline || p.Deadline > MaxDeadline {
		return "", fault.New(fault.InvalidRequest, "the deadline is %s to %s", MinDeadline, MaxDeadline).At("deadline_ms")
	}
	if p.Otherwise != Approve && p.Otherwise != Decline && p.Otherwise != StandIn {
		return "", fault.New(fault.InvalidRequest, "what happens otherwise is approve, decline or stand_in").At("otherwise")
	}
	if n := len(p.Secret.Reveal()); n > 0 && (n < minSecret || n > maxSecret) {
		return "", fault.New(fault.InvalidRequest, "a secret has %d to %d bytes", minSecret, maxSecret).At("secret")
	}
	u, err := s.Guard.Check(ctx, p.URL)
	if err != nil {
		return "", err
	}
	return u.Hostname(), nil
}

// newSecret draws a secret of 192 bits.
func newSecret() pan.Secret {
	var random [24]byte
	_, _ = io.ReadFull(rand.Reader, random[:]) // crypto/rand never fails
	return pan.NewSecret("whsec_" + base64.RawURLEncoding.EncodeToString(random[:]))
}

// Find returns whom a book wants asked, without the secret, or not_found.
func (s *Service) Find(ctx context.Context, book ledger.BookID) (Decider, error) {
	found, ok, err := s.find(ctx, book)
	if err == nil && !ok {
		err = unknown()
	}
	if err != nil {
		return Decider{}, err
	}
	return found.Decider, nil
}

// Delete has nobody asked any more. It returns not_found when nobody was.
func (s *Service) Delete(ctx context.Context, book ledger.BookID, actor string) error {
	err := s.DB.Write(ctx, func(ctx context.Context, tx *storage.Tx) error {
		n, err := tx.Exec(ctx, deleteSetting, string(book))
		if err == nil && n == 0 {
			err = unknown()
		}
		if err != nil {
			return err
		}
		return s.Audit.Append(ctx, tx, audit.Record{Actor: actor, Action: actionDelete, Subject: string(book), Book: string(book), At: s.Clocks.Now(realm.Live)})
	})
	s.recent.Drop(keyOf(book))
	return err
}

func unknown() error { return fault.New(fault.NotFound, "nobody is asked about payments") }

// read returns the body's first bytes.
func read(r io.Reader, most int64) ([]byte, error) {
	var body bytes.Buffer
	_, err := io.Copy(&body, io.LimitReader(r, most))
	return body.Bytes(), err
}
