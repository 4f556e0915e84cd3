package lnd

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/scripcards/scrip/internal/cashout/payout"
	"github.com/scripcards/scrip/internal/cashout/payout/transaction"
	"github.com/scripcards/scrip/internal/core/fault"
)

// A transaction that the node refuses is told from a node that is away.
func TestPublish(t *testing.T) {
	raw := hexBytes(t, rawOf(order()))
	for name, c := range map[string]struct {
		answer answer
		want   fault.Code
	}{
		"taken":     {answer{200, `{"publish_error":""}`}, ""},
		"refused":   {answer{200, `{"publish_error":"` + secret + `"}`}, fault.InvalidState},
		"double":    {answer{500, `{"code":2,"message":"output already spent ` + secret + `"}`}, fault.InvalidState},
		"away":      {answer{503, `{"code":14,"message":"` + secret + `"}`}, fault.Unavailable},
		"no answer": {answer{504, secret}, fault.Unavailable},
	} {
		f := start(t)
		f.refuse("POST /v2/wallet/tx", c.answer.status, c.answer.body)
		err := Chain{f.open()}.Publish(t.Context(), raw)
		if c.want == "" {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		want(t, name, err, c.want)
	}
}

// What the wallet has is known; what it dropped has a rival if one of its coins was spent
// by another transaction, on whichever page that is.
func TestLook(t *testing.T) {
	f := start(t)
	waiting := funded(order()).tx
	lost := funded(order()).tx
	lost.LockTime = 1
	f.answers["GET /v2/wallet/tx"] = func(r *http.Request, _ []byte) answer {
		if id := r.URL.Query().Get("txid"); id == waiting.ID() {
			return answer{200, fmt.Sprintf(`{"tx_hash":%q,"num_confirmations":2,"time_stamp":"0","total_fees":"0"}`, id)}
		}
		return answer{500, `{"code":2,"message":"can not find transaction"}`}
	}
	f.answers["GET /v1/transactions"] = func(r *http.Request, _ []byte) answer {
		text := ""
		for i := range page {
			text += fmt.Sprintf(`,{"tx_hash":"other%d","num_confirmations":9,"previous_outpoints":[{"outpoint":"aa:%d","is_our_output":true}]}`, i, i)
		}
		if r.URL.Query().Get("index_offset") != "0" {
			text = fmt.Sprintf(`,{"tx_hash":"rival","num_confirmations":4,"previous_outpoints":[{"outpoint":"%s:1","is_our_output":true}]}`, parentID())
		}
		return answer{200, `{"transactions":[` + text[1:] + `]}`}
	}
	got, err := Chain{f.open()}.Look(t.Context(), [][]byte{signed(waiting), signed(lost)})
	if err != nil || len(got) != 2 || got[0] != (payout.Sighting{Known: true, Confirmations: 2}) || got[1] != (payout.Sighting{Rival: "rival", RivalDepth: 4}) {
		t.Errorf("%+v, %v", got, err)
	}
	for name, a := range map[string]answer{
		"another one": {200, `{"tx_hash":"other","num_confirmations":2}`},
		"refused":     {500, `{"code":2,"message":"` + secret + `"}`},
		"no route":    {404, `{"code":5,"message":"Not Found"}`},
	} {
		f.refuse("GET /v2/wallet/tx", a.status, a.body)
		_, err := Chain{f.open()}.Look(t.Context(), [][]byte{signed(waiting)})
		want(t, name, err, fault.Unavailable)
	}
}

func parentID() string {
	parent := parentOf()
	return parent.ID()
}

// An estimate is in satoshis per 1,000 virtual bytes; none is unavailable.
func TestRate(t *testing.T) {
	f := start(t)
	f.say("GET /v2/wallet/estimatefee/6", `{"sat_per_kw":"2500","min_relay_fee_sat_per_kw":"253"}`)
	if got, err := (Chain{f.open()}).Rate(t.Context(), 6); got != 10_000 || err != nil {
		t.Errorf("%d, %v", got, err)
	}
	for _, text := range []string{`{"sat_per_kw":"0"}`, `{"sat_per_kw":"-1"}`, `{}`, `{"sat_per_kw":"9000000000000000"}`} {
		f.say("GET /v2/wallet/estimatefee/6", text)
		_, err := Chain{f.open()}.Rate(t.Context(), 6)
		want(t, text, err, fault.Unavailable)
	}
}

// A packet that was written is read as it was, and whatever is read is within its bounds.
func FuzzPacket(f *testing.F) {
	p := funded(order())
	f.Add(p.bytes())
	f.Add([]byte(magic))
	f.Fuzz(func(t *testing.T, raw []byte) {
		p, err := parsePacket(raw)
		if err != nil {
			return
		}
		again, err := parsePacket(p.bytes())
		if err != nil || len(again.spent) != len(p.tx.Inputs) || again.fee() != p.fee() || !again.tx.Spends(&p.tx) || !again.tx.Pays(p.tx.Outputs) {
			t.Errorf("%+v became %+v, %v", p, again, err)
		}
	})
}

// A template has no inputs, and an empty map for each output.
func TestTemplate(t *testing.T) {
	p := packet{tx: transaction.Transaction{Version: 2, Outputs: []transaction.Output{{Satoshi: 1, Script: []byte{0x51}}}}}
	want := append([]byte("psbt\xff"), hexBytes(t, "01001402000000"+"00"+"01"+"0100000000000000"+"0151"+"00000000"+"00"+"00")...)
	if got := p.bytes(); string(got) != string(want) {
		t.Errorf("%x, want %x", got, want)
	}
}
