package cardping

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/api/wire"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/fraud"
	"github.com/scripcards/scrip/internal/ping"
)

// The published answer comes out letter for letter, and other results in the same form:
// numbers with their currency's decimals, never a float.
func TestResult(t *testing.T) {
	sample := ping.Result{ID: "ping_9f4a3b2c", Network: "visa_gift", Status: ping.Active, Balance: money.New(4750, money.USD), Expiry: "2027-03",
		Score: fraud.Score{Hundredths: 2, Model: "m1"}, Latency: 68 * time.Millisecond}
	high := sample
	high.Score = fraud.Score{Hundredths: 89, Signals: []fraud.Signal{{Name: "velocity_anomaly"}, {Name: "proxy_ip_detected"}, {Name: "sequential_pan_pattern"}}}
	yen, err := money.Parse("JPY")
	if err != nil {
		t.Fatal(err)
	}
	unknown := ping.Result{ID: "ping_1", Network: "scrip", Status: ping.Invalid, Balance: money.New(0, money.USD), Score: fraud.Score{Hundredths: 100}}
	whole := unknown
	whole.Balance = money.New(4750, yen)
	for _, c := range []struct {
		result ping.Result
		want   string
	}{
		{sample, `{"id":"ping_9f4a3b2c","status":"active","balance":47.50,"currency":"USD","expiry":"2027-03","fraud_score":0.02,"fraud_signals":[],"ai_verified":true,"network":"visa_gift","latency_ms":68}`},
		{high, `{"id":"ping_9f4a3b2c","status":"active","balance":47.50,"currency":"USD","expiry":"2027-03","fraud_score":0.89,"fraud_signals":["velocity_anomaly","proxy_ip_detected","sequential_pan_pattern"],"ai_verified":false,"network":"visa_gift","latency_ms":68}`},
		{unknown, `{"id":"ping_1","status":"invalid","balance":0.00,"currency":"USD","expiry":null,"fraud_score":1.00,"fraud_signals":[],"ai_verified":false,"network":"scrip","latency_ms":0}`},
		{whole, `{"id":"ping_1","status":"invalid","balance":4750,"currency":"JPY","expiry":null,"fraud_score":1.00,"fraud_signals":[],"ai_verified":false,"network":"scrip","latency_ms":0}`},
	} {
		got := answerOf(&c.result).answer
		if diff := cmp.Diff(c.want, string(got.Body)); diff != "" || got.Status != http.StatusOK {
			t.Errorf("%d %s", got.Status, diff)
		}
		if diff := cmp.Diff(membersOf(t, result{}), members(t, got.Body)); diff != "" {
			t.Errorf("members unlike those of the contract's type: %s", diff)
		}
	}
}

// members are the names in a JSON object, in order.
func members(t *testing.T, object []byte) (names []string) {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader(object))
	var value any
	for at := 0; ; at++ {
		token, err := dec.Token()
		if err == io.EOF {
			return names
		}
		if err != nil {
			t.Fatalf("%s: %v", object, err)
		}
		if name, ok := token.(string); ok {
			if names = append(names, name); dec.Decode(&value) != nil {
				t.Fatalf("%s: no value for %s", object, name)
			}
		}
	}
}

// membersOf are the names that an empty value of a type has in JSON.
func membersOf(t *testing.T, empty any) []string {
	t.Helper()
	text, err := wire.Marshal(empty)
	if err != nil {
		t.Fatal(err)
	}
	return members(t, text)
}

// A check says who asks, from where and with what program.
func TestCaller(t *testing.T) {
	r := httptest.NewRequest(http.MethodPost, "/v1/cards/ping", nil)
	r.Header.Set("User-Agent", "till/3")
	r.Header.Set("Accept-Language", "fr")
	from := netip.MustParseAddr("192.0.2.7")
	c := &call{Request: r, From: from, Principal: account.Principal{Book: "bk_1", Realm: realm.Live, Credential: "key_1"}}
	in := checkRequest{CardNumber: pan.NewSecret("6006"), Network: "visa_gift"}
	got, err := in.check(c)
	if err != nil {
		t.Fatal(err)
	}
	_, device := wire.Guise(r.Header)
	want := ping.Caller{Book: "bk_1", Realm: realm.Live, Credential: "key_1", Address: from, Agent: "till/3", Device: device}
	if got.Caller != want {
		t.Errorf("%+v, want %+v", got.Caller, want)
	}
}

// No answer is younger than now.
func TestSeconds(t *testing.T) {
	for age, want := range map[time.Duration]int64{-time.Second: 0, 0: 0, 999 * time.Millisecond: 0, 90 * time.Second: 90} {
		if got := seconds(age); got != want {
			t.Errorf("%s: %d, want %d", age, got, want)
		}
	}
}
