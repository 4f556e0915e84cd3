package issuing

import (
	"cmp"
	"context"
	"crypto/subtle"
	"slices"
	"strconv"
	"time"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/id"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/core/plain"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/issuing/cardholder"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/memo"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// Get returns a card of the holder's as it stands, without its number, or not_found.
func (s *Service) Get(ctx context.Context, h Holder, card CardID) (Card, error) {
	c, err := s.stored(ctx, h.Book, card)
	if err != nil {
		return Card{}, err
	}
	account, err := s.Books.FindAccount(ctx, h.Book, accountOf(c.ID))
	if err != nil {
		return Card{}, err
	}
	now, err := s.shown(ctx, c, account, s.Clocks.Now(h.Realm))
	return *now, err
}

// Details is what is printed on a card.
type Details struct {
	Card        CardID
	Number      pan.Number
	CVC         pan.Secret
	Month, Year int // in which it expires
	HolderName  string
	Billing     Address
}

// Details returns a card's number, CVV and expiry. It is written to the audit log first.
// It returns not_found, or invalid_state for a card that has ended.
func (s *Service) Details(ctx context.Context, h Holder, card CardID) (Details, error) {
	c, err := s.stored(ctx, h.Book, card)
	if err != nil {
		return Details{}, err
	}
	if now := c.at(s.Clocks.Now(h.Realm)); now.Status == Terminated {
		return Details{}, ended(now)
	}
	if err := s.note(ctx, h, audited{action: "card.details", card: card}); err != nil {
		return Details{}, err
	}
	number, err := s.unseal(&c.Card)
	if err != nil {
		return Details{}, err
	}
	d := Details{Card: card, Number: number, CVC: s.cvc(number, c.Expiry()), Month: int(c.ExpiresAt.Month()), Year: c.ExpiresAt.Year(),
		HolderName: s.Programme.HolderName, Billing: s.Programme.Billing}
	if c.Holder != "" {
		person, err := s.Cardholders.Get(ctx, h.Book, cardholder.ID(c.Holder))
		if err != nil {
			return Details{}, err
		}
		d.HolderName, d.Billing = person.Name, person.Address
	}
	return d, nil
}

// Find returns a card of a book as it was within the last second, for whoever decides a
// payment: without its number and its money, which the books know. A card whose
// cardholder may not have cards is frozen. It returns not_found.
//
// What was decided by it is written with Used, which is refused when the card is not any
// more as it was found; before a refusal, look again with Reread.
func (s *Service) Find(ctx context.Context, book ledger.BookID, card CardID) (*Card, error) {
	if !id.Valid(idPrefix, string(card)) {
		return nil, unknownCard()
	}
	query := memo.Query{Key: cardKey(book, card), Now: s.Clocks.Now(realm.Live)}
	c, _, err := s.recent.Find(ctx, query, func(ctx context.Context) (*record, bool, error) {
		c, err := s.stored(ctx, book, card)
		return c, err == nil, err // an absence is an error here, which is not remembered
	})
	if err != nil {
		return nil, err
	}
	found := c.at(s.Clocks.Now(c.Realm))
	return found, s.judge(ctx, found)
}

// judge adds to a remembered card what may have changed about its cardholder.
func (s *Service) judge(ctx context.Context, c *Card) error {
	var err error
	if c.Tier, err = s.Cardholders.TierOf(ctx, c.Book, cardholder.ID(c.Holder)); err != nil || c.Status != Active {
		return err
	}
	switch err := s.mayBeUsed(ctx, c); fault.CodeOf(err) {
	case "":
		return nil
	case fault.InvalidState:
		c.Status, c.Reason = Frozen, ReasonCardholder
		return nil
	default:
		return err
	}
}

// mayBeUsed returns why nobody may use a card for whom it is.
func (s *Service) mayBeUsed(ctx context.Context, c *Card) error {
	if c.Holder == "" {
		return nil
	}
	person, err := s.Cardholders.Recall(ctx, c.Book, cardholder.ID(c.Holder))
	if err == nil && !person.State.MayHold() {
		err = fault.New(fault.InvalidState, "the cardholder is %s", person.State)
	}
	return err
}

// Reread is Find, past what is remembered, for a card that Find or FindByNumber found.
func (s *Service) Reread(ctx context.Context, card *Card) (*Card, error) {
	s.forget(card.Book, card.ID)
	found, err := s.Find(ctx, card.Book, card.ID)
	if err != nil || card.Number.IsZero() {
		return found, err
	}
	return s.named(ctx, found, card.Number)
}

// FindByNumber returns the card of a realm that has a number, as Find does, with the
// number. One whose number was replaced is terminated, by the reason that it was replaced
// for. It returns not_found for every other number.
func (s *Service) FindByNumber(ctx context.Context, r realm.Realm, number pan.Number) (*Card, error) {
	hash := s.numberHash(number)
	o, _, err := s.owners.Find(ctx, memo.Query{Key: memo.Key(hash), Now: s.Clocks.Now(realm.Live)}, func(ctx context.Context) (owner, bool, error) {
		o, err := s.ownerOf(ctx, hash)
		return o, err == nil, err
	})
	if err != nil {
		return nil, err
	}
	found, err := s.Find(ctx, o.book, o.card)
	if err == nil && found.Realm != r {
		err = unknownCard()
	}
	if err != nil {
		return nil, err
	}
	return s.named(ctx, found, number)
}

// Probe is a number that was looked up, whoever's it is.
type Probe struct {
	// Known says that the number is the card's; else Card is another, or nil when there is none.
	Known bool
	Card  *Card
}

// Probe looks a number up for a balance check that a book asks for, empty where anybody may be
// asking. It does the same work whatever it finds that is not the book's own: a number that no
// card has is looked up with the card whose hash comes next, so that the time it takes tells
// nothing. Of a number that was replaced it knows nothing.
func (s *Service) Probe(ctx context.Context, number pan.Number, asker ledger.BookID) (Probe, error) {
	hash := s.numberHash(number)
	near, ok, err := storage.One(ctx, s.DB, scanNeighbour, nearestOwner, hash)
	if err != nil || !ok {
		return Probe{}, err
	}
	c, err := s.stored(ctx, near.book, near.card)
	if err != nil {
		return Probe{}, err
	}
	account, err := s.Books.FindAccount(ctx, near.book, accountOf(c.ID))
	if err != nil {
		return Probe{}, err
	}
	found := Probe{Known: subtle.ConstantTimeCompare(near.hash, hash)&subtle.ConstantTimeCompare(c.hash, hash) == 1}
	now := s.Clocks.Now(c.Realm)
	if !found.Known || c.Book != asker {
		found.Card = c.at(now).withMoney(account.Posted(), account.Available())
		return found, nil
	}
	found.Card, err = s.shown(ctx, c, account, now)
	return found, err
}

func (s *Service) ownerOf(ctx context.Context, hash []byte) (owner, error) {
	o, ok, err := storage.One(ctx, s.DB, scanOwner, findOwner, hash)
	if err == nil && !ok {
		err = unknownCard()
	}
	return o, err
}

// named gives a card that was found the number by which it was. Where the card has
// another one, either of the two was remembered for too long, or the number is an old one.
func (s *Service) named(ctx context.Context, found *Card, number pan.Number) (*Card, error) {
	hash := s.numberHash(number)
	if !found.hasNumber(hash) {
		s.forget(found.Book, found.ID)
		var err error
		if found, err = s.Find(ctx, found.Book, found.ID); err != nil {
			return nil, err
		}
	}
	found.Number = number
	if found.hasNumber(hash) {
		return found, nil
	}
	o, err := s.ownerOf(ctx, hash)
	if err != nil {
		return nil, err
	}
	found.Status, found.Reason, found.EndedAt, found.Last4 = Terminated, o.reason, o.replacedAt, number.Last4()
	return found, nil
}

// Sort is an order of cards.
type Sort string

// The sorts. Equal ones are the newest first, or the oldest when ascending.
const (
	ByCreated  Sort = "created_at"
	ByBalance  Sort = "balance" // by the number, whatever the currency
	ByLastUsed Sort = "last_used"
)

// Bounds of a page.
const (
	DefaultPerPage = 25
	MaxPerPage     = 100
	maxOffset      = 1_000_000
	maxOpen        = 1_000_000 // cards that are sorted by balance
)

// Filter says which cards of a holder to list.
type Filter struct {
	Holder Holder
	Status Status // empty: all
	BIN    string // empty: all
	Label  string // a part of it, in any case; empty: all
	Sort   Sort   // ByCreated when empty
	// Ascending lists the least first; otherwise the greatest.
	Ascending bool
	Offset    int // at most a million
	Limit     int // DefaultPerPage when 0, MaxPerPage and one more at most
	// After lists those that were made after a card, oldest first: whatever becomes of those
	// before it, none is left out.
	After CardID
}

// Page is some of the cards that a filter finds.
type Page struct {
	Cards []Card
	// Total is how many there are on all pages.
	Total int
}

// args are the parameters of every statement that filters.
func (f *Filter) args(now time.Time) []any {
	return []any{string(f.Holder.Book), storage.Micros(now), string(f.Status), f.BIN, fold(f.Label)}
}

// list is the statement of the sort, which the database makes.
func (f *Filter) list() *storage.Statement {
	switch {
	case f.After != "":
		return listAfter
	case f.Sort == ByLastUsed && f.Ascending:
		return listUnused
	case f.Sort == ByLastUsed:
		return listUsed
	case f.Ascending:
		return listOldest
	}
	return listNewest
}

func (f *Filter) check() error {
	if f.Sort == "" {
		f.Sort = ByCreated
	}
	if f.Limit == 0 {
		f.Limit = DefaultPerPage
	}
	known := f.Sort == ByCreated || f.Sort == ByBalance || f.Sort == ByLastUsed
	if !known || f.Limit < 1 || f.Limit > MaxPerPage+1 || f.Offset < 0 || f.Offset > maxOffset {
		return fault.New(fault.InvalidRequest, "want a known sort, a limit of 1 to %d and an offset of at most %s", MaxPerPage, strconv.Itoa(maxOffset))
	}
	switch {
	case f.After == "":
	case !id.Valid(idPrefix, string(f.After)):
		return fault.New(fault.InvalidCursor, "the cursor is no card's id")
	case f.Sort != ByCreated || !f.Ascending || f.Offset > 0:
		return fault.New(fault.InvalidRequest, "cards follow on another in the order of their making")
	}
	if f.Status != "" && !slices.Contains(Statuses(), f.Status) {
		return fault.New(fault.InvalidRequest, "the status is pending_top_up, active, frozen or terminated").At("status")
	}
	if !plain.Line(f.Label, 0, maxLabel) || !plain.LineBytes(f.BIN, 0, maxKey) {
		return fault.New(fault.InvalidRequest, "a label has at most %d characters of plain text", maxLabel).At("label")
	}
	return nil
}

// List returns a page of a holder's cards and how many there are. It returns
// invalid_request for a filter outside its bounds.
func (s *Service) List(ctx context.Context, f Filter) (Page, error) {
	if err := f.check(); err != nil {
		return Page{}, err
	}
	now := s.Clocks.Now(f.Holder.Realm)
	if f.Sort == ByBalance {
		return s.byBalance(ctx, &f, now)
	}
	var page Page
	var found []*record
	span := []any{f.Limit, f.Offset}
	if f.After != "" {
		span = []any{f.Limit, string(f.After)}
	}
	err := s.DB.Snapshot(ctx, func(ctx context.Context, q storage.Queryer) (err error) {
		if page.Total, _, err = storage.One(ctx, q, storage.Scalar[int], countCards, f.args(now)...); err != nil {
			return err
		}
		found, err = storage.All(ctx, q, scanCard, f.list(), append(f.args(now), span...)...)
		return err
	})
	if err != nil {
		return Page{}, err
	}
	page.Cards, err = s.present(ctx, found, now)
	return page, err
}

// present completes cards of one book with their money.
func (s *Service) present(ctx context.Context, found []*record, now time.Time) ([]Card, error) {
	cards := make([]Card, 0, len(found))
	if len(found) == 0 {
		return cards, nil
	}
	accounts := make([]ledger.AccountID, len(found))
	for i, c := range found {
		accounts[i] = accountOf(c.ID)
	}
	money, err := s.Books.FindAccounts(ctx, found[0].Book, accounts)
	if err != nil {
		return nil, err
	}
	on := make(map[ledger.AccountID]*ledger.Account, len(money))
	for _, a := range money {
		on[a.ID] = a
	}
	for _, c := range found {
		if err := s.complete(ctx, c); err != nil {
			return nil, err
		}
		card := c.at(now)
		if a := on[accountOf(c.ID)]; a != nil {
			if card, err = s.shown(ctx, c, a, now); err != nil {
				return nil, err
			}
		}
		cards = append(cards, *card)
	}
	return cards, nil
}

// byBalance sorts by what the books know. Cards that are closed have nothing: they come
// behind all others, or before them, in the order in which they were made.
func (s *Service) byBalance(ctx context.Context, f *Filter, now time.Time) (Page, error) {
	var open, closed []*record
	none := 0
	err := s.DB.Snapshot(ctx, func(ctx context.Context, q storage.Queryer) (err error) {
		if open, err = storage.All(ctx, q, scanCard, listOpen, append(f.args(now), maxOpen, 0)...); err != nil {
			return err
		}
		if none, _, err = storage.One(ctx, q, storage.Scalar[int], countClosed, f.args(now)...); err != nil {
			return err
		}
		list, skip := listClosed, max(0, f.Offset-len(open))
		take := f.Limit - min(f.Limit, max(0, len(open)-f.Offset))
		if f.Ascending {
			list, skip, take = listClosedUp, f.Offset, f.Limit
		}
		closed, err = storage.All(ctx, q, scanCard, list, append(f.args(now), take, skip)...)
		return err
	})
	if err != nil {
		return Page{}, err
	}
	cards, err := s.present(ctx, open, now)
	if err != nil {
		return Page{}, err
	}
	slices.SortFunc(cards, func(a, b Card) int {
		order := cmp.Or(a.Balance.CmpNumber(b.Balance), cmp.Compare(a.ID, b.ID))
		if f.Ascending {
			return order
		}
		return -order
	})
	rest, err := s.present(ctx, closed, now)
	if err != nil {
		return Page{}, err
	}
	page := Page{Total: len(cards) + none}
	if f.Ascending {
		first := min(len(cards), max(0, f.Offset-none))
		cards = cards[first:min(len(cards), first+f.Limit-len(rest))]
		page.Cards = append(rest, cards...)
		return page, nil
	}
	first := min(len(cards), f.Offset)
	page.Cards = append(cards[first:min(len(cards), first+f.Limit)], rest...)
	return page, nil
}

// Totals are sums over a book's cards in one currency.
type Totals struct {
	Active int // cards that can be used
	// Balance is what can be spent with all cards that are not closed.
	Balance money.Amount
	// Owed is what the customer owes for payments beyond what was on a card.
	Owed money.Amount
}

// Totals returns the sums over a holder's cards in a currency, and what is owed in it.
func (s *Service) Totals(ctx context.Context, h Holder, currency money.Currency) (Totals, error) {
	now := s.Clocks.Now(h.Realm)
	open, err := storage.All(ctx, s.DB, scanCard, listOpen, append((&Filter{Holder: h}).args(now), maxOpen, 0)...)
	if err != nil {
		return Totals{}, err
	}
	cards, err := s.present(ctx, open, now)
	if err != nil {
		return Totals{}, err
	}
	t := Totals{Balance: money.New(0, currency)}
	for i := range cards {
		if cards[i].BIN.Currency != currency {
			continue
		}
		if cards[i].Status == Active {
			t.Active++
		}
		if t.Balance, err = t.Balance.Add(cards[i].Balance); err != nil {
			return Totals{}, err
		}
	}
	t.Owed, err = s.owed(ctx, h.Book, currency)
	return t, err
}

// OfCardholder returns the ids of a cardholder's cards that are not closed, after the
// given one, at most MaxPerPage.
func (s *Service) OfCardholder(ctx context.Context, book ledger.BookID, person cardholder.ID, after CardID) ([]CardID, error) {
	found, err := storage.All(ctx, s.DB, scanCard, listOf, string(book), string(person), string(after), MaxPerPage)
	if err != nil {
		return nil, err
	}
	ids := make([]CardID, len(found))
	for i, c := range found {
		ids[i] = c.ID
	}
	return ids, nil
}
