package lnd

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/btcsuite/btcd/btcec/v2"

	"github.com/scripcards/scrip/internal/cashout/payout"
	"github.com/scripcards/scrip/internal/cashout/payout/invoice"
	"github.com/scripcards/scrip/internal/core/fault"
)

// proof is what proves the payment of these tests.
var proof = [32]byte{1, 2, 3}

func transfer() payout.Transfer { return asking(0) }

// asking is a transfer by an invoice that asks for so much; 0: for any amount.
func asking(msat int64) payout.Transfer {
	made := time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)
	key, _ := btcec.PrivKeyFromBytes(bytes.Repeat([]byte{5}, 32))
	text, err := invoice.Encode(invoice.Invoice{Prefix: "bcrt", MilliSatoshi: msat, Hash: sha256.Sum256(proof[:]), Secret: [32]byte{1}, Description: "d", MadeAt: made,
		ExpiresAt: made.Add(time.Hour), Delta: 80}, key)
	if err != nil {
		panic(err)
	}
	return payout.Transfer{Invoice: text, Hash: sha256.Sum256(proof[:]), MilliSatoshi: 12_345_000, FeeLimit: 123_450, Timeout: time.Minute}
}

// said is a payment as the node tells of it, in a stream.
func said(status, more string) string {
	hash := transfer().Hash
	return fmt.Sprintf(`{"result":{"payment_hash":"%x","value_msat":"12345000","fee_msat":"1001","creation_time_ns":"1","status":%q%s}}`, hash, status, more)
}

var preimage = fmt.Sprintf(`,"payment_preimage":"%x"`, proof)

// cases are what a node may say of a payment, and what is made of it.
var cases = []struct {
	name   string
	answer answer
	want   payout.Answer
	err    fault.Code
}{
	{"paid", answer{200, said("SUCCEEDED", preimage) + "\n"}, payout.Answer{Outcome: payout.Succeeded, Preimage: proof, Fee: 1001}, ""},
	{"on its way", answer{200, said("IN_FLIGHT", "") + "\n" + said("SUCCEEDED", preimage)}, payout.Answer{Outcome: payout.InFlight}, ""},
	{"begun", answer{200, said("INITIATED", "")}, payout.Answer{Outcome: payout.InFlight}, ""},
	{"failed", answer{200, said("FAILED", `,"failure_reason":"FAILURE_REASON_NO_ROUTE","htlcs":[{"status":"FAILED"}]`)}, payout.Answer{Outcome: payout.Refused, Reason: "no_route"}, ""},
	{"failed somehow", answer{200, said("FAILED", `,"failure_reason":"`+secret+`"`)}, payout.Answer{Outcome: payout.Refused, Reason: "unknown"}, ""},
	{"failed in part", answer{200, said("FAILED", `,"failure_reason":"FAILURE_REASON_TIMEOUT","htlcs":[{"status":"FAILED"},{"status":"IN_FLIGHT"}]`)}, payout.Answer{Outcome: payout.InFlight}, ""},
	{"paid in part", answer{200, said("FAILED", `,"htlcs":[{"status":"SUCCEEDED"}]`)}, payout.Answer{Outcome: payout.InFlight}, ""},
	{"a lie", answer{200, said("SUCCEEDED", `,"payment_preimage":"`+strings.Repeat("00", 32)+`"`)}, payout.Answer{}, fault.Unavailable},
	{"no proof", answer{200, said("SUCCEEDED", "")}, payout.Answer{}, fault.Unavailable},
	{"unknown state", answer{200, said("CHARMED", "")}, payout.Answer{}, fault.Unavailable},
	{"another payment", answer{200, strings.Replace(said("FAILED", ""), hex.EncodeToString(hashOf()), strings.Repeat("ab", 32), 1)}, payout.Answer{}, fault.Unavailable},
	{"broken off", answer{200, said("FAILED", "")[:60]}, payout.Answer{}, fault.Unavailable},
	{"nothing", answer{200, ""}, payout.Answer{}, fault.Unavailable},
	{"refused in the stream", answer{200, `{"error":{"code":2,"message":"` + secret + `"}}`}, payout.Answer{}, fault.Unavailable},
	{"refused", answer{500, `{"code":2,"message":"` + secret + `"}`}, payout.Answer{}, fault.Unavailable},
	{"not there", answer{404, `{"code":5,"message":"Not Found"}`}, payout.Answer{}, fault.Unavailable},
	{"a page", answer{200, "<html>" + secret}, payout.Answer{}, fault.Unavailable},
}

func hashOf() []byte {
	hash := transfer().Hash
	return hash[:]
}

func trackPath() string {
	return "GET /v2/router/track/" + strings.NewReplacer("+", "-", "/", "_").Replace(base64Of(hashOf()))
}

// What a node says of a payment is read strictly, by whoever pays and by whoever looks it up:
// only a failure without anything under way is one, and only a proof that fits is one.
func TestOutcomes(t *testing.T) {
	for _, c := range cases {
		f := start(t)
		f.refuse("POST /v2/router/send", c.answer.status, c.answer.body)
		f.refuse(trackPath(), c.answer.status, c.answer.body)
		l := Lightning{f.open()}
		for name, ask := range map[string]func() (payout.Answer, error){
			"pay":   func() (payout.Answer, error) { return l.Pay(t.Context(), transfer()) },
			"track": func() (payout.Answer, error) { return l.Track(t.Context(), transfer().Hash) },
		} {
			got, err := ask()
			if got != c.want {
				t.Errorf("%s, %s: %+v, want %+v", c.name, name, got, c.want)
			}
			if c.err != "" {
				want(t, c.name+", "+name, err, c.err)
			} else if err != nil {
				t.Errorf("%s, %s: %v", c.name, name, err)
			}
		}
	}
}

// A payment is asked for with its amount, a limit to its fee and a time; one that was paid
// before is looked up.
func TestPay(t *testing.T) {
	f := start(t)
	f.refuse("POST /v2/router/send", 409, `{"error":{"code":6,"message":"invoice is already paid"}}`)
	f.say(trackPath(), said("SUCCEEDED", preimage))
	got, err := Lightning{f.open()}.Pay(t.Context(), transfer())
	if err != nil || got.Outcome != payout.Succeeded || got.Preimage != proof {
		t.Errorf("%+v, %v", got, err)
	}
	for msat, amount := range map[int64]string{0: `"amt_msat":"12345000",`, 12_345_000: ""} {
		if _, err := (Lightning{f.open()}).Pay(t.Context(), asking(msat)); err != nil {
			t.Error(err)
		}
		want := `{"payment_request":"` + asking(msat).Invoice + `",` + amount + `"fee_limit_msat":"123450","timeout_seconds":60,"no_inflight_updates":true}`
		if asked := f.asked("POST /v2/router/send"); asked != want {
			t.Errorf("asked %s, want %s", asked, want)
		}
	}
	f.calls = nil
	wrong := asking(12_345_001)
	_, err = Lightning{f.open()}.Pay(t.Context(), wrong)
	want(t, "another amount", err, fault.InvalidRequest)
	wrong.Hash[0]++
	_, err = Lightning{f.open()}.Pay(t.Context(), wrong)
	want(t, "another hash", err, fault.InvalidRequest)
	if len(f.calls) != 2 {
		t.Errorf("calls %q", f.calls)
	}
}

// Only the node's own words for it say that a hash was never heard of: a path that is not
// there says nothing.
func TestUnheard(t *testing.T) {
	f := start(t)
	f.refuse(trackPath(), 404, `{"error":{"code":5,"message":"payment isn't initiated"}}`)
	got, err := Lightning{f.open()}.Track(t.Context(), transfer().Hash)
	if err != nil || got.Outcome != payout.Unheard {
		t.Errorf("%+v, %v", got, err)
	}
}

// What channels can send is without what each must keep.
func TestLightningBalance(t *testing.T) {
	f := start(t)
	f.say("GET /v1/channels", `{"channels":[{"local_balance":"50000","local_constraints":{"chan_reserve_sat":"1000"}},{"local_balance":"300","local_constraints":{"chan_reserve_sat":"1000"}}]}`)
	if got, err := (Lightning{f.open()}).Balance(t.Context()); got != 49_000 || err != nil {
		t.Errorf("%d, %v", got, err)
	}
	if asked := f.asked("GET /v1/channels"); asked != "active_only=true" {
		t.Errorf("asked %s", asked)
	}
}

// A node's list has the payments that succeeded in the time that is asked for.
func TestLightningPayments(t *testing.T) {
	f := start(t)
	day := time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC)
	one := func(hash, status string, at time.Time) string {
		return fmt.Sprintf(`{"payment_hash":%q,"value_msat":"7999","fee_msat":"1001","creation_time_ns":"%d","status":%q}`, hash, at.UnixNano(), status)
	}
	f.say("GET /v1/payments", `{"payments":[`+strings.Join([]string{one("aa", "SUCCEEDED", day), one("bb", "FAILED", day), one("cc", "SUCCEEDED", day.AddDate(0, 0, 1))}, ",")+`],"last_index_offset":"3"}`)
	got, err := Lightning{f.open()}.Payments(t.Context(), day, day.AddDate(0, 0, 1))
	if err != nil || len(got) != 1 || got[0].ID != "aa" || got[0].Satoshi != 7 || got[0].Fee != 2 || !got[0].At.Equal(day) {
		t.Errorf("%+v, %v", got, err)
	}
}

// Whatever a node answers, nothing is taken for paid without its proof.
func FuzzTrack(f *testing.F) {
	for _, c := range cases {
		f.Add(c.answer.status == 200, c.answer.body)
	}
	f.Fuzz(func(t *testing.T, good bool, body string) {
		node := start(t)
		status := 500
		if good {
			status = 200
		}
		node.refuse(trackPath(), status, body)
		got, err := Lightning{node.open()}.Track(t.Context(), transfer().Hash)
		sum := sha256.Sum256(got.Preimage[:])
		if got.Outcome == payout.Succeeded && !bytes.Equal(sum[:], hashOf()) || err != nil && fault.CodeOf(err) != fault.Unavailable {
			t.Errorf("%+v, %v", got, err)
		}
	})
}

func base64Of(b []byte) string { return base64.StdEncoding.EncodeToString(b) }
