package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/scripcards/scrip/internal/core/asset"
	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/provider/bitcoin"
	"github.com/scripcards/scrip/internal/provider/monero"
	"github.com/scripcards/scrip/internal/provider/rates"
	"github.com/scripcards/scrip/internal/provider/simulator/chain"
	"github.com/scripcards/scrip/internal/provider/solana"
	"github.com/scripcards/scrip/internal/rate"
	"github.com/scripcards/scrip/internal/wallet/address"
	"github.com/scripcards/scrip/internal/wallet/deposit"
)

// How often chains and lists of addresses are looked at.
const (
	depositScan  = 5 * time.Second
	addressSweep = 30 * time.Second
)

// maxDepositFile bounds the file that describes deposits, in bytes.
const maxDepositFile = 256 << 10

// depositFile is the file that describes deposits; docs/operate/deposits.md explains each key.
type depositFile struct {
	Keys struct {
		Bitcoin  string `json:"bitcoin"`
		Ethereum string `json:"ethereum"`
	} `json:"keys"`
	// SolanaLow is how many imported addresses should be left; 0 without a node: solana is not used.
	SolanaLow         int                  `json:"solana_low"`
	Fee               string               `json:"fee"`
	RateWindowMinutes *int                 `json:"rate_window_minutes"`
	Assets            map[string]assetFile `json:"assets"`
	Rates             ratesFile            `json:"rates"`
	// Nodes watch the live realm's chains; TestNodes take the place of simulated ones.
	Nodes     nodesFile `json:"nodes"`
	TestNodes nodesFile `json:"test_nodes"`
}

type nodesFile struct {
	Bitcoin json.RawMessage `json:"bitcoin"`
	Monero  json.RawMessage `json:"monero"`
	Solana  json.RawMessage `json:"solana"`
}

type assetFile struct {
	Minimum       string     `json:"minimum"`
	Confirmations []bandFile `json:"confirmations"`
	Settled       int64      `json:"settled"`
}

type bandFile struct {
	From          string `json:"from"`
	Confirmations int64  `json:"confirmations"`
}

type ratesFile struct {
	Sources        []json.RawMessage `json:"sources"`
	LeastSources   int               `json:"least_sources"`
	RefreshSeconds int               `json:"refresh_seconds"`
	FreshSeconds   int               `json:"fresh_seconds"`
	StaleSeconds   int               `json:"stale_seconds"`
	Outlier        string            `json:"outlier"`
	Spread         string            `json:"spread"`
}

// readDeposits reads the file, strictly. Without one there is nothing in it.
func readDeposits(path string) (f depositFile, err error) {
	if path == "" {
		return f, nil
	}
	file, err := os.Open(path)
	if err != nil {
		return f, fmt.Errorf("deposits: %w", err)
	}
	defer func() { _ = file.Close() }() // only read
	text, err := io.ReadAll(io.LimitReader(file, maxDepositFile+1))
	switch {
	case err != nil:
		return f, fmt.Errorf("deposits: %w", err)
	case len(text) > maxDepositFile:
		return f, fmt.Errorf("deposits: %s has more than %d bytes", path, maxDepositFile)
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&f); err != nil {
		return f, fmt.Errorf("deposits: %s: %w", path, err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return f, fmt.Errorf("deposits: %s: something follows the object", path)
	}
	return f, nil
}

// buildDeposits builds the rates, the addresses and the deposits of both realms. No address
// is shown of a chain that no node watches.
func (a *App) buildDeposits(o Options) error {
	f, err := readDeposits(o.Deposits)
	if err != nil {
		return err
	}
	policy, err := f.policy()
	if err != nil {
		return fmt.Errorf("deposits: %w", err)
	}
	if a.Rates, err = f.rates(a, o); err != nil {
		return fmt.Errorf("deposits: %w", err)
	}
	makers, pools, err := f.makers()
	if err != nil {
		return fmt.Errorf("deposits: %w", err)
	}
	wallets, err := f.wallets(a)
	if err != nil {
		return fmt.Errorf("deposits: %w", err)
	}
	for at, c := range wallets {
		makers[at] = c
	}
	a.Addresses = address.New(address.Deps{DB: a.DB, Audit: a.Audit, Outbox: a.Webhooks.Outbox, Clocks: a.Clocks, Logger: o.Logger, Makers: makers, Pools: pools})
	watched, err := f.watched(a.Addresses, a.Clocks.Of(realm.Live))
	if err != nil {
		return fmt.Errorf("deposits: %w", err)
	}
	for at, c := range wallets {
		watched[at] = c
	}
	chains := map[asset.Chain]*chain.Chain{}
	for _, name := range asset.Chains() {
		if at := (address.Place{Realm: realm.Test, Chain: name}); watched[at] == nil {
			chains[name] = chain.New(a.DB, name)
			watched[at] = chains[name]
		}
	}
	a.Deposits = deposit.New(deposit.Deps{DB: a.DB, Books: a.Books, Outbox: a.Webhooks.Outbox, Clocks: a.Clocks, AddressBook: a.Addresses,
		Chains: watched, Rates: a.Rates, Policy: policy, Logger: o.Logger})
	a.Sandbox = &chain.Sandbox{Deposits: a.Deposits, Chains: chains}
	return nil
}

// wallets opens the operator's wallets of Monero, which make addresses and watch them.
func (f *depositFile) wallets(a *App) (map[address.Place]*monero.Chain, error) {
	all := map[address.Place]*monero.Chain{}
	for _, n := range []struct {
		key   string
		realm realm.Realm
		text  json.RawMessage
	}{{"nodes", realm.Live, f.Nodes.Monero}, {"test_nodes", realm.Test, f.TestNodes.Monero}} {
		if n.text == nil {
			continue
		}
		at := address.Place{Realm: n.realm, Chain: asset.Monero}
		c, err := monero.Open(n.text, func(ctx context.Context) (int64, error) { return a.Addresses.Issued(ctx, at) })
		if err == nil && c.IsMain() != (n.realm == realm.Live) {
			err = errNetwork()
		}
		if err != nil {
			return nil, fmt.Errorf("%s.monero: %w", n.key, err)
		}
		all[at] = c
	}
	return all, nil
}

func errNetwork() error {
	return fault.New(fault.InvalidRequest, "main is for the live realm, and the other networks are for the test realm").At("network")
}

// mainChain is a chain that knows whether its coins are money.
type mainChain interface {
	deposit.Chain
	IsMain() bool
}

// watched opens the operator's nodes. The clock judges how old blocks are.
func (f *depositFile) watched(book *address.Service, real clock.Clock) (map[address.Place]deposit.Chain, error) {
	all := map[address.Place]deposit.Chain{}
	for _, n := range []struct {
		key   string
		chain asset.Chain
		realm realm.Realm
		text  json.RawMessage
	}{
		{"nodes.bitcoin", asset.Bitcoin, realm.Live, f.Nodes.Bitcoin}, {"test_nodes.bitcoin", asset.Bitcoin, realm.Test, f.TestNodes.Bitcoin},
		{"nodes.solana", asset.Solana, realm.Live, f.Nodes.Solana}, {"test_nodes.solana", asset.Solana, realm.Test, f.TestNodes.Solana},
	} {
		if n.text == nil {
			continue
		}
		at := address.Place{Realm: n.realm, Chain: n.chain}
		c, err := openNode(book, at, n.text, real)
		if err == nil && c.IsMain() != (n.realm == realm.Live) {
			err = errNetwork()
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", n.key, err)
		}
		all[at] = c
	}
	return all, nil
}

// openNode opens a node of bitcoin or solana.
func openNode(book *address.Service, at address.Place, config []byte, real clock.Clock) (mainChain, error) {
	if at.Chain == asset.Solana {
		return solana.Open(config, func(ctx context.Context, after string, most int) ([]string, error) {
			return book.Given(ctx, at, after, most)
		}, real)
	}
	return bitcoin.Open(config, func(ctx context.Context, addresses []string) (map[string]bool, error) {
		return book.Known(ctx, at, addresses)
	})
}

// scheduleDeposits names the periodic work of deposits.
func (a *App) scheduleDeposits() {
	a.Jobs.Every("deposit.scan", depositScan, func(ctx context.Context) error {
		return errors.Join(a.Deposits.Scan(ctx, realm.Live), a.Deposits.Scan(ctx, realm.Test))
	})
	a.Jobs.Every("address.check_levels", addressSweep, func(ctx context.Context) error {
		_, err := a.Addresses.CheckLevels(ctx)
		return err
	})
}

// makers are the sandbox's, which need no configuration, and the operator's.
func (f *depositFile) makers() (map[address.Place]address.Maker, map[address.Place]int, error) {
	at := func(r realm.Realm, c asset.Chain) address.Place { return address.Place{Realm: r, Chain: c} }
	bitcoin, err := address.ParseBitcoin(address.DemoBitcoin)
	if err != nil {
		return nil, nil, fmt.Errorf("the sandbox's key of bitcoin: %w", err)
	}
	ethereum, err := address.ParseEthereum(address.DemoEthereum)
	if err != nil {
		return nil, nil, fmt.Errorf("the sandbox's key of ethereum: %w", err)
	}
	makers := map[address.Place]address.Maker{at(realm.Test, asset.Bitcoin): bitcoin, at(realm.Test, asset.Ethereum): ethereum,
		at(realm.Test, asset.Solana): address.Demo{}, at(realm.Test, asset.Monero): chain.Monero{}}
	if f.Keys.Bitcoin != "" {
		key, err := address.ParseBitcoin(f.Keys.Bitcoin)
		if err == nil && !key.IsMain() {
			err = errors.New("it is the key of a test network")
		}
		if err != nil {
			return nil, nil, fmt.Errorf("keys.bitcoin: %w", err)
		}
		makers[at(realm.Live, asset.Bitcoin)] = key
	}
	if f.Keys.Ethereum != "" {
		key, err := address.ParseEthereum(f.Keys.Ethereum)
		if err != nil {
			return nil, nil, fmt.Errorf("keys.ethereum: %w", err)
		}
		makers[at(realm.Live, asset.Ethereum)] = key
	}
	pools := map[address.Place]int{}
	if f.SolanaLow < 0 {
		return nil, nil, fmt.Errorf("solana_low: %d: want how many addresses should be left", f.SolanaLow)
	}
	if f.SolanaLow > 0 || f.Nodes.Solana != nil {
		pools[at(realm.Live, asset.Solana)] = f.SolanaLow
	}
	if f.TestNodes.Solana != nil {
		delete(makers, at(realm.Test, asset.Solana)) // nobody could take what is paid to those
		pools[at(realm.Test, asset.Solana)] = f.SolanaLow
	}
	return makers, pools, nil
}

// policy is the published one with what the file says otherwise.
func (f *depositFile) policy() (deposit.Policy, error) {
	p := deposit.DefaultPolicy()
	if f.Fee != "" {
		var err error
		if p.FeeBasisPoints, err = money.ParsePercent(f.Fee); err != nil {
			return p, fmt.Errorf("fee: %q: %w", f.Fee, err)
		}
	}
	if f.RateWindowMinutes != nil {
		p.RateWindow = time.Duration(*f.RateWindowMinutes) * time.Minute
	}
	for name, own := range f.Assets {
		a, err := asset.Parse(name)
		if err != nil {
			return p, fmt.Errorf("assets: %w", err)
		}
		if p.Rules[a], err = own.rule(p.Rules[a], a); err != nil {
			return p, fmt.Errorf("assets.%s: %w", name, err)
		}
	}
	return p, p.Check()
}

func (f assetFile) rule(r deposit.Rule, a asset.Asset) (deposit.Rule, error) {
	var err error
	if f.Minimum != "" {
		if r.Minimum, err = asset.ParseAmount(f.Minimum, a); err != nil {
			return r, fmt.Errorf("minimum: %q: %w", f.Minimum, err)
		}
	}
	if f.Confirmations != nil {
		r.Bands = nil
	}
	for _, b := range f.Confirmations {
		from, err := asset.ParseAmount(b.From, a)
		if err != nil {
			return r, fmt.Errorf("confirmations: from %q: %w", b.From, err)
		}
		r.Bands = append(r.Bands, deposit.Band{From: from, Confirmations: b.Confirmations})
		r.Settled = max(r.Settled, b.Confirmations)
	}
	if f.Settled != 0 {
		r.Settled = f.Settled
	}
	return r, nil
}

// rates are the sandbox's fixed prices, and the operator's sources, without which the live
// realm has no rate.
func (f *depositFile) rates(a *App, o Options) (map[realm.Realm]*rate.Service, error) {
	p := rate.DefaultPolicy()
	sandbox := p
	sandbox.Least = 1
	if err := f.Rates.change(&p); err != nil {
		return nil, fmt.Errorf("rates.%w", err)
	}
	var sources []rate.Named
	names := map[string]bool{}
	for i, text := range f.Rates.Sources {
		source, err := rates.Open(text)
		if err == nil && names[source.Name] {
			err = fmt.Errorf("there are two called %s", source.Name)
		}
		if err != nil {
			return nil, fmt.Errorf("rates.sources.%d: %w", i, err)
		}
		names[source.Name] = true
		sources = append(sources, source)
	}
	build := func(c clock.Clock, policy rate.Policy, sources ...rate.Named) *rate.Service {
		return rate.New(rate.Deps{Sources: sources, Policy: policy, Clock: c, Logger: o.Logger})
	}
	return map[realm.Realm]*rate.Service{
		realm.Live: build(a.Clocks.Of(realm.Live), p, sources...),
		realm.Test: build(a.Clocks.Of(realm.Test), sandbox, rate.Named{Name: "sandbox", Source: rate.Sandbox()}),
	}, nil
}

// change makes a policy what the file says.
func (f *ratesFile) change(p *rate.Policy) error {
	for _, c := range []struct {
		own int
		to  *time.Duration
	}{{f.RefreshSeconds, &p.Refresh}, {f.FreshSeconds, &p.Fresh}, {f.StaleSeconds, &p.Stale}} {
		if c.own != 0 {
			*c.to = time.Duration(c.own) * time.Second
		}
	}
	if f.LeastSources != 0 {
		p.Least = f.LeastSources
	}
	for _, c := range []struct {
		name, own string
		to        *int64
	}{{"outlier", f.Outlier, &p.Outlier}, {"spread", f.Spread, &p.Spread}} {
		if c.own == "" {
			continue
		}
		var err error
		if *c.to, err = money.ParsePercent(c.own); err != nil {
			return fmt.Errorf("%s: %q: %w", c.name, c.own, err)
		}
	}
	return p.Check()
}
