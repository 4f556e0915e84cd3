package e2e

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// The lines that a demo prints work when they are pasted into a shell, in their order
// and again.
func TestDemoLines(t *testing.T) {
	for _, tool := range []string{"bash", "curl", "grep"} {
		if _, err := exec.LookPath(tool); err != nil {
			if testing.Short() {
				t.Skip(tool + " is not on PATH, and this is a short run")
			}
			t.Fatal(err)
		}
	}
	at := newInstallation(t, "sqlite")
	server := at.start(t, "--demo")
	lines := regexp.MustCompile(`(?m)^ *curl .*$`).FindAllString(server.stdout.String(), -1)
	if len(lines) != 11 {
		t.Fatalf("the demo prints %d lines with curl:\n%s", len(lines), server.stdout)
	}
	var first made
	for range 2 {
		var card made
		decode(t, paste(t, lines[0]), &card)
		if card.Status != "CREATED" || card.CardNumber == "" || (first != made{} && card != first) {
			t.Errorf("the first line made %+v, before it was %+v", card, first)
		}
		first = card

		var s statement
		decode(t, paste(t, lines[1]), &s)
		if s.CardNumber != card.CardNumber || s.Balance != "100" || len(s.Transactions) != 1 {
			t.Errorf("the second line shows %+v of %s", s, card.CardNumber)
		}

		var templates []struct{ TemplateID, CoverURL, Status string }
		decode(t, paste(t, lines[2]), &templates)
		if len(templates) == 0 || templates[0].TemplateID != "template_001" || !strings.HasPrefix(templates[0].CoverURL, server.base+"/") {
			t.Errorf("the third line lists %+v", templates)
		}

		const check = `{"id":"ping_…","status":"active","balance":47.50,"currency":"USD","expiry":"2027-03","fraud_score":0.02,` +
			`"fraud_signals":[],"ai_verified":true,"network":"visa_gift","latency_ms":68}`
		if got := regexp.MustCompile(`ping_[0-9a-z]{26}`).ReplaceAllString(string(shell(t, lines[3])), "ping_…"); got != check {
			t.Errorf("the fourth line shows %s, want %s", got, check)
		}
		if got := string(shell(t, lines[4])); !strings.Contains(got, `"products":[{"item_code":"GOOGLE-5USD-KOXx"`) {
			t.Errorf("the fifth line shows %s", got)
		}
		if got := string(shell(t, lines[5])); !strings.Contains(got, `"order_id":1,`) || !strings.Contains(got, `"codes":[{"code":"DEMO-GOOGLE-5USD-KOXX-0001"`) {
			t.Errorf("the sixth line shows %s", got)
		}
		tryVirtualCards(t, lines[6:9])
		tryCashout(t, lines[9:])
	}
	// Who follows the guide has more cards than one then.
	ask(t, question{method: http.MethodPost, url: server.base + "/v1/api/cards", seed: "dec0-de00-dec0-de00", body: `{"bin_id":"491653","amount":5}`}, nil)
	if got := string(shell(t, lines[8])); !strings.HasPrefix(got, `{"approved":true,`) || !strings.Contains(got, `"balance":462.50`) {
		t.Errorf("with another card the ninth line shows %s", got)
	}
	server.stop(t)
	if got := server.stderr.String(); got != "" {
		t.Errorf("a quiet demo wrote to its log:\n%s", got)
	}
}

// tryVirtualCards expects of the lines about them a new seed, the demo's card, and a payment with it.
func tryVirtualCards(t *testing.T, lines []string) {
	t.Helper()
	var fresh struct {
		Success      bool
		Seed         string
		Card, Wallet map[string]string
	}
	decode(t, shell(t, lines[0]), &fresh)
	if !fresh.Success || !regexp.MustCompile(`^[0-9a-f]{4}(-[0-9a-f]{4}){3}$`).MatchString(fresh.Seed) || fresh.Card["state"] != "pending_top_up" ||
		!strings.HasPrefix(fresh.Wallet["address"], "tb1") {
		t.Errorf("the seventh line shows %+v", fresh)
	}
	var cards struct {
		Data []struct {
			ID, Status, Label string
			Balance           json.Number
		}
	}
	decode(t, shell(t, lines[1]), &cards)
	if len(cards.Data) != 1 || cards.Data[0].Status != "active" || cards.Data[0].Label != "Ad Spend" {
		t.Fatalf("the eighth line shows %+v", cards)
	}
	before := cards.Data[0].Balance
	var paid struct {
		Approved    bool
		Balance     json.Number
		Transaction struct {
			Amount json.Number
		}
	}
	decode(t, shell(t, lines[2]), &paid)
	want := map[json.Number]json.Number{"500.00": "487.50", "487.50": "475.00"}[before]
	if !paid.Approved || paid.Transaction.Amount != "-12.50" || paid.Balance != want {
		t.Errorf("the ninth line shows %+v of a card with %s", paid, before)
	}
}

// paste runs a line in a shell and returns the answer's data.
func paste(t *testing.T, line string) []byte {
	t.Helper()
	raw := shell(t, line)
	var answer reply
	if err := json.Unmarshal(raw, &answer); err != nil || answer.Status != "SUCCESS" {
		t.Fatalf("%s: %v in %s", line, err, raw)
	}
	return answer.Data
}

// shell runs a line in a shell and returns what it prints.
func shell(t *testing.T, line string) []byte {
	t.Helper()
	cmd := exec.Command("bash", "--norc", "-c", line)
	cmd.SysProcAttr = leash()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v\n%s", line, err, stderr.String())
	}
	return stdout.Bytes()
}

// tryCashout expects of the lines about it the published price, and what 55 dollars buy.
func tryCashout(t *testing.T, lines []string) {
	t.Helper()
	if got := string(shell(t, lines[0])); !strings.Contains(got, `{"name":"bitcoin","symbol":"BTC","price_usd":6585000,"enabled":true}`) {
		t.Errorf("the price is %s", got)
	}
	if got := string(shell(t, lines[1])); !strings.Contains(got, `"status":"created"`) || !strings.Contains(got, `"currency_price_usd":6585000,"currency_amount":83523`) {
		t.Errorf("the order is %s", got)
	}
}
