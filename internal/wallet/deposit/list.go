package deposit

import (
	"context"
	"slices"
	"strings"

	"github.com/scripcards/scrip/internal/core/asset"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/wallet"
	"github.com/scripcards/scrip/internal/wallet/address"
)

// Find returns a deposit of a book, or not_found, as for another book's.
func (s *Service) Find(ctx context.Context, book ledger.BookID, deposit ID) (Deposit, error) {
	d, found, err := storage.One(ctx, s.DB, scanDeposit, findDeposit, string(book), string(deposit))
	if err == nil && !found {
		err = fault.New(fault.NotFound, "no such deposit")
	}
	return d, err
}

// Bounds of a page.
const (
	DefaultLimit = 50
	MaxLimit     = 200
	maxOffset    = 1_000_000
)

// Filter says which deposits of a book to list.
type Filter struct {
	Book   ledger.BookID
	Status Status       // empty: all
	Symbol asset.Symbol // of whichever chain; empty: all
	Asset  asset.Asset  // empty: all
	Before ID           // older than this one; empty: from the newest on
	Offset int          // at most a million
	Limit  int          // DefaultLimit when 0, MaxLimit at most
}

// Listed is some of the deposits that a filter finds.
type Listed struct {
	Deposits []Deposit
	// Total is how many there are on all pages, the newer ones too.
	Total int
}

// List returns a page of a book's deposits, newest first. It returns invalid_request for a
// filter outside its bounds.
func (s *Service) List(ctx context.Context, f Filter) (Listed, error) {
	if f.Limit == 0 {
		f.Limit = DefaultLimit
	}
	if f.Limit < 1 || f.Limit > MaxLimit || f.Offset < 0 || f.Offset > maxOffset {
		return Listed{}, fault.New(fault.InvalidRequest, "want a limit of 1 to %d and an offset of at most %d", MaxLimit, maxOffset)
	}
	if f.Status != "" && !slices.Contains(Statuses(), f.Status) {
		return Listed{}, fault.New(fault.InvalidRequest, "want pending, confirmed or expired").At("status")
	}
	var found Listed
	key := []any{string(f.Book), string(f.Status), string(f.Symbol), string(f.Asset)}
	err := s.DB.Snapshot(ctx, func(ctx context.Context, q storage.Queryer) (err error) {
		found.Deposits, err = storage.All(ctx, q, scanDeposit, listDeposits, append(key, string(f.Before), f.Limit, f.Offset)...)
		if err != nil {
			return err
		}
		page := storage.Read{Offset: f.Offset, Limit: f.Limit, Rows: len(found.Deposits)}
		if f.Before != "" {
			page = storage.Read{} // it tells of the older ones alone
		}
		found.Total, err = storage.Total(ctx, q, page, countDeposits, key...)
		return err
	})
	return found, err
}

// Totals are what a wallet's page shows.
type Totals struct {
	// Balance is what can be spent. It is negative when a deposit that was spent was undone.
	Balance money.Amount
	// Pending is what deposits that are not confirmed yet are worth, as things stand.
	Pending money.Amount
	// Deposited is everything that was credited, by deposits less their fees and by bank
	// transfers, less what was undone.
	Deposited money.Amount
	// Spent is what left the wallet less what came back: Deposited − Balance.
	Spent money.Amount
	// Others are what can be spent of other currencies, which are not deposited.
	Others []money.Amount
}

// maxAccounts bounds the accounts of a wallet: its own, its assets', bank and fees, a few
// per currency.
const maxAccounts = 200

// Totals returns the totals of a book's wallet, in dollars but for Others. All but Pending are
// of one state of the books.
func (s *Service) Totals(ctx context.Context, book ledger.BookID) (Totals, error) {
	accounts, err := s.Books.ListAccounts(ctx, book, "wallet", "", maxAccounts)
	if err != nil {
		return Totals{}, err
	}
	t := Totals{Balance: zero(), Pending: zero(), Deposited: zero()}
	for _, a := range accounts {
		family, _, _ := strings.Cut(string(a.ID), "/")
		switch {
		case a.Currency != currency:
			if a.ID == wallet.Account(a.Currency).ID {
				t.Others = append(t.Others, a.Available())
			}
		case a.ID == wallet.Account(currency).ID:
			t.Balance = a.Available()
		case family == "wallet.deposits", a.ID == wallet.Bank(currency).ID:
			t.Deposited.Minor += a.Posted().Minor
		case a.ID == wallet.Fees(currency).ID:
			t.Deposited.Minor -= a.Posted().Minor
		}
	}
	t.Spent = money.New(t.Deposited.Minor-t.Balance.Minor, currency)
	t.Pending.Minor, _, err = storage.One(ctx, s.DB, storage.Scalar[int64], sumPending, string(book))
	return t, err
}

// Assets returns what can be deposited in a realm: the assets of chains that give addresses
// and are watched, in their documented order.
func (s *Service) Assets(r realm.Realm) []asset.Asset {
	var all []asset.Asset
	for _, a := range asset.All() {
		p := address.Place{Realm: r, Chain: a.Chain()}
		if s.Chains[p] != nil && s.AddressBook.Has(p) {
			all = append(all, a)
		}
	}
	return all
}

// Minimum returns the least of an asset that is credited.
func (s *Service) Minimum(a asset.Asset) asset.Amount { return s.Policy.Rules[a].Minimum }

// Address returns where a wallet's owner pays an asset to, for ever. It returns
// feature_disabled for an asset that cannot be deposited here: nobody would see it.
func (s *Service) Address(ctx context.Context, w address.Wallet, a asset.Asset) (string, error) {
	if !slices.Contains(s.Assets(w.Realm), a) {
		return "", fault.New(fault.FeatureDisabled, "%s cannot be deposited here", a).At("currency")
	}
	return s.AddressBook.Address(ctx, w, a.Chain())
}

// Addresses returns the addresses of a wallet for some assets, or for all that can be
// deposited; of those, what has no address to give at the moment is left out.
func (s *Service) Addresses(ctx context.Context, w address.Wallet, assets ...asset.Asset) (map[asset.Asset]string, error) {
	every := len(assets) == 0
	if every {
		assets = s.Assets(w.Realm)
	}
	all := make(map[asset.Asset]string, len(assets))
	for _, a := range assets {
		text, err := s.Address(ctx, w, a)
		if every && fault.CodeOf(err) == fault.Unavailable {
			continue
		}
		if err != nil {
			return nil, err
		}
		all[a] = text
	}
	return all, nil
}
