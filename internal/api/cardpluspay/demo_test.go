package cardpluspay_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/testkit/demo"
)

// reseller is a client that knows of an installation what is published: the page, and
// the demonstration's key.
type reseller struct {
	t       testing.TB
	url     string
	headers map[string]string
}

// published is the envelope, with the data of every call that the page shows.
type published struct {
	Success bool
	Message string
	Data    struct {
		Balance, Currency, State string
		Price                    json.Number
		Status                   any
		Products                 []struct {
			ItemCode string `json:"item_code"`
			Price    string
			Value    string
		}
		OrderID           int64  `json:"order_id"`
		OrderNo           string `json:"order_no"`
		Amount            any
		TotalDenomination json.Number `json:"total_denomination"`
		Codes             []struct {
			Code          string
			Denomination  string
			ChargedAmount string `json:"charged_amount"`
		}
		Orders    []struct{ Status string }
		Challenge string
	}
}

func (r reseller) call(method, path, body string) (int, published) {
	r.t.Helper()
	request, err := http.NewRequestWithContext(r.t.Context(), method, r.url+path, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	request.Header.Set("X-API-Key", "cp_test_sk_demo")
	request.Header.Set("Content-Type", "application/json")
	for name, value := range r.headers {
		request.Header.Set(name, value)
	}
	client := http.Client{Timeout: time.Minute}
	response, err := client.Do(request)
	if err != nil {
		r.t.Fatal(err)
	}
	defer response.Body.Close()
	raw, err := io.ReadAll(response.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	var p published
	if err := json.Unmarshal(raw, &p); err != nil {
		r.t.Fatalf("%v: %s", err, raw)
	}
	return response.StatusCode, p
}

// The published flow works over HTTP against the installation as it is put together, with
// the demonstration's catalog: balance, catalog, check, order, status.
func TestPublishedFlow(t *testing.T) {
	_, url, log := demo.Serve(t)
	r := reseller{t: t, url: url + "/v1"}
	status, balance := r.call("GET", "/balance", "")
	if status != 200 || !balance.Success || balance.Data.Balance != "100.50" || balance.Data.Currency != "USD" || balance.Data.State != "success" {
		t.Fatalf("balance: %d %+v", status, balance)
	}
	status, found := r.call("GET", "/catalog?item_id=GOOGLE-5USD-KOXx", "")
	if status != 200 || len(found.Data.Products) != 1 || found.Data.Products[0].Price != "4.90" || found.Data.Products[0].Value != "5.00" {
		t.Fatalf("catalog: %d %+v", status, found)
	}
	item := found.Data.Products[0].ItemCode
	status, stock := r.call("POST", "/orders/check", fmt.Sprintf(`{"item_id":%q,"quantity":3}`, item))
	if status != 200 || stock.Data.State != "in_stock" || stock.Data.Status != true || stock.Data.Price != "4.90" {
		t.Fatalf("check: %d %+v", status, stock)
	}
	status, bought := r.call("POST", "/orders", fmt.Sprintf(`{"item_code":%q,"quantity":3}`, item))
	if status != 200 || bought.Message != "Gift card purchased successfully" || len(bought.Data.Codes) != 3 || bought.Data.Amount != "14.70" ||
		bought.Data.TotalDenomination != "15" || bought.Data.Codes[0].ChargedAmount != "4.90" || bought.Data.Codes[0].Denomination != "5.00" {
		t.Fatalf("order: %d %+v", status, bought)
	}
	status, read := r.call("GET", fmt.Sprintf("/orders/%d", bought.Data.OrderID), "")
	if status != 200 || read.Data.Status != "completed" || len(read.Data.Codes) != 3 || read.Data.Codes[2].Code != bought.Data.Codes[2].Code || read.Data.OrderNo != bought.Data.OrderNo {
		t.Errorf("status: %d %+v", status, read)
	}
	if status, list := r.call("GET", "/orders", ""); status != 200 || len(list.Data.Orders) != 1 || list.Data.Orders[0].Status != "completed" {
		t.Errorf("orders: %d %+v", status, list)
	}
	if _, left := r.call("GET", "/balance", ""); left.Data.Balance != "85.80" {
		t.Errorf("balance: %+v", left)
	}
	if strings.Contains(log.String(), bought.Data.Codes[0].Code) {
		t.Error("the log holds a code")
	}
}

// A reseller who signs with openssl, as the page says, gets through; once per challenge.
func TestSignedWithOpenSSL(t *testing.T) {
	if _, err := exec.LookPath("openssl"); err != nil {
		if testing.Short() {
			t.Skip("openssl is not on PATH, and this is a short run")
		}
		t.Fatal(err)
	}
	app, url, _ := demo.Serve(t)
	dir := t.TempDir()
	private, public, text := filepath.Join(dir, "key.pem"), filepath.Join(dir, "public.pem"), filepath.Join(dir, "challenge")
	openssl := func(args ...string) []byte {
		t.Helper()
		var stderr bytes.Buffer
		cmd := exec.Command("openssl", args...)
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("openssl %v: %v %s", args, err, stderr.String())
		}
		return out
	}
	openssl("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", private)
	openssl("rsa", "-in", private, "-pubout", "-out", public)
	key, err := os.ReadFile(public)
	if err != nil {
		t.Fatal(err)
	}
	d, err := app.Demo(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := app.Accounts.SetSigner(t.Context(), seeder, d.Customer.Test, string(key)); err != nil {
		t.Fatal(err)
	}
	r := reseller{t: t, url: url + "/v1"}
	if status, refused := r.call("GET", "/balance", ""); status != 401 || !strings.Contains(refused.Message, "X-API-Challenge") {
		t.Fatalf("unsigned: %d %+v", status, refused)
	}
	_, given := r.call("POST", "/auth/challenge", "")
	if err := os.WriteFile(text, []byte(given.Data.Challenge), 0o600); err != nil {
		t.Fatal(err)
	}
	signature := base64.StdEncoding.EncodeToString(openssl("dgst", "-sha256", "-sign", private, text))
	r.headers = map[string]string{"X-API-Challenge": given.Data.Challenge, "X-API-Signature": signature}
	if status, balance := r.call("GET", "/balance", ""); status != 200 || balance.Data.Balance != "100.50" {
		t.Errorf("signed: %d %+v", status, balance)
	}
	if status, refused := r.call("GET", "/balance", ""); status != 401 || !strings.Contains(refused.Message, "used before") {
		t.Errorf("again: %d %+v", status, refused)
	}
}
