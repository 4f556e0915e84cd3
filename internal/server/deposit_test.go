package server

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/core/asset"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/wallet/address"
)

const accountKey = "zpub6rFR7y4Q2AijBEqTUquhVz398htDFrtymD9xYYfG1m4wAcvPhXNfE3EfH1r1ADqtfSdVCToUG868RvUUkgDKf31mGDtKsAYz2oz2AGutZYs"

// moneroAddress is one of the main network, as those of regtest are written.
const moneroAddress = "469DYb48FbrE5YWu4JWGWd6VYH5zJUES4CRgddn8ru2AFwnFjNeN9N7K1R2mh24ExZBxzVrWK6M6Ba51XmejhLxn8GoE1GN"

// file writes a description of deposits.
func file(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "deposits.json")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// What the file says holds, and what it leaves out is as published.
func TestDepositFile(t *testing.T) {
	f, err := readDeposits(file(t, `{
		"keys": {"bitcoin": "`+accountKey+`", "ethereum": "`+address.DemoEthereum+`"},
		"solana_low": 50,
		"fee": "1.5",
		"rate_window_minutes": 30,
		"assets": {"BTC": {"minimum": "0.0002", "confirmations": [{"from": "0", "confirmations": 3}, {"from": "1", "confirmations": 120}]}},
		"rates": {"sources": [{"preset": "kraken"}, {"preset": "okx", "timeout_ms": 900}], "least_sources": 2, "stale_seconds": 300, "outlier": "1", "spread": "2.5"}
	}`))
	if err != nil {
		t.Fatal(err)
	}
	p, err := f.policy()
	if err != nil {
		t.Fatal(err)
	}
	btc, eth := p.Rules[asset.BTC], p.Rules[asset.ETH]
	if p.FeeBasisPoints != 150 || p.RateWindow != 30*time.Minute || btc.Minimum.String() != "0.0002" || len(btc.Bands) != 2 ||
		btc.Bands[1].From.String() != "1" || btc.Bands[1].Confirmations != 120 || btc.Settled != 120 || eth.Minimum.String() != "0.005" {
		t.Errorf("%+v", p)
	}
	makers, pools, err := f.makers()
	if err != nil {
		t.Fatal(err)
	}
	first, err := makers[address.Place{Realm: realm.Live, Chain: asset.Bitcoin}].Address(t.Context(), 0)
	if err != nil || first != "bc1qcr8te4kr609gcawutmrza0j4xv80jy8z306fyu" {
		t.Errorf("%s, %v", first, err)
	}
	if len(makers) != 6 || pools[address.Place{Realm: realm.Live, Chain: asset.Solana}] != 50 {
		t.Errorf("%d makers, %v", len(makers), pools)
	}
	none, err := readDeposits("")
	if err != nil {
		t.Fatal(err)
	}
	if makers, pools, err := none.makers(); err != nil || len(makers) != 4 || len(pools) != 0 {
		t.Errorf("without a file: %d makers, %v, %v", len(makers), pools, err)
	}
}

// A node of solana has addresses of a list given, in the test realm too, where they take the
// place of simulated ones.
func TestSolanaNodeHasList(t *testing.T) {
	f, err := readDeposits(file(t, `{"nodes": {"solana": {}}, "test_nodes": {"solana": {}}}`))
	if err != nil {
		t.Fatal(err)
	}
	makers, pools, err := f.makers()
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range realm.All() {
		at := address.Place{Realm: r, Chain: asset.Solana}
		if _, ok := pools[at]; !ok || makers[at] != nil {
			t.Errorf("%s: a list: %t, a maker: %v", r, ok, makers[at])
		}
	}
}

// A mistake in the file keeps the program from starting, says where it is, and repeats no key.
func TestDepositFileMistakes(t *testing.T) {
	for text, want := range map[string]string{
		`{`:                        "unexpected EOF",
		`{} {}`:                    "after top-level value",
		`[]`:                       "unmarshal JSON array into",
		`{"kyes": {}}`:             `unknown field "kyes"`,
		`{"fee": "2", "fee": "3"}`: `"fee" stands twice`,
		`{"keys": {"bitcoin": "xprv9s21ZrQH143K3QTDL4LXw2F7HEK3wJUD2nW2nRk4stbPy6cq3jPPqjiChkVvvNKmPGJxWUtg6LnF5kejMRNNU3TGtRBeJgk33yuGBxrMPHi"}}`: "keys.bitcoin: invalid_request: it is a PRIVATE key",
		`{"keys": {"bitcoin": "` + address.DemoBitcoin + `"}}`: "keys.bitcoin: it is the key of a test network",
		`{"keys": {"ethereum": "` + accountKey + `"}}`:         "keys.ethereum: ",
		`{"nodes": {"monero": {"url": "http://127.0.0.1:1", "node_url": "http://127.0.0.1:2", "network": "regtest", "address": "` + moneroAddress + `"}}}`:      "nodes.monero: invalid_request: the main network is for the live realm",
		`{"test_nodes": {"monero": {"url": "http://192.0.2.1:1", "node_url": "http://127.0.0.1:2", "network": "regtest", "address": "` + moneroAddress + `"}}}`: "test_nodes.monero: invalid_request: want the address of monero-wallet-rpc",
		`{"nodes": {"solana": {"url": "http://127.0.0.1:1", "network": "dev", "usdt_mint": "So11111111111111111111111111111111111111112"}}}`:                    "nodes.solana: invalid_request: the main network is for the live realm",
		`{"test_nodes": {"solana": {"url": "http://127.0.0.1:1", "network": "main"}}}`:                                                                          "test_nodes.solana: invalid_request: the main network is for the live realm",
		`{"test_nodes": {"solana": {"url": "http://192.0.2.1:1", "network": "main"}}}`:                                                                          "test_nodes.solana: invalid_request: a node on another machine",
		`{"solana_low": -1}`:                              "solana_low",
		`{"fee": "100"}`:                                  "(fee)",
		`{"fee": "two"}`:                                  `fee: "two"`,
		`{"rate_window_minutes": -1}`:                     "(rate_window)",
		`{"assets": {"DOGE": {}}}`:                        `asset "DOGE"`,
		`{"assets": {"BTC": {"minimum": "0"}}}`:           "(assets.BTC)",
		`{"assets": {"BTC": {"minimum": "0.000000001"}}}`: "assets.BTC: minimum",
		`{"assets": {"BTC": {"confirmations": []}}}`:      "(assets.BTC)",
		`{"assets": {"BTC": {"confirmations": [{"from": "x", "confirmations": 1}]}}}`: `from "x"`,
		`{"assets": {"BTC": {"settled": 2}}}`:                                         "(assets.BTC)",
		`{"rates": {"sources": [{"preset": "mtgox"}]}}`:                               "rates.sources.0: ",
		`{"rates": {"sources": [{"preset": "kraken"}, {"preset": "kraken"}]}}`:        "two called kraken",
		`{"rates": {"sources": [{"preset": "kraken"}, {"preset": "okx"}]}}`:           "rates.sources: there are 2, and least_sources wants 3",
		`{"rates": {"least_sources": -1}}`:                                            "rates.invalid_request",
		`{"rates": {"outlier": "x"}}`:                                                 "rates.outlier",
		`{"rates": {"fresh_seconds": 1}}`:                                             "(fresh_seconds)",
	} {
		err := describe(t, text)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "xprv") {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
	if _, err := readDeposits(file(t, "{}"+strings.Repeat(" ", 256<<10))); err == nil {
		t.Error("a file without end was read")
	}
	if _, err := readDeposits(filepath.Join(t.TempDir(), "nowhere.json")); err == nil {
		t.Error("a file that is not there was read")
	}
}

// describe reads a description and builds all of it.
func describe(t *testing.T, text string) error {
	t.Helper()
	app, err := Open(t.Context(), Options{Data: t.TempDir(), Deposits: file(t, text), Logger: slog.New(slog.DiscardHandler)})
	if err == nil {
		err = app.Close()
	}
	return err
}
