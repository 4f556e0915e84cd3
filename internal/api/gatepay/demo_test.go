package gatepay_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/id"
	"github.com/scripcards/scrip/internal/testkit/demo"
)

// merchant is a client that knows of an installation what is published: the
// contract, and the demonstration's signing credential.
type merchant struct {
	t   testing.TB
	url string
}

func (m merchant) call(method, path, body string) (int, answer) {
	m.t.Helper()
	r, err := http.NewRequestWithContext(m.t.Context(), method, m.url+path, strings.NewReader(body))
	if err != nil {
		m.t.Fatal(err)
	}
	timestamp := strconv.FormatInt(clock.System().Now().UnixMilli(), 10)
	nonce := strings.ReplaceAll(id.New("n"), "_", "")
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("x-gatepay-certificate-clientid", "demo-merchant")
	r.Header.Set("X-GATEPAY-TIMESTAMP", timestamp)
	r.Header.Set("X-GatePay-Nonce", nonce)
	r.Header.Set("X-GatePay-Signature", signature("demo-secret", timestamp, nonce, []byte(body)))
	client := http.Client{Timeout: time.Minute}
	response, err := client.Do(r)
	if err != nil {
		m.t.Fatal(err)
	}
	defer response.Body.Close()
	raw, err := io.ReadAll(response.Body)
	if err != nil {
		m.t.Fatal(err)
	}
	var a answer
	if err := json.Unmarshal(raw, &a); err != nil {
		m.t.Fatalf("%v: %s", err, raw)
	}
	return response.StatusCode, a
}

// The published flow works over HTTP against the installation as it is put together,
// with the demonstration's data and signing credential: create, query, spend, query.
func TestPublishedFlow(t *testing.T) {
	_, url, log := demo.Serve(t)
	m := merchant{t, url}

	status, made := m.call("POST", "/v1/pay/giftcard/create", `{"title":"Holiday Gift Card","templateId":"template_001","currency":"USD","amount":"100"}`)
	if status != 200 || made.Status != "SUCCESS" || made.Data["status"] != "CREATED" {
		t.Fatalf("create: %d %+v", status, made)
	}
	number, key := made.Data["cardNumber"].(string), made.Data["key"].(string)
	spend := fmt.Sprintf(`{"key":%q,"amount":"100.00","currency":"USD","merchantTradeNo":"order-1"}`, key)
	if status, spent := m.call("POST", "/v1/pay/giftcard/redeem", spend); status != 200 || spent.Data["status"] != "REDEEMED" {
		t.Errorf("redeem: %d %+v", status, spent)
	}
	if status, left := m.call("GET", "/v1/pay/balance/query?cardNumber="+number, ""); status != 200 || left.Data["balance"] != "0" {
		t.Errorf("balance: %d %+v", status, left)
	}
	if status, refused := m.call("POST", "/v1/pay/giftcard/redeem", strings.Replace(spend, "order-1", "order-2", 1)); status != 422 || refused.Code != "422001" {
		t.Errorf("redeem again: %d %+v", status, refused)
	}
	if strings.Contains(log.String(), key) || strings.Contains(log.String(), number) {
		t.Error("the log holds the card's number or key")
	}
}
