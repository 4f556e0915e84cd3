package lnd

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/scripcards/scrip/internal/cashout/payout"
	"github.com/scripcards/scrip/internal/cashout/payout/transaction"
	"github.com/scripcards/scrip/internal/core/fault"
)

// coinOf is one of the wallet's coins as the node lists it.
func coinOf(number int, satoshi int64, script []byte, confirmations int) string {
	return fmt.Sprintf(`{"address_type":"TAPROOT_PUBKEY","address":%q,"amount_sat":"%d","pk_script":%q,"outpoint":{"txid_bytes":"AA==","txid_str":%q,"output_index":%d},"confirmations":"%d"}`,
		secret, satoshi, hex.EncodeToString(script), strings.Repeat(fmt.Sprintf("%02x", number), 32), number, confirmations)
}

// bumping is a node that signs, knows what the order's transaction spends, and has coins.
func bumping(t *testing.T, coins ...string) *fake {
	t.Helper()
	f := start(t)
	f.sign()
	parent := parentOf()
	f.say("GET /v2/wallet/tx", fmt.Sprintf(`{"tx_hash":%q,"num_confirmations":3,"raw_tx_hex":%q,"time_stamp":"0","total_fees":"0"}`, parent.ID(), hex.EncodeToString(parent.Bytes())))
	f.say("POST /v2/wallet/utxos", `{"utxos":[`+strings.Join(coins, ",")+`]}`)
	f.say("POST /v2/wallet/utxos/lease", `{"expiration":"1"}`)
	f.say("POST /v2/wallet/utxos/release", `{}`)
	f.say("POST /v2/wallet/address/next", `{"addr":"bcrt1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqc8gma6"}`)
	f.say("GET /v1/balance/blockchain", `{"confirmed_balance":"1","unconfirmed_balance":"2","reserved_balance_anchor_chan":"10000"}`)
	return f
}

func parse(t *testing.T, raw []byte) transaction.Transaction {
	t.Helper()
	tx, err := transaction.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return tx
}

// said is how often something was asked.
func (f *fake) said(what string) (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, call := range f.calls {
		if strings.HasPrefix(call, what+" ") {
			n++
		}
	}
	return n
}

// A replacement spends the same coins, pays the same outputs, and takes the higher fee from
// the change as long as that is enough: the wallet's coins are not even asked for.
func TestBump(t *testing.T) {
	f := bumping(t)
	before := parse(t, hexBytes(t, rawOf(order())))
	size := before.Size()
	for rate, fee := range map[int64]int64{40_000: 40_000 * size * 99 / 100_000, 1_000: 3_000 + size + 2} {
		o := order()
		o.Rate = rate
		made, err := Wallet{f.open()}.Bump(t.Context(), before.Bytes(), o)
		if err != nil {
			t.Fatal(err)
		}
		tx := parse(t, made.Raw)
		if !tx.Spends(&before) || !tx.Pays(o.Outputs) || made.Fee != fee || len(tx.Outputs) != 3 || len(tx.Inputs) != 2 || made.Release != nil {
			t.Errorf("rate %d: fee %d, want %d, of %+v", rate, made.Fee, fee, tx)
		}
	}
	if f.said("POST /v2/wallet/utxos") != 0 {
		t.Error("the coins were asked for")
	}
	f.refuse("GET /v2/wallet/tx", 500, `{"code":2,"message":"can not find transaction `+secret+`"}`)
	_, err := Wallet{f.open()}.Bump(t.Context(), before.Bytes(), order())
	want(t, "an unknown coin", err, fault.Unavailable)
}

// Where the change is too little, or there is none, a confirmed coin of a kind that the
// wallet signs is leased and added; the lease is of a number of its own, and can be given back.
func TestBumpAddsCoins(t *testing.T) {
	script := append([]byte{0xa9, 20}, append(make([]byte, 20), 0x87)...)
	for _, change := range []int64{600, 0} {
		f := bumping(t, coinOf(1, 5_000_000, taproot, 0), coinOf(2, 800_000, script, 9), coinOf(3, 900_000, somebody, 1), coinOf(4, 950_000, taproot, 7))
		tx := funded(order()).tx
		tx.Outputs[0].Satoshi = change
		if change == 0 {
			tx.Outputs = tx.Outputs[1:]
		}
		before := parse(t, signed(tx))
		o := order()
		o.Rate, o.Most = 600_000, 1_000_000
		made, err := Wallet{f.open()}.Bump(t.Context(), before.Bytes(), o)
		if err != nil {
			t.Fatal(err)
		}
		after := parse(t, made.Raw)
		added := after.Inputs[len(after.Inputs)-1]
		if !after.Spends(&before) || !after.Pays(o.Outputs) || len(after.Inputs) != 3 || len(after.Outputs) != 3 || added.TxID != strings.Repeat("03", 32) || added.Index != 3 {
			t.Fatalf("with a change of %d: %+v", change, after)
		}
		out := int64(0)
		for _, o := range after.Outputs {
			out += o.Satoshi
		}
		if paid := 1_000_000 - out; made.Fee != paid || paid*1000 < o.Rate*after.Size()*98/100 || paid*1000 > o.Most*after.Size() {
			t.Errorf("with a change of %d: a fee of %d for %d bytes, and it says %d", change, paid, after.Size(), made.Fee)
		}
		if asked := f.asked("POST /v2/wallet/utxos "); !strings.Contains(asked, `"min_confs":1`) || !strings.Contains(asked, `"account":"default"`) {
			t.Errorf("asked for %s", asked)
		}
		var leased, released lease
		if err := json.Unmarshal([]byte(f.asked("POST /v2/wallet/utxos/lease")), &leased); err != nil || len(leased.ID) != 32 || leased.Outpoint != (outpoint{added.TxID, 3}) {
			t.Errorf("%+v, %v", leased, err)
		}
		if fresh := f.said("POST /v2/wallet/address/next"); fresh != map[int64]int{600: 0, 0: 1}[change] || f.said("POST /v2/wallet/utxos/release") != 0 {
			t.Errorf("with a change of %d: calls %q", change, f.calls)
		}
		if err := made.Release(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal([]byte(f.asked("POST /v2/wallet/utxos/release")), &released); err != nil || string(released.ID) != string(leased.ID) || released.Outpoint != leased.Outpoint {
			t.Errorf("leased %+v, released %+v, %v", leased, released, err)
		}
	}
}

// What cannot be made is an error, and whatever was leased for it is given back.
func TestBumpRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		coins    []string
		what     string // is answered so
		answer   answer
		want     fault.Code
		released int
	}{
		"no coins":          {nil, "GET /none", answer{}, fault.InsufficientFunds, 0},
		"only small ones":   {[]string{coinOf(1, 500, taproot, 3)}, "GET /none", answer{}, fault.InsufficientFunds, 0},
		"the reserve":       {[]string{coinOf(1, 900_000, taproot, 3)}, "GET /v1/balance/blockchain", answer{200, `{"confirmed_balance":"1","unconfirmed_balance":"2","reserved_balance_anchor_chan":"899000"}`}, fault.InsufficientFunds, 0},
		"no list":           {nil, "POST /v2/wallet/utxos", answer{500, `{"code":2,"message":"` + secret + `"}`}, fault.Unavailable, 0},
		"no amount":         {[]string{coinOf(1, 0, taproot, 3)}, "GET /none", answer{}, fault.Unavailable, 0},
		"no balance":        {[]string{coinOf(1, 900_000, taproot, 3)}, "GET /v1/balance/blockchain", answer{500, `{"code":2,"message":"` + secret + `"}`}, fault.Unavailable, 0},
		"leased by another": {[]string{coinOf(1, 900_000, taproot, 3)}, "POST /v2/wallet/utxos/lease", answer{500, `{"code":2,"message":"output already locked ` + secret + `"}`}, fault.Unavailable, 1},
		"no change":         {[]string{coinOf(1, 900_000, taproot, 3)}, "POST /v2/wallet/address/next", answer{200, `{"addr":"bcrt1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqdku202"}`}, fault.Unavailable, 1},
		"not signed":        {[]string{coinOf(1, 900_000, taproot, 3)}, "POST /v2/wallet/psbt/finalize", answer{500, `{"code":2,"message":"` + secret + `"}`}, fault.Unavailable, 1},
		"another is signed": {[]string{coinOf(1, 900_000, taproot, 3)}, "POST /v2/wallet/psbt/finalize", answer{200, fmt.Sprintf(`{"raw_final_tx":%q}`, base64.StdEncoding.EncodeToString(signed(funded(order()).tx)))}, fault.Unavailable, 1},
	} {
		f := bumping(t, c.coins...)
		if c.answer.status != 0 {
			f.answers[c.what] = func(*http.Request, []byte) answer { return c.answer }
		}
		tx := funded(order()).tx
		tx.Outputs = tx.Outputs[1:]
		tx.Outputs[0].Satoshi = 89_000 // hardly a fee
		o := order()
		o.Outputs[0].Satoshi = 89_000
		made, err := Wallet{f.open()}.Bump(t.Context(), signed(tx), o)
		want(t, name, err, c.want)
		if n := f.said("POST /v2/wallet/utxos/release"); len(made.Raw) > 0 || n != c.released {
			t.Errorf("%s: made %x, and %d coins were given back", name, made.Raw, n)
		}
	}
}

// The coins of a transaction that was given up are given back, by the number that the node
// leased them with; those of one that could not be signed at once.
func TestBuildGivesBack(t *testing.T) {
	f := start(t)
	f.sign()
	locked := fmt.Sprintf(`,"locked_utxos":[{"id":"AQI=","outpoint":{"txid_bytes":"AA==","txid_str":%q,"output_index":1},"expiration":"9"}]}`, strings.Repeat("ab", 32))
	p := funded(order())
	f.say("POST /v2/wallet/psbt/fund", fmt.Sprintf(`{"funded_psbt":%q`, base64.StdEncoding.EncodeToString(p.bytes()))+locked)
	f.say("POST /v2/wallet/utxos/release", `{}`)
	made, err := Wallet{f.open()}.Build(t.Context(), order())
	if err != nil {
		t.Fatal(err)
	}
	if n := f.said("POST /v2/wallet/utxos/release"); n != 0 {
		t.Errorf("%d were given back at once", n)
	}
	if err := made.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, want := f.asked("POST /v2/wallet/utxos/release"), fmt.Sprintf(`{"id":"AQI=","outpoint":{"txid_str":%q,"output_index":1}}`, strings.Repeat("ab", 32)); got != want {
		t.Errorf("released %s, want %s", got, want)
	}
	f.refuse("POST /v2/wallet/psbt/finalize", 500, `{"code":2,"message":"`+secret+`"}`)
	_, err = Wallet{f.open()}.Build(t.Context(), order())
	want(t, "not signed", err, fault.Unavailable)
	if n := f.said("POST /v2/wallet/utxos/release"); n != 2 {
		t.Errorf("%d releases", n)
	}
}

var _ payout.Wallet = Wallet{}
