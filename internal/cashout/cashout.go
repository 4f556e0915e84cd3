// Package cashout turns prepaid cards into bitcoin: an order from its first call to the
// payout, for whoever knows its token.
//
// It promises that an order goes through its states by one table; that the price floats with
// the ticker until it is locked, for a time that no rejection prolongs; that nothing is in the books before a reviewer
// approves, and then everything at once, with a hold for the payout; and that a token is kept
// as a keyed hash and never printed. Below it ticker is the price, phone proves phones,
// customer is who and how much, review what people decide.
//
// It must never pay by itself, hold a picture, nor tell an order that is gone from one that
// never was.
package cashout

import (
	"context"
	"io"
	"log/slog"
	"time"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/cashout/customer"
	"github.com/scripcards/scrip/internal/cashout/phone"
	"github.com/scripcards/scrip/internal/cashout/ticker"
	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/job"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/platform/vault"
	"github.com/scripcards/scrip/internal/webhook"
)

// ID names an order ("cash_…"). It is public: the token is what opens the order.
type ID string

// Prefix begins every order's id.
const Prefix = "cash"

// Method is how bitcoin is paid.
type Method string

// The methods.
const (
	None      Method = ""
	OnChain   Method = "address"
	Lightning Method = "lightning"
)

// Kind is one picture of an order.
type Kind string

// The pictures: the card with its packaging, the receipt, and of a document both sides and
// its owner with it.
const (
	Card         Kind = "Image1"
	Receipt      Kind = "Image2"
	DocFront     Kind = "GovidImageFront"
	DocBack      Kind = "GovidImageBack"
	SelfPortrait Kind = "GovidImageSelfPortrait"
)

// Kinds returns the closed list in its documented order.
func Kinds() []Kind { return []Kind{Card, Receipt, DocFront, DocBack, SelfPortrait} }

// Destination is where bitcoin can be sent.
type Destination struct {
	Text   string
	Method Method
}

// Payment is what is to be paid for an order.
type Payment struct {
	Book   ledger.BookID
	Realm  realm.Realm
	Order  ID
	To     string
	Amount money.Amount // in BTC
	// From is the account with what is owed.
	From ledger.AccountID
}

// Payouts pays bitcoin.
type Payouts interface {
	// Bounds returns the least and the most of one payout, in BTC.
	Bounds() (least, most money.Amount)
	// Parse reads where bitcoin can be sent in a realm: an address, an invoice without an
	// amount, or a Lightning Address. It returns invalid_request, and calls nobody.
	Parse(r realm.Realm, text string) (Destination, error)
	// Plan makes a payout a part of an operation, and returns its id. It returns
	// invalid_request and already_exists where it can never be paid there.
	Plan(ctx context.Context, p Payment, op *ledger.Operation) (id string, err error)
}

// Owner is whose pictures they are.
type Owner struct {
	Realm realm.Realm
	Order ID
}

// Form is what a picture is uploaded with.
type Form struct {
	URL, Key, ACL, ContentType, SuccessStatus, Bucket string
	Algorithm, Credential, Date, Policy, Signature    string
}

// NewImage is a picture about to be uploaded.
type NewImage struct {
	Owner Owner
	Kind  Kind
	// Name ends in what kind of file it is; Size is in bytes.
	Name string
	Size int64
}

// Twin is a picture of another order that looks like this one, and in which way:
// "same_photo", "same_card" or "same_design"; or the same photo for another kind of this order.
type Twin struct {
	Image       string
	Order       ID
	Resemblance string
}

// Image is the newest picture of a kind that was taken.
type Image struct {
	ID            string
	Kind          Kind
	SHA256        string
	Width, Height int
	UploadedAt    time.Time
	Twins         []Twin
	// Refused is why the newest upload was not taken, where ID is empty.
	Refused string
}

// Erasure is when an order's pictures go, and when that goes by which pictures of later
// orders are found that show the same card: not before.
type Erasure struct{ Pictures, Marks time.Time }

// Images keeps pictures.
type Images interface {
	Presign(ctx context.Context, n NewImage) (Form, error)
	List(ctx context.Context, o Owner) ([]Image, error)
	// Close returns the effect with which forms that are open are refused.
	Close(o Owner) []storage.Effect
	// EraseAfter returns the effects that set the clocks on all of an order's pictures.
	EraseAfter(o Owner, e Erasure) []storage.Effect
}

// Captcha judges whether a person answered; invalid_request where none did.
type Captcha interface {
	Verify(ctx context.Context, answer, address string) error
}

// Desk is how one realm is served. Its prices, tiers, captcha and lists may differ.
type Desk struct {
	Ticker   *ticker.Ticker
	Tiers    customer.Tiers
	Captcha  Captcha
	Screener customer.Screener
	// Payouts and Images are nil where the realm has none: then orders end at what needs them.
	Payouts Payouts
	Images  Images
	// PriceLock is how long a price is locked from the payment details on.
	PriceLock time.Duration
	// KeepImages is how long pictures stay after a decision, KeepBlocked those of an order
	// that is blocked.
	KeepImages, KeepBlocked time.Duration
	// KeepMarks is how long after the end of an order pictures of later ones are held against
	// its own; where those stay longer, as long.
	KeepMarks time.Duration
}

// erase returns the effects of having the pictures of an order that has ended erased after
// so long.
func (d *Desk) erase(o *Order, keep time.Duration) []storage.Effect {
	if d == nil || d.Images == nil {
		return nil
	}
	return d.Images.EraseAfter(o.owner(), Erasure{Pictures: o.ChangedAt.Add(keep), Marks: o.ChangedAt.Add(max(keep, d.KeepMarks))})
}

// Deps is what a Service stands on.
type Deps struct {
	DB       *storage.DB
	Books    *ledger.Ledger
	Vault    *vault.Vault
	Accounts *account.Service
	Outbox   *webhook.Outbox
	Queue    *job.Queue
	Clocks   *clock.Realms
	Phones   *phone.Service
	Logger   *slog.Logger
	// Random is where tokens come from: crypto/rand.Reader.
	Random io.Reader
	// Desks are the realms that are served.
	Desks map[realm.Realm]*Desk
	// Unserved has the pictures of orders of other realms, such as one that was served once:
	// they end all the same. It may be nil.
	Unserved *Desk
}

// Lifetime is how long an order waits for its customer, anew after a rejection.
const Lifetime = 24 * time.Hour

// maxTries bounds how often a change is decided anew because somebody else came first.
const maxTries = 8

// Service is the orders of one installation. It is safe for concurrent use.
type Service struct {
	Deps
	customers *customer.Register
	books     bookshelf
}

// New returns the service.
func New(d Deps) *Service { return &Service{Deps: d, customers: customer.New(d.Vault)} }

// Order is one order.
type Order struct {
	Book     ledger.BookID
	ID       ID
	Realm    realm.Realm
	Status   Status
	Revision int64
	Amount   money.Amount
	// Price is what the order was locked at last, and Bitcoin what is owed for it; zero before.
	Price   ticker.Price
	Bitcoin money.Amount
	// LockedUntil is until when pictures can be submitted at that price.
	LockedUntil time.Time
	To          Destination
	Customer    customer.ID
	// NeedsDocument says that the pictures of a document are asked for.
	NeedsDocument bool
	// Round is how often it was rejected.
	Round int
	// Payout names the payout, and Proof its transaction or preimage once it is over.
	Payout, Proof string
	// Reason is why it was blocked or cancelled, or why its payout failed.
	Reason                                                                string
	CreatedAt, ChangedAt, AuthorizedAt, SubmittedAt, DecidedAt, ExpiresAt time.Time

	phone []byte // sealed
}

// The types of the events.
const (
	eventSubmitted = "cashout.submitted"
	eventApproved  = "cashout.approved"
	eventRejected  = "cashout.rejected"
	eventBlocked   = "cashout.blocked"
	eventCompleted = "cashout.completed"
	eventFailed    = "cashout.payout_failed"
)

// EventTypes returns the types of this package's events.
func EventTypes() []string {
	return []string{eventSubmitted, eventApproved, eventRejected, eventBlocked, eventCompleted, eventFailed}
}
