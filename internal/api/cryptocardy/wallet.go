package cryptocardy

import (
	"context"
	"strings"

	"github.com/scripcards/scrip/internal/api/wire"
	"github.com/scripcards/scrip/internal/core/asset"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/wallet/address"
	"github.com/scripcards/scrip/internal/wallet/deposit"
)

func (a *api) walletRoutes(s *surface) {
	wire.Handle(s, get("wallet.balance", "/wallet/balance"), a.walletBalance)
	wire.Handle(s, get("wallet.deposit_address", "/wallet/deposit-address"), a.depositAddresses)
	wire.Handle(s, get("wallet.deposits", "/wallet/deposits"), a.listDeposits)
}

// coin is an asset as the dialect calls it.
type coin struct {
	name    string
	asset   asset.Asset
	network string
	// published: it is shown to those who ask for all of them.
	published bool
}

var coins = []coin{
	{"btc", asset.BTC, "bitcoin", true},
	{"eth", asset.ETH, "ethereum", true},
	{"sol", asset.SOL, "solana", true},
	{"usdt", asset.USDTERC20, "erc-20", true},
	{"usdt-sol", asset.USDTSOL, "solana", false},
	{"xmr", asset.XMR, "monero", false},
}

func coinNames() []string {
	names := make([]string, len(coins))
	for i := range coins {
		names[i] = coins[i].name
	}
	return names
}

// coinOf reads the name of a coin; the zero coin for none.
func coinOf(field, text string) (coin, error) {
	var problems wire.Problems
	name := choice(&problems, field, text, coinNames()...)
	for _, one := range coins {
		if one.name == name {
			return one, nil
		}
	}
	return coin{}, problems.Err()
}

// coinWith returns how the dialect calls an asset.
func coinWith(a asset.Asset) coin {
	for _, one := range coins {
		if one.asset == a {
			return one
		}
	}
	return coin{name: strings.ToLower(string(a.Symbol())), asset: a, network: string(a.Chain())}
}

// assetOf reads the asset that a new wallet is to be funded with, the first unless it says.
func (a *api) assetOf(text string) (asset.Asset, error) {
	offered := a.Deposits.Assets(a.Realm)
	if len(offered) == 0 {
		return "", fault.New(fault.FeatureDisabled, "Nothing can be deposited here.")
	}
	if text == "" {
		return offered[0], nil
	}
	var problems wire.Problems
	paid := choice(&problems, "asset", text, offered...)
	return paid, problems.Err()
}

// addressOf returns where a new wallet is funded.
func (a *api) addressOf(ctx context.Context, book ledger.BookID, paid asset.Asset) (string, error) {
	return a.Deposits.Address(ctx, address.Wallet{Book: book, Realm: a.Realm}, paid)
}

// written is an amount of an asset, of a dollar's likeness with two decimals at least.
func written(amount asset.Amount) string {
	text := amount.String()
	if amount.Asset.Symbol() != "USDT" {
		return text
	}
	whole, part, _ := strings.Cut(text, ".")
	return whole + "." + part + strings.Repeat("0", max(0, 2-len(part)))
}

func (a *api) walletBalance(ctx context.Context, c *call, _ wire.None) (walletBalance, error) {
	totals, err := a.Deposits.Totals(ctx, c.Principal.Book)
	if err != nil {
		return walletBalance{}, err
	}
	cards, err := a.Cards.Totals(ctx, holder(c), dollars)
	if err != nil {
		return walletBalance{}, err
	}
	debts, err := a.Cards.Debts(ctx, c.Principal.Book)
	if err != nil {
		return walletBalance{}, err
	}
	return walletBalance{Balance: wire.Major(totals.Balance), Currency: dollars.String(), PendingDeposits: wire.Major(totals.Pending),
		TotalDeposited: wire.Major(totals.Deposited), TotalSpent: wire.Major(totals.Spent), CardsActive: int64(cards.Active),
		CardsTotalBalance: wire.Major(cards.Balance), Owed: unlessNothing(cards.Owed), OwedIn: inOthers(debts)}, nil
}

// inOthers are those of some amounts that are not in dollars, by currency; nil for none.
func inOthers(amounts []money.Amount) (others map[string]wire.Major) {
	for _, amount := range amounts {
		if amount.Currency == dollars {
			continue
		}
		if others == nil {
			others = map[string]wire.Major{}
		}
		others[amount.Currency.String()] = wire.Major(amount)
	}
	return others
}

func (a *api) depositAddresses(ctx context.Context, c *call, in addressQuery) (depositAddresses, error) {
	asked, err := coinOf("currency", in.Currency)
	if err != nil {
		return depositAddresses{}, err
	}
	var wanted []asset.Asset
	if asked.name != "" {
		wanted = []asset.Asset{asked.asset}
	}
	found, err := a.Deposits.Addresses(ctx, address.Wallet{Book: c.Principal.Book, Realm: c.Principal.Realm}, wanted...)
	if err != nil {
		return depositAddresses{}, err
	}
	out := depositAddresses{Addresses: map[string]string{}, Networks: map[string]string{}, MinDeposit: map[string]string{}}
	for _, one := range coins {
		where, has := found[one.asset]
		if has && (one.published || one.name == asked.name) {
			out.Addresses[one.name], out.Networks[one.name], out.MinDeposit[one.name] = where, one.network, written(a.Deposits.Minimum(one.asset))
		}
	}
	return out, nil
}

func (in *depositsQuery) filter(book ledger.BookID) (wire.Page, deposit.Filter, error) {
	problems, page := pageOf(in.PageQuery, deposit.DefaultLimit)
	f := deposit.Filter{Book: book, Offset: page.Offset, Limit: page.Size}
	f.Status = choice(&problems, "status", in.Status, deposit.Statuses()...)
	if err := problems.Err(); err != nil {
		return page, f, err
	}
	asked, err := coinOf("currency", in.Currency)
	if asked.published || asked.asset == asset.XMR {
		f.Symbol = asked.asset.Symbol()
	} else {
		f.Asset = asked.asset
	}
	return page, f, err
}

func (a *api) listDeposits(ctx context.Context, c *call, in depositsQuery) (pages[depositView], error) {
	page, f, err := in.filter(c.Principal.Book)
	if err != nil {
		return pages[depositView]{}, err
	}
	found, err := a.Deposits.List(ctx, f)
	out := pages[depositView]{Data: make([]depositView, 0, len(found.Deposits)), Pagination: page.Totals(found.Total)}
	for i := range found.Deposits {
		out.Data = append(out.Data, viewDeposit(&found.Deposits[i]))
	}
	return out, err
}

func viewDeposit(d *deposit.Deposit) depositView {
	one := coinWith(d.Amount.Asset)
	return depositView{ID: string(d.ID), Currency: strings.ToLower(string(d.Amount.Asset.Symbol())), Network: one.network, AmountCrypto: written(d.Amount),
		AmountUSD: wire.Major(d.Value), FeeUSD: wire.Major(d.Fee), CreditedUSD: wire.Major(d.Credited), Status: string(d.Status), Reason: string(d.Reason),
		TxHash: d.TxID, Confirms: d.Confirmations, CreatedAt: wire.TimeSecond(d.SeenAt), ConfirmedAt: moments(d.ConfirmedAt)}
}
