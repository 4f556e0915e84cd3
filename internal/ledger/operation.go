package ledger

import (
	"crypto/sha256"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// Operation is one atomic change of one book, as data. Its parts take effect in
// the order of the fields: accounts open, states move to open, holds end or
// begin, postings are made, guards count, states move to frozen or closed.
type Operation struct {
	Book BookID
	// Kind says what happened in the product's words: "giftcard.redeem".
	Kind string
	// Key makes the operation repeatable: a second one under the same key in the
	// same book returns the first outcome. Empty: never repeated.
	Key string
	// Intent is what the key stands for, when the operation holds something that
	// differs between tries (a fresh id). Empty: everything the operation says.
	Intent string
	// Reference is the caller's own name for it, or why it was done, shown in statements.
	Reference string
	// Actor is who asked for it: a credential, an operator or a job.
	Actor string
	At    time.Time

	Open     []NewAccount
	Holds    []HoldChange
	Postings []Posting
	Guards   []Guard
	States   []StateChange
	// Solvent are accounts below which nothing may be owed: while one of them has less than
	// zero available, the operation is refused with ErrOverdrawn. One that there is not owes nothing.
	Solvent []AccountID
	// Reverses undoes what the named transaction posted, once, and not if others followed it.
	Reverses TransactionID
	// Follows are the transactions that this one builds on, such as the payment of which a
	// refund gives a part back: none was reversed, and none is reversed any more.
	Follows []TransactionID
	// Final says that it is not reversed any more: what was decided with it stands.
	Final bool

	// Effects turns the outcome into the rows to be written with it: the product's
	// own row, events, the stored answer. It must be pure; its error refuses the operation.
	Effects func(Outcome) ([]storage.Effect, error)
	// Speculative says that Effects may be called before it is known whether the key was used:
	// whoever made the operation looks at the outcome that is returned, and where it is
	// Replayed at nothing that Effects left.
	Speculative bool

	print [16]byte // its fingerprint, taken before it waits for its turn
}

// Posting moves an amount from the account that is debited to the one that is credited.
type Posting struct {
	Debit  AccountID
	Credit AccountID
	Amount money.Amount
	// All moves whatever is available of the debited account instead of Amount; nothing, if nothing is.
	All bool
	// Forced takes the amount whether or not the debited account has it, and though it or the
	// credited one is frozen: for what others undid, such as a payment that a blockchain gave up.
	// An account below its floor pays nothing more until what it receives has made up for it.
	Forced bool
}

// HoldAction is what happens to a hold.
type HoldAction string

// The actions. Place and Increase need an amount; Capture and Release take all that
// is left without one; a Final capture also releases what it does not take.
const (
	Place    HoldAction = "place"
	Increase HoldAction = "increase"
	Capture  HoldAction = "capture"
	Release  HoldAction = "release"
	Expire   HoldAction = "expire"
)

// HoldChange is one step in the life of a hold.
type HoldChange struct {
	Action HoldAction
	ID     HoldID
	Amount money.Amount
	// Debit, Credit and ExpiresAt are for Place; a zero ExpiresAt means never.
	Debit     AccountID
	Credit    AccountID
	ExpiresAt time.Time
	Final     bool
	// InTime refuses a Release, too, once the hold's time is over.
	InTime bool
}

// StateChange moves an account to a state. Closing needs an empty account.
type StateChange struct {
	Account AccountID
	To      State
}

// Guard adds to a named counter of the book and refuses the operation when the
// counter would pass Limit: a spending window ("spend/card_…/2026-11"), or the
// refunds of one sale. Add may be negative, to give back; no counter falls below zero.
type Guard struct {
	Counter string
	Add     int64
	Limit   int64
}

// Limits of one operation.
const (
	maxParts = 256
	maxName  = 200
	// maxReference is longer: it may be why somebody did something, in any script.
	maxReference = 512
	maxKey       = 255
)

func (op *Operation) validate() error {
	parts := len(op.Open) + len(op.Holds) + len(op.Postings) + len(op.Guards) + len(op.States)
	switch {
	case op.Book == "" || op.Kind == "" || op.At.IsZero():
		return fault.New(fault.InvalidRequest, "operation %s: book, kind and time are required", op.Kind)
	case parts == 0 && op.Reverses == "":
		return fault.New(fault.InvalidRequest, "operation %s does nothing", op.Kind)
	case parts+len(op.Solvent)+len(op.Follows) > maxParts:
		return fault.New(fault.InvalidRequest, "operation %s has %d parts, the most is %d", op.Kind, parts+len(op.Solvent)+len(op.Follows), maxParts)
	}
	if !isName(string(op.Book)) || !isName(op.Kind) || len(op.Key) > maxKey || !isText(op.Key) {
		return fault.New(fault.InvalidRequest, "operation: want a book and a kind of at most %d bytes, and a key of at most %d", maxName, maxKey)
	}
	for _, text := range []string{op.Actor, string(op.Reverses)} {
		if text != "" && !isName(text) {
			return fault.New(fault.InvalidRequest, "operation %s: want names of at most %d bytes", op.Kind, maxName)
		}
	}
	if len(op.Reference) > maxReference || !isText(op.Reference) {
		return fault.New(fault.InvalidRequest, "operation %s: want a reference of at most %d bytes", op.Kind, maxReference)
	}
	for _, original := range op.Follows {
		if !isName(string(original)) {
			return fault.New(fault.InvalidRequest, "operation %s: what it follows has a name", op.Kind)
		}
	}
	if err := op.validateAccounts(); err != nil {
		return err
	}
	for i := range op.Postings {
		if err := op.Postings[i].validate(); err != nil {
			return err
		}
	}
	for i := range op.Holds {
		if err := op.Holds[i].validate(); err != nil {
			return err
		}
	}
	return nil
}

// isName reports whether text can name something: it is not empty, not too long, and
// UTF-8 without zero bytes, which one of the engines could not store.
func isName(text string) bool {
	return text != "" && len(text) <= maxName && isText(text)
}

func isText(text string) bool { return utf8.ValidString(text) && strings.IndexByte(text, 0) < 0 }

func (op *Operation) validateAccounts() error {
	for _, a := range op.Open {
		if !isName(string(a.ID)) || !a.Currency.IsValid() || (a.Side != Debit && a.Side != Credit) {
			return fault.New(fault.InvalidRequest, "open account %q: want a name, a currency and a side", a.ID)
		}
	}
	for _, s := range op.States {
		if !isName(string(s.Account)) || (s.To != Open && s.To != Frozen && s.To != Closed) {
			return fault.New(fault.InvalidRequest, "account %q: want a name and a state, not %q", s.Account, s.To)
		}
	}
	for _, id := range op.Solvent {
		if !isName(string(id)) {
			return fault.New(fault.InvalidRequest, "account %q: want a name", id)
		}
	}
	for _, g := range op.Guards {
		if !isName(g.Counter) {
			return fault.New(fault.InvalidRequest, "guard %q: want a counter's name", g.Counter)
		}
	}
	return nil
}

func (p *Posting) validate() error {
	if p.Debit == p.Credit || !isName(string(p.Debit)) || !isName(string(p.Credit)) {
		return fault.New(fault.InvalidRequest, "posting from %q to %q: want two different accounts", p.Debit, p.Credit)
	}
	if p.All && p.Forced {
		return fault.New(fault.InvalidRequest, "posting from %s: what is available needs no force", p.Debit)
	}
	if p.All != p.Amount.IsZero() || p.Amount.IsNegative() || p.Amount.Minor > maxSum || (!p.All && !p.Amount.Currency.IsValid()) {
		return fault.New(fault.InvalidAmount, "posting from %s: the amount must be above zero", p.Debit)
	}
	return nil
}

func (h *HoldChange) validate() error {
	if !isName(string(h.ID)) || h.Amount.IsNegative() || h.Amount.Minor > maxSum || (!h.Amount.IsZero() && !h.Amount.Currency.IsValid()) {
		return fault.New(fault.InvalidAmount, "%s hold %q: want an id and an amount that is not negative", h.Action, h.ID)
	}
	switch h.Action {
	case Place:
		if h.Debit == h.Credit || !isName(string(h.Debit)) || !isName(string(h.Credit)) {
			return fault.New(fault.InvalidRequest, "place hold %s: want two different accounts", h.ID)
		}
		fallthrough
	case Increase:
		if !h.Amount.IsPositive() {
			return fault.New(fault.InvalidAmount, "%s hold %s: the amount must be above zero", h.Action, h.ID)
		}
	case Capture, Release, Expire:
	default:
		return fault.New(fault.InvalidRequest, "hold %s: unknown action %q", h.ID, h.Action)
	}
	return nil
}

// fingerprint tells a repeated request from another one under the same key. Ids of new
// holds and the time differ between tries and are left out; so are accounts to open, guards
// and what else only decides whether it may be done.
func (op *Operation) fingerprint() [16]byte {
	buf := make([]byte, 0, 256)
	text := func(values ...string) {
		for _, v := range values {
			buf = strconv.AppendInt(buf, int64(len(v)), 10)
			buf = append(buf, ':')
			buf = append(buf, v...)
		}
	}
	amount := func(a money.Amount) {
		buf = strconv.AppendInt(buf, a.Minor, 10)
		buf = append(buf, '/')
		buf = append(buf, a.Currency.String()...) // its place in a table may change, its code never
		buf = append(buf, ' ')
	}
	text(op.Kind, op.Intent)
	if op.Intent == "" {
		text(op.Reference, string(op.Reverses))
		for _, p := range op.Postings {
			text("p", string(p.Debit), string(p.Credit))
			amount(p.Amount)
			if p.Forced {
				text("forced")
			}
		}
		for _, h := range op.Holds {
			text("h", string(h.Action), string(h.Debit), string(h.Credit), strconv.FormatBool(h.Final))
			if h.Action != Place {
				text(string(h.ID))
			}
			amount(h.Amount)
		}
		for _, s := range op.States {
			text("s", string(s.Account), string(s.To))
		}
	}
	sum := sha256.Sum256(buf)
	return [16]byte(sum[:16])
}
