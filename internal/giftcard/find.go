package giftcard

import (
	"context"
	"crypto/sha256"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/id"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/memo"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// Purposes of what the vault seals and hashes for this package.
const (
	purposeNumber = "giftcard.number"
	purposeKey    = "giftcard.key"
)

// Secret is how a merchant names a card: by its number or by its key, never both.
type Secret struct {
	Number pan.Number
	Key    pan.Secret
}

func (s *Service) hash(secret Secret) []byte {
	if secret.Number.IsZero() {
		return s.Vault.Hash(purposeKey, secret.Key.Reveal())
	}
	return s.Vault.Hash(purposeNumber, secret.Number.Reveal())
}

func unknownCard() error { return fault.New(fault.NotFound, "no such gift card") }

// Find returns the merchant's card with its number, or not_found: for a card that
// does not exist and for another merchant's card alike.
func (s *Service) Find(ctx context.Context, m Merchant, secret Secret) (*Card, error) {
	found, err := s.read(ctx, m, s.hash(secret))
	if err != nil {
		return nil, err
	}
	if found.Number = secret.Number; found.Number.IsZero() {
		if found.Number, _, err = s.unseal(ctx, found.Book, found.ID); err != nil {
			return nil, err
		}
	}
	return s.complete(ctx, found, m.Realm)
}

func (s *Service) read(ctx context.Context, m Merchant, hash []byte) (*record, error) {
	found, ok, err := storage.One(ctx, s.DB, scanCard, findByHash, hash, string(m.Book))
	if err == nil && !ok {
		err = unknownCard()
	}
	return found, err
}

// toSpend returns the merchant's card as it is remembered; if it had ended at the given
// time, that is looked up again before it is believed.
func (s *Service) toSpend(ctx context.Context, m Merchant, secret Secret, at time.Time) (*record, error) {
	hash := s.hash(secret)
	query := memo.Query{Key: memoKey(m.Book, hash), Now: s.Clocks.Now(realm.Live)}
	remembered, _, err := s.recent.Find(ctx, query, func(ctx context.Context) (*record, bool, error) {
		found, err := s.read(ctx, m, hash)
		return found, err == nil, err
	})
	if err != nil {
		return nil, err
	}
	if remembered.ended(at) != nil {
		return s.read(ctx, m, hash)
	}
	copied := *remembered
	return &copied, nil
}

// memoKey holds the book: were another merchant's card found in memory, the time it
// takes would tell it from an unknown one.
func memoKey(book ledger.BookID, hash []byte) memo.Key {
	return sha256.Sum256(append([]byte(book+"/"), hash...))
}

// FindAnywhere returns the card with the given number, whoever issued it, or not_found.
func (s *Service) FindAnywhere(ctx context.Context, number pan.Number) (*Card, error) {
	found, ok, err := storage.One(ctx, s.DB, scanCard, findAnywhere, s.Vault.Hash(purposeNumber, number.Reveal()))
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, unknownCard()
	}
	found.Number = number
	return s.completeIn(ctx, found)
}

// Probe is what a balance check may know of a number.
type Probe struct {
	// Known says that Card has the number. Otherwise it is any card, so that whoever looks
	// at it does the same work, or nil when nobody has one.
	Known bool
	Card  *Card
	// Realm is that of the card's book.
	Realm realm.Realm
	// KeyRight says that the number is known and the key that was given is the card's.
	KeyRight bool
}

// Probe looks a number up, whoever issued it, and compares a key, which may be empty. It
// does the same work whatever it finds: a number that no card has is looked up with the
// card whose hash comes next, so that the time it takes tells nothing. Those who probe at
// once share the look-up.
func (s *Service) Probe(ctx context.Context, number pan.Number, key pan.Secret) (Probe, error) {
	q := probing{number: s.Vault.Hash(purposeNumber, number.Reveal())}
	if !key.IsZero() {
		q.key = s.Vault.Hash(purposeKey, key.Reveal())
	}
	return s.probes.Ask(ctx, q)
}

// probing is the hashes that a probe asks for; key is nil where none was given.
type probing struct{ number, key []byte }

// probe answers probes, each with the same work whatever is found. Of a key only the name
// of its card is read: whose card that is must not make a difference.
func (s *Service) probe(ctx context.Context, all []probing) ([]Probe, error) {
	cards, err := s.nearestCards(ctx, all)
	if err != nil || cards == nil { // nobody has a card
		return make([]Probe, len(all)), err
	}
	keys, err := s.nearestKeys(ctx, all)
	if err != nil {
		return nil, err
	}
	accounts, err := s.accountsOf(ctx, cards)
	if err != nil {
		return nil, err
	}
	answers := make([]Probe, len(all))
	for i, q := range all {
		found, key, answer := cards[string(q.number)], keys[string(q.key)], &answers[i]
		if found.card == nil {
			continue // it went between two looks
		}
		card := *found.card // another may have asked for the same
		name := cardKey{card.Book, card.ID}
		answer.Known, answer.KeyRight = found.known, found.known && key.known && key.card == name
		if answer.Realm, err = s.realmOf(ctx, card.Book); err != nil {
			return nil, err
		}
		if answer.Card, err = s.completeWith(ctx, &card, accounts[name], answer.Realm); err != nil {
			return nil, err
		}
	}
	return answers, nil
}

// nearestCards returns what is nearest to each number's hash, nil when there is no card at all.
func (s *Service) nearestCards(ctx context.Context, all []probing) (map[string]near, error) {
	hashes := make([][]any, len(all))
	for i, q := range all {
		hashes[i] = []any{q.number}
	}
	found, err := storage.AllOf(ctx, s.DB, scanNear, nearest, hashes)
	if err != nil || len(found) == 0 {
		return nil, err
	}
	byHash := make(map[string]near, len(found))
	for _, n := range found {
		byHash[string(n.asked)] = n
	}
	return byHash, nil
}

// nearestKeys returns what is nearest to each key's hash, of those probes that have one.
func (s *Service) nearestKeys(ctx context.Context, all []probing) (map[string]nearKey, error) {
	var hashes [][]any
	for _, q := range all {
		if q.key != nil {
			hashes = append(hashes, []any{q.key})
		}
	}
	found, err := storage.AllOf(ctx, s.DB, scanNearKey, nearestKeys, hashes)
	byHash := make(map[string]nearKey, len(found))
	for _, n := range found {
		byHash[string(n.asked)] = n
	}
	return byHash, err
}

// accountsOf returns the accounts of cards, book by book.
func (s *Service) accountsOf(ctx context.Context, cards map[string]near) (map[cardKey]*ledger.Account, error) {
	byBook := map[ledger.BookID][]ledger.AccountID{}
	for _, n := range cards {
		byBook[n.card.Book] = append(byBook[n.card.Book], n.card.Account())
	}
	all := make(map[cardKey]*ledger.Account, len(cards))
	for book, accounts := range byBook {
		found, err := s.Books.FindAccounts(ctx, book, accounts)
		if err != nil {
			return nil, err
		}
		for _, a := range found {
			all[cardKey{a.Book, ID(strings.TrimPrefix(string(a.ID), accountPrefix))}] = a
		}
	}
	return all, nil
}

// mostBooks bounds the books whose realm is remembered.
const mostBooks = 1 << 16

// realms remembers the realms of books, which never change.
type realms struct {
	mu    sync.RWMutex
	known map[ledger.BookID]realm.Realm
}

func (s *Service) realmOf(ctx context.Context, book ledger.BookID) (realm.Realm, error) {
	s.realms.mu.RLock()
	in, known := s.realms.known[book]
	s.realms.mu.RUnlock()
	if known {
		return in, nil
	}
	header, err := s.Books.FindBook(ctx, book)
	if err != nil {
		return "", err
	}
	s.realms.mu.Lock()
	defer s.realms.mu.Unlock()
	if s.realms.known == nil || len(s.realms.known) >= mostBooks {
		s.realms.known = map[ledger.BookID]realm.Realm{}
	}
	s.realms.known[book] = header.Realm
	return header.Realm, nil
}

// Get returns a card by its id, without its number, or not_found.
func (s *Service) Get(ctx context.Context, book ledger.BookID, card ID) (*Card, error) {
	found, err := s.stored(ctx, book, card)
	if err != nil {
		return nil, err
	}
	return s.completeIn(ctx, found)
}

// Use is a card as it stands, without its number, and when it was first used.
type Use struct {
	*Card
	// FirstAt is when something was first redeemed or held; zero: never.
	FirstAt time.Time
}

// Uses returns those of some cards of a book that there are, in no order.
func (s *Service) Uses(ctx context.Context, book ledger.BookID, cards []ID) ([]Use, error) {
	rows, accounts := make([][]any, len(cards)), make([]ledger.AccountID, len(cards))
	for i, card := range cards {
		rows[i], accounts[i] = []any{string(book), string(card)}, accountOf(card)
	}
	records, err := storage.AllOf(ctx, s.DB, scanCard, loadCards, rows)
	if err != nil || len(records) == 0 {
		return nil, err
	}
	in, err := s.realmOf(ctx, book)
	if err != nil {
		return nil, err
	}
	found, err := s.Books.FindAccounts(ctx, book, accounts)
	byID := make(map[ledger.AccountID]*ledger.Account, len(found))
	for _, a := range found {
		byID[a.ID] = a
	}
	uses := make([]Use, len(records))
	for i, r := range records {
		if err != nil {
			return nil, err
		}
		account := byID[r.Account()]
		if uses[i].Card, err = s.completeWith(ctx, r, account, in); err == nil {
			uses[i].FirstAt, err = s.firstUse(ctx, account)
		}
	}
	return uses, err
}

// firstUse returns when something was first redeemed or held of a card's account.
func (s *Service) firstUse(ctx context.Context, account *ledger.Account) (time.Time, error) {
	const page = 50
	for from := int64(2); from <= account.Entries; from += page { // the first entry made the card
		entries, err := s.Books.Statement(ctx, account, from+page, page)
		if err != nil {
			return time.Time{}, err
		}
		for _, e := range slices.Backward(entries) {
			if e.Seq >= from && (e.Kind == kindRedeem || e.Kind == kindHold) {
				return e.At, nil
			}
		}
	}
	return time.Time{}, nil
}

// completeIn completes a card by the clock of its own book's realm.
func (s *Service) completeIn(ctx context.Context, found *record) (*Card, error) {
	book, err := s.Books.FindBook(ctx, found.Book)
	if err != nil {
		return nil, err
	}
	return s.complete(ctx, found, book.Realm)
}

// afterAllIDs sorts after every id ("gc_…") in any collation.
const afterAllIDs = "gd"

// List returns up to limit cards of a book made before the given one, newest first; ""
// begins at the newest. It returns invalid_cursor when before is no card's id.
func (s *Service) List(ctx context.Context, book ledger.BookID, before ID, limit int) ([]*Card, error) {
	switch {
	case before == "":
		before = afterAllIDs
	case !id.Valid(idPrefix, string(before)):
		return nil, fault.New(fault.InvalidCursor, "the cursor is no gift card's id")
	}
	header, err := s.Books.FindBook(ctx, book)
	if err != nil {
		return nil, err
	}
	records, err := storage.All(ctx, s.DB, scanCard, listCards, string(book), string(before), min(max(limit, 1), ledger.MaxPage))
	if err != nil {
		return nil, err
	}
	cards := make([]*Card, 0, len(records))
	for _, r := range records {
		card, err := s.complete(ctx, r, header.Realm)
		if err != nil {
			return nil, err
		}
		cards = append(cards, card)
	}
	return cards, nil
}

// Reveal returns a card's number and key. It is written to the audit log first.
func (s *Service) Reveal(ctx context.Context, book ledger.BookID, card ID, actor string) (pan.Number, pan.Secret, error) {
	if _, err := s.stored(ctx, book, card); err != nil {
		return pan.Number{}, pan.Secret{}, err
	}
	in, err := s.realmOf(ctx, book)
	if err != nil {
		return pan.Number{}, pan.Secret{}, err
	}
	if err := s.note(ctx, Merchant{Book: book, Realm: in, Actor: actor}, audited{action: actionReveal, card: card}); err != nil {
		return pan.Number{}, pan.Secret{}, err
	}
	return s.unseal(ctx, book, card)
}

func (s *Service) unseal(ctx context.Context, book ledger.BookID, card ID) (pan.Number, pan.Secret, error) {
	found, ok, err := storage.One(ctx, s.DB, scanSealed, findSealed, string(book), string(card))
	if err == nil && !ok {
		err = unknownCard()
	}
	if err != nil {
		return pan.Number{}, pan.Secret{}, err
	}
	text, err := s.Vault.Unseal(purposeNumber, string(card), found.number)
	if err != nil {
		return pan.Number{}, pan.Secret{}, err
	}
	number, err := pan.ParseAlnum(string(text))
	if err != nil {
		return pan.Number{}, pan.Secret{}, err
	}
	key, err := s.Vault.Unseal(purposeKey, string(card), found.key)
	return number, pan.NewSecret(string(key)), err
}

// Line is one transaction of a card's history.
type Line struct {
	Transaction ledger.TransactionID
	// Type is create, redeem, refund, hold, capture, void, reload, expire or cancel, or in the
	// ledger's words what an operator did in the books.
	Type string
	// Reversed is the type of the transaction that this one reversed; empty: it reversed none.
	Reversed  string
	Reference string
	Amount    money.Amount
	Balance   money.Amount // what could be spent after it
	At        time.Time
	Seq       int64 // the cursor of the next page
	// undid is what the transaction that this one reversed had counted.
	undid []ledger.Count
}

// History returns up to limit transactions of a card before the given cursor, newest
// first; 0 begins at the newest. That an empty card was cancelled is a line, too.
func (s *Service) History(ctx context.Context, card *Card, before int64, limit int) ([]Line, error) {
	account := ledger.Account{Book: card.Book, ID: card.Account(), Currency: card.Amount.Currency}
	entries, err := s.Books.Statement(ctx, &account, before, limit)
	if err != nil {
		return nil, err
	}
	lines := make([]Line, 0, len(entries)+1)
	if last, ok, err := s.emptyCancel(ctx, card, before, entries); err != nil {
		return nil, err
	} else if ok {
		lines = append(lines, last)
		entries = entries[:min(len(entries), max(limit, 1)-1)]
	}
	for _, e := range entries {
		amount := e.Posted
		if amount.IsZero() {
			amount.Minor = max(e.Held, -e.Held)
		}
		kind := strings.TrimPrefix(e.Kind, kindPrefix)
		if e.Kind == "hold.expire" {
			kind = "void"
		}
		lines = append(lines, Line{Transaction: e.Transaction, Type: kind, Reference: e.Reference, Amount: amount,
			Balance: e.Available, At: e.At, Seq: e.Seq})
	}
	return lines, s.addReversed(ctx, card.Book, lines)
}

// reversal is the kind of an operator's reversals, of transactions of any product.
const reversal = "transaction.reverse"

// addReversed says of the lines that an operator's reversals made what those reversed.
func (s *Service) addReversed(ctx context.Context, book ledger.BookID, lines []Line) error {
	var foreign []ledger.TransactionID
	for _, line := range lines {
		if line.Type == reversal {
			foreign = append(foreign, line.Transaction)
		}
	}
	if foreign == nil {
		return nil
	}
	reversals, err := ledger.Transactions(ctx, s.DB, book, foreign)
	if err != nil {
		return err
	}
	by := make(map[ledger.TransactionID]ledger.TransactionID, len(reversals)) // originals, with what reversed them
	for _, o := range reversals {
		by[o.Reverses] = o.Transaction
	}
	originals, err := ledger.Transactions(ctx, s.DB, book, slices.Collect(maps.Keys(by)))
	if err != nil {
		return err
	}
	for _, o := range originals {
		at := slices.IndexFunc(lines, func(l Line) bool { return l.Transaction == by[o.Transaction] })
		lines[at].Reversed, lines[at].undid = strings.TrimPrefix(o.Kind, kindPrefix), o.Counts
	}
	return nil
}

// emptyCancel is the line of a cancelled card whose account has no entry for it, because
// nothing was left to move: the transaction closed the account, no more.
func (s *Service) emptyCancel(ctx context.Context, card *Card, before int64, newest []ledger.Line) (Line, bool, error) {
	if card.Status != Cancelled || before != 0 || len(newest) > 0 && newest[0].Kind == kindCancel {
		return Line{}, false, nil
	}
	o, ok, err := s.Books.FindByKey(ctx, card.Book, keyOf(kindCancel, string(card.ID)))
	none := money.New(0, card.Amount.Currency)
	line := Line{Transaction: o.Transaction, Type: strings.TrimPrefix(kindCancel, kindPrefix), Reference: o.Reference, Amount: none, Balance: none, At: o.At, Seq: 1}
	if len(newest) > 0 {
		line.Seq = newest[0].Seq + 1
	}
	return line, ok, err
}
