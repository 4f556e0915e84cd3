package server

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"

	"github.com/scripcards/scrip/internal/fraud/office"
	"github.com/scripcards/scrip/internal/fraud/sense"
	"github.com/scripcards/scrip/internal/order/supply"
	"github.com/scripcards/scrip/internal/ping"
	"github.com/scripcards/scrip/internal/platform/keyfile"
	"github.com/scripcards/scrip/internal/provider/balance"
	"github.com/scripcards/scrip/internal/provider/iso8583"
	"github.com/scripcards/scrip/internal/provider/reseller"
)

// adapters are the kinds of networks that operators configure. Their files with secrets
// are in folder; where that is empty they can name none.
func adapters(folder string) (map[string]ping.Adapter, error) {
	files, err := keyfile.Of(folder)
	if err != nil {
		return nil, err
	}
	in := func(open func(keyfile.Folder, []byte) (ping.Network, error)) ping.Adapter {
		return func(config []byte) (ping.Network, error) { return open(files, config) }
	}
	return map[string]ping.Adapter{"http": in(balance.Open), "iso8583": in(iso8583.Open)}, nil
}

// suppliers are the kinds of suppliers of codes that operators configure, with their files
// in folder, as those of networks are.
func suppliers(folder string) (map[string]supply.Adapter, error) {
	files, err := keyfile.Of(folder)
	if err != nil {
		return nil, err
	}
	return map[string]supply.Adapter{"cardpluspay": func(config []byte) (supply.Supplier, error) { return reseller.Open(files, config) }}, nil
}

// resolver asks the DNS server at an address; where that is empty, the system's.
func resolver(address string) *net.Resolver {
	if address == "" {
		return net.DefaultResolver
	}
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, address)
	}}
}

// buildFraud makes the fraud engine, which knows the proxies that a file lists.
func (a *App) buildFraud(ctx context.Context, o Options) error {
	var config sense.Config
	var err error
	if config.Rules.Proxies, err = readProxies(o.ProxyList); err != nil {
		return err
	}
	a.Fraud, err = office.New(office.Deps{DB: a.DB, Audit: a.Audit, Clocks: a.Clocks, Logger: a.Logger, Config: config})
	if err != nil {
		return err
	}
	if err := a.Fraud.Refresh(ctx); err != nil {
		return fmt.Errorf("load models and rules of fraud: %w", err)
	}
	if o.Metrics == nil {
		return nil
	}
	return o.Metrics.Counter("scrip_fraud_lost_total", "Events that were scored and not logged, since the database did not take them in time.",
		func() float64 { return float64(a.Fraud.Lost()) })
}

const (
	maxProxyLines = 5_000_000
	shownProblems = 5
)

// readProxies reads the file of a proxy list; without one there is none.
func readProxies(file string) ([]netip.Prefix, error) {
	if file == "" {
		return nil, nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("proxy list: %w", err)
	}
	proxies, err := parseProxies(text)
	if err != nil {
		return nil, fmt.Errorf("proxy list %s: %w", file, err)
	}
	return proxies, nil
}

// parseProxies reads addresses and networks, one a line; empty lines and what follows a
// "#" do not count. It tells the first lines that are wrong.
func parseProxies(text []byte) ([]netip.Prefix, error) {
	var all []netip.Prefix
	var problems []error
	lines := bufio.NewScanner(bytes.NewReader(text))
	for number := 1; lines.Scan(); number++ {
		line, _, _ := strings.Cut(lines.Text(), "#")
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		prefix, err := parseProxy(line)
		switch {
		case err == nil:
			all = append(all, prefix)
		case len(problems) < shownProblems:
			problems = append(problems, fmt.Errorf("line %d: %w", number, err))
		}
		if len(all) > maxProxyLines {
			return nil, fmt.Errorf("want at most %d lines", maxProxyLines)
		}
	}
	return all, errors.Join(append(problems, lines.Err())...)
}

var errNoProxy = errors.New("want an address or a network such as 192.0.2.0/24")

// parseProxy reads an address, or a network: the bits behind its prefix do not count.
func parseProxy(text string) (netip.Prefix, error) {
	if address, err := netip.ParseAddr(text); err == nil && address.Zone() == "" {
		return address.Prefix(address.BitLen())
	}
	prefix, err := netip.ParsePrefix(text)
	if err != nil {
		return netip.Prefix{}, errNoProxy
	}
	return prefix, nil
}
