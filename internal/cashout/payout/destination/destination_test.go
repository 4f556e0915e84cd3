package destination_test

import (
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"github.com/btcsuite/btcd/btcec/v2"

	"github.com/scripcards/scrip/internal/cashout/payout/destination"
	"github.com/scripcards/scrip/internal/cashout/payout/invoice"
	"github.com/scripcards/scrip/internal/core/fault"
)

// addresses are one of each form on each network that has its own, with their scripts. The
// bech32 ones are the examples of BIP 173 and BIP 350.
var addresses = []struct {
	network destination.Network
	kind    destination.Kind
	text    string
	script  string
}{
	{destination.Main, destination.P2PKH, "1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2", "76a91477bff20c60e522dfaa3350c39b030a5d004e839a88ac"},
	{destination.Main, destination.P2SH, "3J98t1WpEZ73CNmQviecrnyiWrnqRhWNLy", "a914b472a266d0bd89c13706a4132ccfb16f7c3b9fcb87"},
	{destination.Main, destination.P2WPKH, "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", "0014751e76e8199196d454941c45d1b3a323f1433bd6"},
	{destination.Main, destination.P2WSH, "bc1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3qccfmv3", "00201863143c14c5166804bd19203356da136c985678cd4d27a1b8c6329604903262"},
	{destination.Main, destination.P2TR, "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0", "512079be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"},
	{destination.Test, destination.P2PKH, "mipcBbFg9gMiCh81Kj8tqqdgoZub1ZJRfn", "76a914243f1394f44554f4ce3fd68649c19adc483ce92488ac"},
	{destination.Test, destination.P2SH, "2MzQwSSnBHWHqSAqtTVQ6v47XtaisrJa1Vc", "a9144e9f39ca4688ff102128ea4ccda34105324305b087"},
	{destination.Test, destination.P2WPKH, "tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx", "0014751e76e8199196d454941c45d1b3a323f1433bd6"},
	{destination.Test, destination.P2WSH, "tb1qqqqqp399et2xygdj5xreqhjjvcmzhxw4aywxecjdzew6hylgvsesrxh6hy", "0020000000c4a5cad46221b2a187905e5266362b99d5e91c6ce24d165dab93e86433"},
	{destination.Test, destination.P2TR, "tb1pqqqqp399et2xygdj5xreqhjjvcmzhxw4aywxecjdzew6hylgvsesf3hn0c", "5120000000c4a5cad46221b2a187905e5266362b99d5e91c6ce24d165dab93e86433"},
	{destination.Regtest, destination.P2WPKH, "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080", "0014751e76e8199196d454941c45d1b3a323f1433bd6"},
}

// Every form of address is read on its own network, has the script that pays it, and is
// refused on the others.
func TestAddresses(t *testing.T) {
	for _, a := range addresses {
		for _, n := range destination.Networks() {
			d, err := destination.Parse(n, " "+a.text+"\n")
			// Test networks share the forms of old addresses, and signet those of testnet.
			base58 := a.kind == destination.P2PKH || a.kind == destination.P2SH
			own := n == a.network || a.network == destination.Test && n != destination.Main && (base58 || n == destination.Signet)
			switch {
			case !own:
				if fault.CodeOf(err) != fault.InvalidRequest {
					t.Errorf("%s on %s: %+v, %v", a.text, n, d, err)
				}
			case err != nil || d.Kind != a.kind || d.Text != a.text || d.Network != n:
				t.Errorf("%s on %s: %+v, %v", a.text, n, d, err)
			case hex.EncodeToString(d.Script()) != a.script:
				t.Errorf("%s: script %x, want %s", a.text, d.Script(), a.script)
			}
		}
		if strings.HasPrefix(a.script, "00") || strings.HasPrefix(a.script, "51") {
			small, err := destination.Parse(a.network, a.text)
			capitals, err2 := destination.Parse(a.network, strings.ToUpper(a.text))
			if err != nil || err2 != nil || small != capitals {
				t.Errorf("%s in capitals: %+v, %v", a.text, capitals, err2)
			}
		}
		for _, uri := range []string{"bitcoin:", "BITCOIN:"} {
			if d, err := destination.Parse(a.network, uri+a.text); err != nil || d.Text != a.text {
				t.Errorf("%s%s: %+v, %v", uri, a.text, d, err)
			}
		}
	}
}

// What is no address, or is paid to nobody, is refused: typing errors, the wrong checksum
// for a witness version, unknown versions, keys, anchors.
func TestRefused(t *testing.T) {
	for _, text := range []string{
		"", " ", "x", strings.Repeat("1", 100), strings.Repeat("a", 10_000),
		"1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN3",
		"bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t5",
		"bc1Qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4",
		"bc1pw508d6qejxtdg4y5r3zarvary0c5xw7kw508d6qejxtdg4y5r3zarvary0c5xw7kt5nd6y", // 40 bytes of version 1
		"BC1SW50QGDZ25J",                       // version 16
		"bc1zw508d6qejxtdg4y5r3zarvaryvaxxpcs", // version 2
		"bc1p38j9r5y49hruaue7wxjce0updqjuyyx0kh56v8s25huc6995vvpql3jow4", // a character that is none
		"bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqh2y7hd", // bech32 instead of bech32m
		"bc1q0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vq24jc47", // bech32m instead of bech32
		"bc1gmk9yu",      // nothing
		"bc1pfeessrawgf", // an anchor
		"bc1pw508d6qejxtdg4y5r3zarvary0c5xw7kj9wkru",                         // 20 bytes of version 1: not the address of version 0 with the same bytes
		"bc1pqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqpqqenm",     // a key that is none: nobody could spend it
		"02e6642fd69bd211f93f7f1f36ca51a26a5290eb2dd1b0d8279a87bb0d480c8443", // a public key
		"lightning:bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4",
		"bitcoin:", "bitcoin:bitcoin:bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", "bitcoin:satoshi@example.com",
		"bitcoin:bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4?amount=1", // what else it asks for is nobody's to drop
		"0x9858EfFD232B4033E47d90003D41EC34EcaEda94",
	} {
		if d, err := destination.Parse(destination.Main, text); fault.CodeOf(err) != fault.InvalidRequest {
			t.Errorf("%q: %+v, %v", text, d, err)
		}
	}
	if _, err := destination.Parse("moon", addresses[0].text); fault.CodeOf(err) != fault.InvalidRequest {
		t.Errorf("a network that does not exist: %v", err)
	}
	if (destination.Destination{}).Script() != nil {
		t.Error("nowhere is somewhere")
	}
}

// What belongs elsewhere, or is paid by other means, is refused with a word about that.
func TestRefusedBecause(t *testing.T) {
	for text, want := range map[string]string{
		"mipcBbFg9gMiCh81Kj8tqqdgoZub1ZJRfn":                                  "the address is not one of the main network",
		"2MzQwSSnBHWHqSAqtTVQ6v47XtaisrJa1Vc":                                 "the address is not one of the main network",
		"tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx":                          "the address is not one of the main network",
		"bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080":                        "the address is not one of the main network",
		"mipcBbFg9gMiCh81Kj8tqqdgoZub1ZJRfm":                                  "the address has a typing error in it, or a form that is unknown",
		"lno1pgx9getnwss8vetrw3hhyuckyypwa3eyt44h6txtxquq":                    "offers (BOLT 12) are not paid: give an invoice (BOLT 11) or a Lightning Address",
		"lightning:LNO1PGX9GETNWSS8VETRW3HHYUCKYYPWA":                         "offers (BOLT 12) are not paid: give an invoice (BOLT 11) or a Lightning Address",
		"lni1pqps7sjqpgtyzm3qv4uxzmtsd3jjqer9wd3hy6tsw35k7ms":                 "invoices and their requests of BOLT 12 are not paid: give an invoice (BOLT 11) or a Lightning Address",
		"LNURL1DP68GURN8GHJ7UM9WFMXJCM99E3K7MF0V9CXJ0M385EKVCENXC6R2C35XVUKX": "LNURLs are not paid: give an invoice (BOLT 11) or a Lightning Address",
		"lnurlp://example.com/pay":                                            "LNURLs are not paid: give an invoice (BOLT 11) or a Lightning Address",
		"lnbc1":                                                               "the invoice has a typing error in it, or is incomplete",
	} {
		if d, err := destination.Parse(destination.Main, text); fault.CodeOf(err) != fault.InvalidRequest || fault.From(err).Message != want {
			t.Errorf("%q: %+v, %v; want %q", text, d, err, want)
		}
	}
	if _, err := destination.Parse(destination.Test, "1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2"); fault.From(err).Message != "the address is not one of the test network" {
		t.Error(err)
	}
	if d, err := destination.Parse(destination.Main, "lnurl1@example.com"); err != nil {
		t.Errorf("a Lightning Address of that name: %+v, %v", d, err)
	}
}

// Lightning Addresses are read in any case, with the names and hosts that there can be.
func TestHandles(t *testing.T) {
	for _, text := range []string{"satoshi@example.com", "Satoshi@Example.COM", "lightning:satoshi@example.com"} {
		d, err := destination.Parse(destination.Main, text)
		if user, host := d.Split(); err != nil || d.Kind != destination.Handle || !d.Kind.IsLightning() || d.Text != "satoshi@example.com" || user != "satoshi" || host != "example.com" {
			t.Errorf("%s: %+v, %v", text, d, err)
		}
	}
	for _, text := range []string{"a-b_c.d+e@x.y", "1@pay.a-b.example"} {
		if d, err := destination.Parse(destination.Main, text); err != nil || d.Text != text {
			t.Errorf("%s: %+v, %v", text, d, err)
		}
	}
	for _, text := range []string{
		"@example.com", "a@", "a@localhost", "a@b..c", "a@-b.c", "a@b-.c", "a@127.0.0.1", "a@[::1]", "a@b.c:80", "a@b.c/d", "a/b@c.d", "a b@c.d", "ä@c.d", "a@c.d@e.f",
		"a@0x7f.1", "a@2130706433", "a@b.c?d", "a@b.c#d", "a%40@b.c", strings.Repeat("a", 65) + "@b.c", "a@" + strings.Repeat("b", 64) + ".c", "a@" + strings.Repeat("b.", 127) + "c",
	} {
		if d, err := destination.Parse(destination.Main, text); fault.CodeOf(err) != fault.InvalidRequest {
			t.Errorf("%q: %+v, %v", text, d, err)
		}
	}
}

// encode is an invoice that its maker wants to be paid within ten minutes of made.
func encode(t testing.TB, prefix string, msat int64, made time.Time) string {
	t.Helper()
	key, _ := btcec.PrivKeyFromBytes([]byte{31: 1})
	text, err := invoice.Encode(invoice.Invoice{Prefix: prefix, MilliSatoshi: msat, MadeAt: made, ExpiresAt: made.Add(10 * time.Minute), Hash: [32]byte{1}, Secret: [32]byte{2}}, key)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// Only invoices without an amount are taken, on their own network, and only while they
// have time left.
func TestInvoices(t *testing.T) {
	made := time.Date(2026, 5, 22, 12, 0, 0, 0, time.UTC)
	for _, n := range destination.Networks() {
		text := encode(t, n.Prefix(), 0, made)
		for _, other := range destination.Networks() {
			d, err := destination.Parse(other, text)
			if other == n && (err != nil || d.Kind != destination.Invoice || d.Text != text) || other != n && fault.CodeOf(err) != fault.InvalidRequest {
				t.Errorf("%s on %s: %+v, %v", n, other, d, err)
			}
		}
		if _, err := destination.Parse(n, encode(t, n.Prefix(), 1000, made)); fault.CodeOf(err) != fault.InvalidRequest {
			t.Errorf("an invoice with an amount: %v", err)
		}
		capitals, err := destination.Parse(n, "LIGHTNING:"+strings.ToUpper(text))
		if err != nil || capitals.Text != text {
			t.Errorf("in capitals: %+v, %v", capitals, err)
		}
		if _, err := capitals.Payable(made, 10*time.Minute); err != nil {
			t.Errorf("just in time: %v", err)
		}
		if _, err := capitals.Payable(made.Add(time.Microsecond), 10*time.Minute); fault.CodeOf(err) != fault.InvalidRequest {
			t.Errorf("too late: %v", err)
		}
	}
	if _, err := (destination.Destination{Kind: destination.Handle, Text: "a@b.c"}).Payable(made, 0); fault.CodeOf(err) != fault.InvalidRequest {
		t.Errorf("a Lightning Address as an invoice: %v", err)
	}
}

// No text has the parser panic, and what it accepts it accepts again as it has written it.
func FuzzParse(f *testing.F) {
	for _, a := range addresses {
		f.Add(string(a.network), a.text)
	}
	f.Add("main", "lightning:a@b.c")
	f.Add("main", "bitcoin:"+addresses[0].text)
	f.Add("regtest", encode(f, "bcrt", 0, time.Unix(0, 0)))
	f.Fuzz(func(t *testing.T, network, text string) {
		d, err := destination.Parse(destination.Network(network), text)
		if err != nil {
			return
		}
		if again, err := destination.Parse(d.Network, d.Text); err != nil || again != d {
			t.Errorf("%q: %+v, then %+v, %v", text, d, again, err)
		}
		if !d.Kind.IsLightning() && len(d.Script()) < 22 {
			t.Errorf("%q: script %x", text, d.Script())
		}
	})
}
