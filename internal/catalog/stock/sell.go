package stock

import (
	"context"
	"errors"
	"time"

	"github.com/scripcards/scrip/internal/catalog"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/id"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// Bounds of what is asked at once.
const (
	// MaxCount is the most that Count counts to.
	MaxCount = 1000
	// MaxItems is the most that InStock looks for.
	MaxItems = 500
	// MaxPick is the most that Pick finds, and skips.
	MaxPick = 1000
)

// Count returns how many codes of an item can be sold now, MaxCount at most.
func (s *Stock) Count(ctx context.Context, r realm.Realm, item catalog.ItemCode) (int, error) {
	return s.countTo(ctx, MaxCount, r, item)
}

// CountOf is Count of a product, and whether that is fewer than its LowStock, which may be more
// than is counted.
func (s *Stock) CountOf(ctx context.Context, r realm.Realm, p *catalog.Product) (codes int, low bool, err error) {
	n, err := s.countTo(ctx, max(MaxCount, p.LowStock), r, p.Code)
	return min(n, MaxCount), n < p.LowStock, err
}

func (s *Stock) countTo(ctx context.Context, most int, r realm.Realm, item catalog.ItemCode) (int, error) {
	n, _, err := storage.One(ctx, s.DB, storage.Scalar[int], countCodes, string(r), string(item), s.now(r), most)
	return n, err
}

// now is the time of a realm as it is stored.
func (s *Stock) now(r realm.Realm) int64 { return storage.Micros(s.Clocks.Now(r)) }

// InStock returns which of some items, MaxItems at most, have a code that can be sold now.
func (s *Stock) InStock(ctx context.Context, r realm.Realm, items []catalog.ItemCode) (map[catalog.ItemCode]bool, error) {
	if len(items) > MaxItems {
		return nil, invalidAt("items", "want at most %d items", MaxItems)
	}
	found, err := storage.AllOf(ctx, s.DB, scanItem, inStock, itemRows(items), string(r), s.now(r))
	return itemSet(found), err
}

// valued returns which of some items have codes, in any realm, that are sold as worth what
// their item is: those that can be sold now, and those that were delivered for orders under
// way, which are sold to others where their order fails.
func (s *Stock) valued(ctx context.Context, q storage.Queryer, items []catalog.ItemCode) (map[catalog.ItemCode]bool, error) {
	found, err := storage.AllOf(ctx, q, scanItem, inReserve, itemRows(items))
	for _, r := range realm.All() {
		if err != nil {
			return nil, err
		}
		var some []catalog.ItemCode
		some, err = storage.AllOf(ctx, q, scanItem, inStock, itemRows(items), string(r), s.now(r))
		found = append(found, some...)
	}
	return itemSet(found), err
}

func itemRows(items []catalog.ItemCode) [][]any {
	rows := make([][]any, len(items))
	for i, item := range items {
		rows[i] = []any{string(item)}
	}
	return rows
}

func itemSet(items []catalog.ItemCode) map[catalog.ItemCode]bool {
	set := make(map[catalog.ItemCode]bool, len(items))
	for _, item := range items {
		set[item] = true
	}
	return set
}

// Wanted says which codes to pick: N of an item, after Skip others, each at most MaxPick.
type Wanted struct {
	Realm   realm.Realm
	Item    catalog.ItemCode
	N, Skip int
}

// Pick returns at most N codes of an item that can be sold now, the ones that expire first
// first. It reserves nothing: Take decides.
func (s *Stock) Pick(ctx context.Context, w Wanted) ([]Sealed, error) {
	if w.N < 1 || w.N > MaxPick || w.Skip < 0 || w.Skip > MaxPick {
		return nil, invalidAt("quantity", "want 1 to %d codes after at most %d", MaxPick, MaxPick)
	}
	return storage.All(ctx, s.DB, scanCode, pickCodes, string(w.Realm), string(w.Item), s.now(w.Realm), w.N, w.Skip)
}

// Take returns the effects of selling codes to an order of a book at a time of its realm.
// Each fails with storage.ErrStale if its code is not for sale any more: pick others then.
func Take(codes []Sealed, order string, book ledger.BookID, at time.Time) []storage.Effect {
	effects := make([]storage.Effect, len(codes))
	for i := range codes {
		effects[i] = sellCode.With(string(codes[i].ID), string(book), order, storage.Micros(at)).Exactly(1)
	}
	return effects
}

// Open returns codes that were picked in the clear, in their order and without a record: for
// whoever writes Revealed with what sells them.
func (s *Stock) Open(picked []Sealed) ([]Code, error) {
	codes := make([]Code, len(picked))
	for i := range picked {
		var err error
		if codes[i], err = s.unseal(picked[i]); err != nil {
			return nil, err
		}
	}
	return codes, nil
}

// unseal opens a stored code.
func (s *Stock) unseal(c Sealed) (Code, error) {
	plain, err := s.Vault.Unseal(purposeSeal, string(c.ID), c.sealed)
	if err != nil {
		return Code{}, err
	}
	defer clear(plain)
	if len(plain) == 0 || int(plain[0]) >= len(plain) {
		return Code{}, errors.New("unseal code " + string(c.ID) + ": it is not what was sealed")
	}
	code := c.Code
	n := 1 + int(plain[0])
	code.Text, code.PIN = pan.NewSecret(string(plain[1:n])), pan.NewSecret(string(plain[n:]))
	return code, nil
}

// plainCode is what is sealed of a code: the length of its text, the text, the PIN.
func plainCode(text, pin string) []byte {
	plain := make([]byte, 0, 1+len(text)+len(pin))
	plain = append(plain, byte(len(text)))
	return append(append(plain, text...), pin...)
}

// Reveal is one look at the codes of an order.
type Reveal struct {
	Book  ledger.BookID
	Realm realm.Realm
	Order string
	Actor string // the credential that looks
}

// Revealed returns the effect of recording a look at the codes of an order that are sold
// by the same transaction.
func Revealed(r Reveal, at time.Time) []storage.Effect {
	return []storage.Effect{r.look(revealPrefix, at)}
}

// look records a look, under a name with the given prefix.
func (r *Reveal) look(prefix string, at time.Time) storage.Effect {
	return insertReveal.Row(string(r.Book), id.New(prefix), r.Order, r.Actor, storage.Micros(at))
}

// Reveal returns the codes of a book's order in the clear, by id, once the look is
// recorded. One that was replaced is not among them: the other one has its place. It
// returns not_found where the order has none, another book's among them.
func (s *Stock) Reveal(ctx context.Context, r Reveal) ([]Code, error) {
	found, err := storage.All(ctx, s.DB, scanCode, listSold, string(r.Book), r.Order, string(r.Realm))
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, fault.New(fault.NotFound, "the order has no codes")
	}
	codes := make([]Code, len(found))
	for i, c := range found {
		if codes[i], err = s.unseal(c); err != nil {
			return nil, err
		}
		codes[i].Place = i + 1
	}
	if err := s.DB.Apply(ctx, Revealed(r, s.Clocks.Now(r.Realm))); err != nil {
		return nil, err
	}
	return codes, nil
}

// Shown records a look at the codes that an order had when it was sold, which its caller has
// already. It is no first look at one that took the place of another since.
func (s *Stock) Shown(ctx context.Context, r Reveal) error {
	return s.DB.Apply(ctx, []storage.Effect{r.look(repeatPrefix, s.Clocks.Now(r.Realm))})
}

// Masked is a code of an order as the operator sees it: where it came from, and of the
// code itself the last characters at most.
type Masked struct {
	ID    CodeID
	Place int // as in Held
	// Ending are the last four characters of a code of twelve or more; empty of others.
	Ending              string
	Batch               BatchID
	BatchName, Supplier string
	State               State
	Cost                catalog.Cost
	ExpiresAt, SoldAt   time.Time
	origin              CodeID // as in Held
}

// Masked returns the codes of a book's order as Holdings does, without showing them and
// without a record; none where the order has none.
func (s *Stock) Masked(ctx context.Context, book ledger.BookID, order string) ([]Masked, error) {
	all, err := storage.All(ctx, s.DB, func(r storage.Row) (m Masked, err error) {
		sealed, err := scanCode(rowWith{r, []any{(*string)(&m.Batch), &m.BatchName, &m.Supplier, (*string)(&m.origin)}})
		if err != nil {
			return m, err
		}
		code, err := s.unseal(sealed)
		m.ID, m.Ending, m.State, m.Cost = code.ID, ending(code.Text), code.State, code.Cost
		m.ExpiresAt, m.SoldAt = code.ExpiresAt, code.SoldAt
		return m, err
	}, soldWith, string(book), order, maxHeld)
	var at places
	for i := range all {
		all[i].Place = at.of(all[i].origin)
	}
	return all, err
}

// rowWith is a row with more columns than whoever scans it knows.
type rowWith struct {
	storage.Row
	more []any
}

// Scan implements storage.Row.
func (r rowWith) Scan(known ...any) error { return r.Row.Scan(append(known, r.more...)...) }

// ending is what may be shown of a code to tell it from others.
func ending(code pan.Secret) string {
	const shown, least = 4, 12
	text := []rune(code.Reveal())
	if len(text) < least {
		return ""
	}
	return string(text[len(text)-shown:])
}

// Look is one time that the codes of an order were revealed.
type Look struct {
	Actor string
	At    time.Time
}

// maxLooks bounds the looks that are listed of one order, the first ones.
const maxLooks = 1000

// Looks returns when the codes of a book's order were revealed, first to last.
func (s *Stock) Looks(ctx context.Context, book ledger.BookID, order string) ([]Look, error) {
	return storage.All(ctx, s.DB, scanLook, listReveals, string(book), order, maxLooks)
}
