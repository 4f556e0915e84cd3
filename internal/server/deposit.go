package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/scripcards/scrip/internal/core/asset"
	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/platform/config"
	"github.com/scripcards/scrip/internal/provider/bitcoin"
	"github.com/scripcards/scrip/internal/provider/ethereum"
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
	Bitcoin  json.RawMessage `json:"bitcoin"`
	Ethereum json.RawMessage `json:"ethereum"`
	Monero   json.RawMessage `json:"monero"`
	Solana   json.RawMessage `json:"solana"`
}

type assetFile struct {
	Minimum       string     `json:"minimum"`
	Confirmations []bandFile `json:"confirmations"`
	Settled       int64      `json:"settled"`
}

type bandFile struct {
	From          string `json:"from"`
	Confirmations int64  `json:"confirmations"`
	Final         bool   `json:"final"`
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

// readDeposits reads the file. Without one there is nothing in it.
func readDeposits(path string) (f depositFile, err error) {
	if err := config.ReadNamed(path, &f); err != nil {
		return f, fmt.Errorf("deposits: %w", err)
	}
	return f, nil
}

// checkDeposits returns what is wrong with the file, but for its nodes, which need a database.
func checkDeposits(o Options) error {
	f, err := readDeposits(o.Deposits)
	if err != nil {
		return err
	}
	_, policy := f.policy()
	_, rates := f.rates(clock.NewRealms(clock.System()), o.Logger)
	_, _, makers := f.makers()
	if err := errors.Join(policy, rates, makers); err != nil {
		return fmt.Errorf("deposits: %w", err)
	}
	return nil
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
	if a.Rates, err = f.rates(a.Clocks, o.Logger); err != nil {
		return fmt.Errorf("deposits: %w", err)
	}
	makers, pools, err := f.makers()
	if err != nil {
		return fmt.Errorf("deposits: %w", err)
	}
	watched, err := a.watched(&f, o)
	if err != nil {
		return fmt.Errorf("deposits: %w", err)
	}
	for at, c := range watched {
		switch c := c.(type) {
		case address.Maker:
			makers[at] = c
		case *bitcoin.Chain:
			if key, ok := makers[at].(*address.Key); ok {
				makers[at] = key.On(c.Network())
			}
		}
	}
	a.Addresses = address.New(address.Deps{DB: a.DB, Audit: a.Audit, Outbox: a.Webhooks.Outbox, Clocks: a.Clocks, Logger: o.Logger, Makers: makers, Pools: pools})
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

// watched opens the operator's nodes.
func (a *App) watched(f *depositFile, o Options) (map[address.Place]deposit.Chain, error) {
	all := map[address.Place]deposit.Chain{}
	for _, n := range []struct {
		key   string
		realm realm.Realm
		nodes *nodesFile
	}{{"nodes", realm.Live, &f.Nodes}, {"test_nodes", realm.Test, &f.TestNodes}} {
		for _, w := range []struct {
			chain  asset.Chain
			config json.RawMessage
			open   func(json.RawMessage, address.Place, Options) (node, error)
		}{{asset.Bitcoin, n.nodes.Bitcoin, a.openBitcoin}, {asset.Ethereum, n.nodes.Ethereum, a.openEthereum}, {asset.Monero, n.nodes.Monero, a.openMonero},
			{asset.Solana, n.nodes.Solana, a.openSolana}} {
			if w.config == nil {
				continue
			}
			at := address.Place{Realm: n.realm, Chain: w.chain}
			c, err := w.open(w.config, at, o)
			if err == nil && c.IsMain() != (n.realm == realm.Live) {
				err = fault.New(fault.InvalidRequest, "the main network is for the live realm, and the others are for the test realm").At("network")
			}
			if err != nil {
				return nil, fmt.Errorf("%s.%s: %w", n.key, w.chain, err)
			}
			all[at] = c
		}
	}
	return all, nil
}

// node watches a chain that may be the one whose coins are money.
type node interface {
	deposit.Chain
	IsMain() bool
}

// ours returns what tells the addresses that were given in a place.
func (a *App) ours(at address.Place) func(context.Context, []string) (map[string]bool, error) {
	return func(ctx context.Context, addresses []string) (map[string]bool, error) {
		return a.Addresses.Known(ctx, at, addresses)
	}
}

func (a *App) openBitcoin(config json.RawMessage, at address.Place, _ Options) (node, error) {
	return bitcoin.Open(config, a.ours(at))
}

func (a *App) openEthereum(config json.RawMessage, at address.Place, o Options) (node, error) {
	recent := func(ctx context.Context) ([]string, error) { return a.Deposits.Recent(ctx, at) }
	paid := func(ctx context.Context, addresses []string) (map[string][]deposit.Deposit, error) {
		return a.Deposits.PaidTo(ctx, at, asset.ETH, addresses)
	}
	return ethereum.Open(config, ethereum.Deps{Ours: a.ours(at), Recent: recent, Paid: paid, Clock: clock.System(), Logger: o.Logger})
}

func (a *App) openMonero(config json.RawMessage, at address.Place, _ Options) (node, error) {
	return monero.Open(config, func(ctx context.Context) (int64, error) { return a.Addresses.Issued(ctx, at) })
}

func (a *App) openSolana(config json.RawMessage, at address.Place, _ Options) (node, error) {
	return solana.Open(config, func(ctx context.Context, after string, most int) ([]string, error) {
		owners, err := a.Addresses.Owners(ctx, at, after, most)
		given := make([]string, len(owners))
		for i, o := range owners {
			given[i] = o.Address
		}
		return given, err
	}, clock.System())
}

// scheduleDeposits names the periodic work of deposits. Every node is looked at by a job of its
// own: one that hangs, or has a month to tell, keeps no other chain waiting.
func (a *App) scheduleDeposits() {
	var simulated []address.Place
	for at, c := range a.Deposits.Chains {
		if _, ok := c.(*chain.Chain); ok {
			simulated = append(simulated, at)
			continue
		}
		a.Jobs.Every("deposit.scan/"+string(at.Realm)+"/"+string(at.Chain), depositScan, func(ctx context.Context) error {
			return a.Deposits.ScanChain(ctx, at)
		})
	}
	a.Jobs.Every("deposit.scan", depositScan, func(ctx context.Context) (failed error) {
		for _, at := range simulated {
			failed = errors.Join(failed, a.Deposits.ScanChain(ctx, at))
		}
		return failed
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
		r.Bands = append(r.Bands, deposit.Band{From: from, Confirmations: b.Confirmations, Final: b.Final})
		r.Settled = max(r.Settled, b.Confirmations)
	}
	if f.Settled != 0 {
		r.Settled = f.Settled
	}
	return r, nil
}

// rates are the sandbox's fixed prices, and the operator's sources, without which the live
// realm has no rate.
func (f *depositFile) rates(clocks *clock.Realms, logger *slog.Logger) (map[realm.Realm]*rate.Service, error) {
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
	if n := len(sources); n > 0 && n < p.Least {
		return nil, fmt.Errorf("rates.sources: there are %d, and least_sources wants %d to have a price", n, p.Least)
	}
	build := func(c clock.Clock, policy rate.Policy, sources ...rate.Named) *rate.Service {
		return rate.New(rate.Deps{Sources: sources, Policy: policy, Clock: c, Logger: logger})
	}
	return map[realm.Realm]*rate.Service{
		realm.Live: build(clocks.Of(realm.Live), p, sources...),
		realm.Test: build(clocks.Of(realm.Test), sandbox, rate.Named{Name: "sandbox", Source: rate.Sandbox()}),
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
