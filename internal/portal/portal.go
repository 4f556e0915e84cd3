// Package portal is customers' public pages on which a cardholder checks a balance:
// their names, addresses, branding, languages and networks.
//
// A portal is found by its slug or by a domain of its own, from a memory that is a
// few seconds old at most where another process made the change. A slug or a domain
// leads to one portal; a slug that was given up stays with the customer who had it, and
// a domain leads nowhere until a DNS record has shown whose it is. What is stored can
// be shown as it is: addresses are public, and colours readable.
//
// It must never show a portal of a suspended customer, and it checks no balance.
package portal

import (
	"time"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/job"
	"github.com/scripcards/scrip/internal/platform/memo"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// ID names a portal ("portal_…"). It is not a secret.
type ID string

const idPrefix = "portal"

// Portal is a public page for the cards of one customer.
type Portal struct {
	ID    ID
	Book  ledger.BookID
	Realm realm.Realm
	// Name is shown to visitors: 1 to 128 characters.
	Name string
	// Slug is the end of the page's address, /p/{slug}.
	Slug string
	// CustomDomain is a host name of the customer's own, in lower case; empty: none.
	CustomDomain string
	// Proof is what shows that the domain is the customer's; zero without one.
	Proof    Proof
	Branding Branding
	// Languages are those of the page, the default first: "en", "fr" or "es".
	Languages []string
	// Networks are the ids of those that visitors can choose; empty: all.
	Networks []string
	Active   bool
	// Disabled says that an operator took it off: its owner cannot put it on again.
	Disabled  bool
	CreatedAt time.Time
}

// Branding is how a portal looks. Everything but the colour may be empty.
type Branding struct {
	// LogoURL is an https address, at most 512 bytes.
	LogoURL string
	// PrimaryColor is "#rrggbb".
	PrimaryColor string
	// TextColor is what stands on the primary colour, "#rrggbb" with a contrast of at
	// least 4.5 to 1; empty: black or white, whichever is easier to read.
	TextColor string
	// Tagline is a sentence below the name, at most 200 characters.
	Tagline string
	// SupportURL and PrivacyURL are https addresses, at most 512 bytes; SupportURL may be mailto.
	SupportURL, PrivacyURL string
}

// DefaultColor is the primary colour of portals that name none.
const DefaultColor = "#1f4e79"

// Config bounds the service; zero values have sane defaults.
type Config struct {
	// MaxPortals is how many portals a book has at most: 100.
	MaxPortals int
	// OwnHost is the installation's own host name, which no portal can claim; empty: none.
	OwnHost string
}

// slugsPerPortal bounds the slugs of a book, those that it gave up included.
const slugsPerPortal = 5

// What is remembered of addresses.
const (
	rememberPortals = 4096
	rememberAbsent  = 4096
	rememberFresh   = 2 * time.Second
	rememberLife    = 10 * time.Second
)

// Deps are what the service uses.
type Deps struct {
	DB       *storage.DB
	Audit    *audit.Log
	Accounts *account.Service
	Clocks   *clock.Realms
	// Jobs look for the records of domains.
	Jobs     *job.Queue
	Resolver Resolver
	Config   Config
	// Known reports whether a realm has a network; nil: nobody knows.
	Known func(r realm.Realm, network string) bool
}

// Service keeps portals. It is safe for concurrent use.
type Service struct {
	Deps
	known *memo.Memo[*Portal]
}

// New returns the service.
func New(d Deps) *Service {
	if d.Config.MaxPortals <= 0 {
		d.Config.MaxPortals = 100
	}
	s := &Service{Deps: d, known: memo.New[*Portal](memo.Config{
		Present: rememberPortals, Absent: rememberAbsent, Fresh: rememberFresh, Life: rememberLife,
	})}
	d.Jobs.Handle(jobDomain, job.Options{Concurrency: domainChecks, Timeout: domainTimeout}, s.domainJob)
	return s
}
