package cashdesk

import (
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/scripcards/scrip/internal/cashout/payout"
	"github.com/scripcards/scrip/internal/cashout/payout/destination"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/platform/config"
	"github.com/scripcards/scrip/internal/platform/keyfile"
	"github.com/scripcards/scrip/internal/provider/lnd"
	"github.com/scripcards/scrip/internal/provider/lnurl"
	"github.com/scripcards/scrip/internal/webhook"
)

// payoutFile is what describes who pays; docs/operate/rails.md explains each key.
type payoutFile struct {
	// Nodes pay in the live realm; TestNodes take the place of the simulated one.
	Nodes     payersFile `json:"nodes"`
	TestNodes payersFile `json:"test_nodes"`
	// TestAddresses is how the test realm asks Lightning Addresses.
	TestAddresses addressesFile `json:"test_addresses"`
	Rules         rulesFile     `json:"rules"`
}

type payersFile struct {
	Lnd json.RawMessage `json:"lnd"`
}

type addressesFile struct {
	AllowPrivate    bool   `json:"allow_private"`
	CertificateFile string `json:"certificate_file"`
}

// rulesFile is what the operator wants otherwise: amounts in BTC, rates in satoshis per
// virtual byte.
type rulesFile struct {
	Least         string `json:"least"`
	Most          string `json:"most"`
	Daily         string `json:"daily"`
	LowWallet     string `json:"low_wallet"`
	LowChannels   string `json:"low_channels"`
	FeeFloor      int64  `json:"fee_floor"`
	FeeCap        int64  `json:"fee_cap"`
	FeeFallback   int64  `json:"fee_fallback"`
	Target        int64  `json:"target_blocks"`
	GatherSeconds *int64 `json:"gather_seconds"`
	Patience      int64  `json:"patience_minutes"`
	WatchSeconds  int64  `json:"watch_seconds"`
	BumpMinutes   int64  `json:"bump_minutes"`
	Confirmations int64  `json:"confirmations"`
	Final         int64  `json:"final_confirmations"`
}

// maxFigure bounds the figures of rules: satoshis per virtual byte, blocks and minutes.
const maxFigure = 1_000_000

// policy is the usual one with what the file says otherwise.
func (f *rulesFile) policy() (payout.Policy, error) {
	p := payout.DefaultPolicy()
	for _, a := range []struct {
		name, text string
		to         *money.Amount
	}{{"least", f.Least, &p.Least}, {"most", f.Most, &p.Most}, {"daily", f.Daily, &p.Daily}, {"low_wallet", f.LowWallet, &p.Chain.Low}, {"low_channels", f.LowChannels, &p.Lightning.Low}} {
		if a.text == "" {
			continue
		}
		var err error
		if *a.to, err = money.ParseAmount(a.text, money.BTC); err != nil {
			return p, fmt.Errorf("rules.%s: %q: %w", a.name, a.text, err)
		}
	}
	target := int64(p.Chain.Target)
	for _, n := range []struct {
		name      string
		own, unit int64
		to        *int64
	}{{"fee_floor", f.FeeFloor, 1000, &p.Chain.Floor}, {"fee_cap", f.FeeCap, 1000, &p.Chain.Cap}, {"fee_fallback", f.FeeFallback, 1000, &p.Chain.Fallback},
		{"target_blocks", f.Target, 1, &target}, {"patience_minutes", f.Patience, int64(time.Minute), (*int64)(&p.Chain.Patience)}, {"watch_seconds", f.WatchSeconds, int64(time.Second), (*int64)(&p.Chain.Watch)}, {"bump_minutes", f.BumpMinutes, int64(time.Minute), (*int64)(&p.Chain.Bump)},
		{"confirmations", f.Confirmations, 1, &p.Chain.Confirmations}, {"final_confirmations", f.Final, 1, &p.Chain.Final}} {
		if n.own < 0 || n.own > maxFigure {
			return p, fmt.Errorf("rules.%s: %d: want 1 to %d", n.name, n.own, maxFigure)
		}
		if n.own > 0 {
			*n.to = n.own * n.unit
		}
	}
	if g := f.GatherSeconds; g != nil {
		if *g < 0 || *g > 24*60*60 {
			return p, fmt.Errorf("rules.gather_seconds: %d: want 0 to 86400", *g)
		}
		p.Chain.Gather = time.Duration(*g) * time.Second
	}
	p.Chain.Target = int(target)
	if err := p.Check(); err != nil {
		return p, fmt.Errorf("rules: %w", err)
	}
	return p, nil
}

// payers are who pays, and by which rules.
type payers struct {
	nodes  map[realm.Realm]payout.Nodes
	policy payout.Policy
}

// openPayers opens what a file describes, and calls nobody. Without one nobody pays.
func openPayers(path string) (p payers, err error) {
	p = payers{nodes: map[realm.Realm]payout.Nodes{}, policy: payout.DefaultPolicy()}
	if path == "" {
		return p, nil
	}
	var f payoutFile
	if err := config.ReadNamed(path, &f); err != nil {
		return p, err
	}
	if p.policy, err = f.Rules.policy(); err != nil {
		return p, err
	}
	test, err := f.TestAddresses.open()
	if err != nil {
		return p, err
	}
	for _, n := range []struct {
		key      string
		realm    realm.Realm
		text     json.RawMessage
		resolver payout.Resolver
	}{{"nodes.lnd", realm.Live, f.Nodes.Lnd, lnurl.New(&webhook.Guard{}, nil)}, {"test_nodes.lnd", realm.Test, f.TestNodes.Lnd, test}} {
		if n.text == nil {
			continue
		}
		node, err := lnd.Open(n.text, keyfile.Folder(""))
		if err == nil && (node.Network() == destination.Main) != (n.realm == realm.Live) {
			err = fault.New(fault.InvalidRequest, "main is for the live realm, and the other networks are for the test realm").At("network")
		}
		if err != nil {
			return p, fmt.Errorf("%s: %w", n.key, err)
		}
		p.nodes[n.realm] = node.Nodes(n.resolver)
	}
	return p, nil
}

// open returns who asks Lightning Addresses in the test realm.
func (f *addressesFile) open() (payout.Resolver, error) {
	var roots *x509.CertPool
	if f.CertificateFile != "" {
		text, err := keyfile.Folder("").Read(f.CertificateFile)
		if err != nil {
			return nil, fmt.Errorf("test_addresses.certificate_file: %w", err)
		}
		roots = x509.NewCertPool()
		if !roots.AppendCertsFromPEM(text) {
			return nil, errors.New("test_addresses.certificate_file: it holds no certificate in PEM form")
		}
	}
	return lnurl.New(&webhook.Guard{AllowPrivate: f.AllowPrivate}, roots), nil
}

// Check returns what is wrong with the files of some options, as far as it can be told
// without a database. It calls nobody.
func Check(o Options) error {
	p, err := openPayers(o.Payouts)
	if err != nil {
		return fmt.Errorf("payouts: %w", err)
	}
	if o.File == "" {
		return nil
	}
	var f file
	if err := config.ReadNamed(o.File, &f); err != nil {
		return fmt.Errorf("cashout: %w", err)
	}
	r, err := realm.Parse(f.Realm)
	if err != nil {
		return fmt.Errorf("cashout: %w", err)
	}
	if _, paid := p.nodes[r]; r == realm.Live && !paid {
		return fmt.Errorf("cashout: %w", errNodes)
	}
	if err := f.check(r); err != nil {
		return fmt.Errorf("cashout: %w", err)
	}
	return nil
}

// errNodes says that the live realm has nobody who pays.
var errNodes = fault.New(fault.Unavailable, "the live realm needs a node that pays: see the setting payouts")
