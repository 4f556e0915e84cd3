package lnd

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/cashout/payout"
	"github.com/scripcards/scrip/internal/cashout/payout/transaction"
	"github.com/scripcards/scrip/internal/core/fault"
)

// Scripts of the wallet's and of somebody's.
var (
	taproot  = append([]byte{0x51, 32}, bytes.Repeat([]byte{7}, 32)...)
	somebody = append([]byte{0, 20}, bytes.Repeat([]byte{9}, 20)...)
)

func order() payout.Order {
	return payout.Order{Outputs: []transaction.Output{{Satoshi: 10_000, Script: somebody}, {Satoshi: 10_000, Script: somebody}}, Rate: 10_000, Most: 100_000}
}

// funded is what the wallet makes of an order: two coins, and what is left of them.
func funded(o payout.Order) packet {
	parent := parentOf()
	p := packet{tx: transaction.Transaction{Version: 2, Inputs: []transaction.Input{{TxID: parent.ID(), Sequence: 0xffffffff}, {TxID: parent.ID(), Index: 1, Sequence: 0xffffffff}}},
		spent: parent.Outputs}
	p.tx.Outputs = append([]transaction.Output{{Satoshi: 77_000, Script: taproot}}, o.Outputs...)
	return p
}

// parentOf is the transaction that paid the wallet.
func parentOf() transaction.Transaction {
	return transaction.Transaction{Version: 2, Inputs: []transaction.Input{{TxID: strings.Repeat("ab", 32)}},
		Outputs: []transaction.Output{{Satoshi: 60_000, Script: taproot}, {Satoshi: 40_000, Script: somebody}}}
}

// rawOf is the order's transaction with its signatures.
func rawOf(o payout.Order) string {
	tx := funded(o).tx
	return hex.EncodeToString(signed(tx))
}

func signed(tx transaction.Transaction) []byte {
	for i := range tx.Inputs {
		tx.Inputs[i].Witness = [][]byte{bytes.Repeat([]byte{1}, 64)}
	}
	return tx.Bytes()
}

// sign has the node sign whatever it is given.
func (f *fake) sign() {
	f.answers["POST /v2/wallet/psbt/finalize"] = func(_ *http.Request, body []byte) answer {
		var asked struct {
			PSBT []byte `json:"funded_psbt"`
		}
		if err := json.Unmarshal(body, &asked); err != nil {
			f.t.Error(err)
		}
		p, err := parsePacket(asked.PSBT)
		if err != nil {
			f.t.Error(err)
		}
		return answer{200, fmt.Sprintf(`{"signed_psbt":"","raw_final_tx":%q}`, base64.StdEncoding.EncodeToString(signed(p.tx)))}
	}
}

func fundedAnswer(p packet) string {
	return fmt.Sprintf(`{"funded_psbt":%q,"change_output_index":0,"locked_utxos":[]}`, base64.StdEncoding.EncodeToString(p.bytes()))
}

// A transaction is made of confirmed coins that are locked, at the rate, pays each output,
// equal ones too, may be replaced, and is not published.
func TestBuild(t *testing.T) {
	f := start(t)
	f.say("POST /v2/wallet/psbt/fund", fundedAnswer(funded(order())))
	f.sign()
	made, err := Wallet{f.open()}.Build(t.Context(), order())
	if err != nil {
		t.Fatal(err)
	}
	tx, err := transaction.Parse(made.Raw)
	if err != nil || made.Fee != 3_000 || !tx.Pays(order().Outputs) {
		t.Errorf("fee %d of %+v, %v", made.Fee, tx, err)
	}
	for _, in := range tx.Inputs {
		if in.Sequence != replaceable {
			t.Errorf("the sequence is %x", in.Sequence)
		}
	}
	asked := f.asked("POST /v2/wallet/psbt/fund")
	for _, part := range []string{`"sat_per_kw":"2425"`, `"min_confs":1`, `"lock_expiration_seconds":"600"`} {
		if !strings.Contains(asked, part) {
			t.Errorf("asked %s, without %s", asked, part)
		}
	}
	if len(f.calls) != 3 {
		t.Errorf("calls: %q", f.calls)
	}
}

// What the wallet cannot or should not have made is an error, and never a transaction.
func TestBuildRefuses(t *testing.T) {
	other := funded(order())
	other.tx.Outputs = other.tx.Outputs[:2]
	unspent := funded(order())
	unspent.spent = unspent.spent[:1]
	for name, c := range map[string]struct {
		fund answer
		sign string
		want fault.Code
	}{
		"too little":        {answer{500, `{"code":2,"message":"wallet couldn't fund PSBT: insufficient funds available to construct transaction ` + secret + `"}`}, "", fault.InsufficientFunds},
		"the reserve":       {answer{500, `{"code":2,"message":"reserved wallet balance invalidated ` + secret + `"}`}, "", fault.InsufficientFunds},
		"another reason":    {answer{500, `{"code":2,"message":"` + secret + `"}`}, "", fault.Unavailable},
		"pays less":         {answer{200, fundedAnswer(other)}, "", fault.Unavailable},
		"unknown coins":     {answer{200, fundedAnswer(unspent)}, "", fault.Unavailable},
		"no packet":         {answer{200, `{"funded_psbt":"AAAA"}`}, "", fault.Unavailable},
		"no base64":         {answer{200, `{"funded_psbt":"` + secret + `"}`}, "", fault.Unavailable},
		"not signed":        {answer{200, fundedAnswer(funded(order()))}, `{"raw_final_tx":"AAAA"}`, fault.Unavailable},
		"another is signed": {answer{200, fundedAnswer(funded(order()))}, fmt.Sprintf(`{"raw_final_tx":%q}`, base64.StdEncoding.EncodeToString(signed(other.tx))), fault.Unavailable},
	} {
		f := start(t)
		f.refuse("POST /v2/wallet/psbt/fund", c.fund.status, c.fund.body)
		f.say("POST /v2/wallet/psbt/finalize", c.sign)
		made, err := Wallet{f.open()}.Build(t.Context(), order())
		want(t, name, err, c.want)
		if len(made.Raw) > 0 {
			t.Errorf("%s: made %x", name, made.Raw)
		}
	}
}

// What can be spent is what the wallet has but for what it keeps for closing channels; at once,
// what of that is confirmed.
func TestWalletBalance(t *testing.T) {
	f := start(t)
	for unconfirmed, want := range map[int64][2]int64{5_000: {95_000, 95_000}, 50_000: {140_000, 100_000}} {
		f.say("GET /v1/balance/blockchain", fmt.Sprintf(`{"total_balance":"5","confirmed_balance":"100000","unconfirmed_balance":"%d","locked_balance":"9","reserved_balance_anchor_chan":"10000"}`, unconfirmed))
		if has, confirmed, err := (Wallet{f.open()}).Balance(t.Context()); [2]int64{has, confirmed} != want || err != nil {
			t.Errorf("%d unconfirmed: %d and %d, %v", unconfirmed, has, confirmed, err)
		}
	}
	f.say("GET /v1/balance/blockchain", `{"confirmed_balance":1.5}`)
	_, _, err := Wallet{f.open()}.Balance(t.Context())
	want(t, "a float", err, fault.Unavailable)
}

// A node's list has what left for others, and neither change, nor what came in, nor
// channels that were opened, nor other days.
func TestWalletPayments(t *testing.T) {
	f := start(t)
	day := time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)
	transaction := func(id string, at time.Time, ours bool) string {
		return fmt.Sprintf(`{"tx_hash":%q,"num_confirmations":1,"time_stamp":"%d","total_fees":"150","raw_tx_hex":"c0de",
			"output_details":[{"output_index":"0","amount":"700","is_our_address":false},{"output_index":"1","amount":"9000","is_our_address":true}],
			"previous_outpoints":[{"outpoint":"aa:0","is_our_output":%t}]}`, id, at.Unix(), ours)
	}
	f.say("GET /v1/transactions", `{"transactions":[`+strings.Join([]string{transaction("paid", day, true), transaction("paid", day, true), transaction("received", day, false),
		transaction("open", day, true), transaction("closed", day, true), transaction("closing", day, true), transaction("later", day.AddDate(0, 0, 1), true)}, ",")+`]}`)
	f.say("GET /v1/channels", `{"channels":[{"channel_point":"open:0"}]}`)
	f.say("GET /v1/channels/closed", `{"channels":[{"channel_point":"closed:0"}]}`)
	f.say("GET /v1/channels/pending", `{"pending_open_channels":[],"waiting_close_channels":[{"channel":{"channel_point":"closing:0"}}]}`)
	got, err := Wallet{f.open()}.Payments(t.Context(), day, day.AddDate(0, 0, 1))
	if err != nil || len(got) != 1 || got[0].ID != "paid" || got[0].Satoshi != 700 || got[0].Fee != 150 || !got[0].At.Equal(day) || string(got[0].Raw) != "\xc0\xde" {
		t.Errorf("%+v, %v", got, err)
	}
}
