package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/scripcards/scrip/sdk/go/cardping"
)

// The published clients do what their documentation says with the real binary: checks,
// repetitions, refusals, batches, webhooks that verify, portals. Those that are not
// written in Go run their own tests against it.
func TestSDK(t *testing.T) {
	eachEngine(t, func(t *testing.T, at *installation) {
		server := at.start(t, "--demo", "--allow-private-webhooks", "--dns-server", "127.0.0.1:9") // where nobody answers
		t.Run("go", func(t *testing.T) { useGo(t, server.base) })
		t.Run("go cards", func(t *testing.T) { useCards(t, server.base) })
		t.Run("node", func(t *testing.T) {
			out := runClient(t, server.base, "node", "--test", "--test-reporter=tap", "test/unit.test.js", "test/live.test.js",
				"test/cryptocardy.test.js", "test/cryptocardy-live.test.js")
			atLeast(t, out, regexp.MustCompile(`(?m)^# pass (\d+)$`), 26)
		})
		t.Run("python", func(t *testing.T) {
			out := runClient(t, server.base, "python3", "-B", "-W", "error", "-m", "unittest", "discover", "-s", "tests")
			atLeast(t, out, regexp.MustCompile(`(?m)^Ran (\d+) tests`), 28)
		})
		server.stop(t)
	})
}

// runClient runs the tests of a client in its folder and returns what they print.
func runClient(t *testing.T, base, tool string, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath(tool); err != nil {
		if testing.Short() {
			t.Skip(tool + " is not on PATH, and this is a short run")
		}
		t.Fatalf("%s is not on PATH: install it (Debian: apt-get install nodejs python3)", tool)
	}
	folder := map[string]string{"node": "node", "python3": "python"}[tool]
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, tool, args...)
	cmd.Dir, cmd.SysProcAttr = filepath.Join("..", "..", "sdk", folder), leash()
	cmd.Env = append(os.Environ(), "SCRIP_SDK_URL="+base)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", tool, err, out)
	}
	return string(out)
}

// atLeast expects that a runner counted so many tests, and that it skipped none.
func atLeast(t *testing.T, out string, count *regexp.Regexp, want int) {
	t.Helper()
	match := count.FindStringSubmatch(out)
	if match == nil {
		t.Fatalf("no count in\n%s", out)
	}
	if n, err := strconv.Atoi(match[1]); err != nil || n < want || regexp.MustCompile(`skipped[ =][1-9]`).MatchString(out) {
		t.Errorf("%s, want at least %d and none skipped\n%s", match[0], want, out)
	}
}

// useGo does with the Go client what the tests of the others do with theirs.
func useGo(t *testing.T, base string) {
	client, err := cardping.New(cardping.Options{APIKey: demoKey, BaseURL: base})
	if err != nil {
		t.Fatal(err)
	}
	t.Run("checks", func(t *testing.T) { checkWithGo(t, client) })
	t.Run("refusals", func(t *testing.T) { refuseGo(t, client, base) })
	t.Run("batch and networks", func(t *testing.T) { batchWithGo(t, client) })
	t.Run("webhooks", func(t *testing.T) { hookWithGo(t, client) })
	t.Run("portals", func(t *testing.T) { portalWithGo(t, client) })
}

func checkWithGo(t *testing.T, client *cardping.Client) {
	check := cardping.Check{CardNumber: "6006-4913-0000-0011", PIN: "1234", Network: "visa_gift"}
	got, err := client.Ping(t.Context(), check)
	if err != nil {
		t.Fatal(err)
	}
	sample := cardping.Result{ID: got.ID, Status: "active", Balance: "47.50", Currency: "USD", Expiry: "2027-03", FraudScore: 0.02,
		FraudSignals: []string{}, AIVerified: true, Network: "visa_gift", LatencyMS: 68}
	if text, want := fmt.Sprintf("%+v", *got), fmt.Sprintf("%+v", sample); text != want {
		t.Errorf("got  %s\nwant %s", text, want)
	}
	check.IdempotencyKey = "go-" + got.ID
	first, err := client.Ping(t.Context(), check)
	if err != nil {
		t.Fatal(err)
	}
	again, err := client.Ping(t.Context(), check)
	if err != nil || again.ID != first.ID || first.ID == got.ID {
		t.Errorf("repeated: %v, %v, first %s", again, err, first.ID)
	}
	check.PIN = "1"
	_, err = client.Ping(t.Context(), check)
	expectCode(t, err, cardping.CodeIdempotencyConflict, http.StatusConflict)
}

func expectCode(t *testing.T, err error, code string, status int) {
	t.Helper()
	var failed *cardping.Error
	if !errors.As(err, &failed) || failed.Code != code || failed.Status != status || failed.RequestID == "" {
		t.Errorf("%#v, want %s with status %d", err, code, status)
	}
}

func refuseGo(t *testing.T, client *cardping.Client, base string) {
	impatient, err := cardping.New(cardping.Options{APIKey: demoKey, BaseURL: base, MaxRetries: -1})
	if err != nil {
		t.Fatal(err)
	}
	stranger, err := cardping.New(cardping.Options{APIKey: "cp_test_sk_wrong", BaseURL: base})
	if err != nil {
		t.Fatal(err)
	}
	_, err = client.Ping(t.Context(), cardping.Check{CardNumber: "1234", Network: "visa_gift"})
	expectCode(t, err, cardping.CodeCardInvalid, http.StatusUnprocessableEntity)
	_, err = client.Ping(t.Context(), cardping.Check{CardNumber: "6006491300000011", Network: "nowhere"})
	expectCode(t, err, cardping.CodeInvalidRequest, http.StatusBadRequest)
	_, err = impatient.Ping(t.Context(), cardping.Check{CardNumber: "6006491300000055", Network: "visa_gift"})
	expectCode(t, err, cardping.CodeNetworkUnavailable, http.StatusServiceUnavailable)
	_, err = stranger.Networks(t.Context())
	expectCode(t, err, cardping.CodeAuthInvalid, http.StatusUnauthorized)
	_, err = client.Portals.Find(t.Context(), "portal_01kf3v8q5tfzk9w2m7x4c6n0ab")
	expectCode(t, err, cardping.CodeNotFound, http.StatusNotFound)
}

func batchWithGo(t *testing.T, client *cardping.Client) {
	items, err := client.PingBatch(t.Context(), []cardping.Check{
		{CardNumber: "6006491300000011", Network: "visa_gift"}, {CardNumber: "1", Network: "visa_gift"}, {CardNumber: "6006491300000044", Network: "visa_gift"},
	})
	if err != nil || len(items) != 3 || items[0].Result == nil || items[1].Err == nil || items[2].Result == nil {
		t.Fatalf("%+v, %v", items, err)
	}
	if items[0].Result.Balance != "47.50" || items[1].Err.Code != cardping.CodeCardInvalid || items[2].Result.FraudScore != 0.89 || len(items[2].Result.FraudSignals) != 3 {
		t.Errorf("%+v %+v %+v", items[0].Result, items[1].Err, items[2].Result)
	}
	networks, err := client.Networks(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range networks {
		if n.ID == "visa_gift" && n.Type == "open_loop" && n.Status == "operational" && len(n.NumberLengths) == 1 {
			return
		}
	}
	t.Errorf("no visa_gift in %+v", networks)
}

// received is a webhook as it came.
type received struct {
	body      []byte
	signature string
}

func hookWithGo(t *testing.T, client *cardping.Client) {
	deliveries := make(chan received, 16)
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		deliveries <- received{body, r.Header.Get("CP-Signature")}
		w.WriteHeader(http.StatusNoContent)
	}))
	defer receiver.Close()
	hook, err := client.Webhooks.Create(t.Context(), cardping.NewWebhook{URL: receiver.URL + "/hook", Events: []string{"fraud.high_risk"}})
	if err != nil {
		t.Fatal(err)
	}
	rotated, err := client.Webhooks.Rotate(t.Context(), hook.ID)
	if err != nil || rotated.Secret == hook.Secret || rotated.PreviousUntil.IsZero() {
		t.Fatalf("rotated: %+v, %v", rotated, err)
	}
	if _, err := client.Ping(t.Context(), cardping.Check{CardNumber: "6006491300000044", Network: "visa_gift"}); err != nil {
		t.Fatal(err)
	}
	select {
	case got := <-deliveries:
		verifyWithGo(t, got, hook.Secret, rotated.Secret)
	case <-time.After(patience):
		t.Fatal("no delivery")
	}
	paused, err := client.Webhooks.Update(t.Context(), hook.ID, cardping.WebhookChange{Active: new(bool)})
	if err != nil || paused.Active {
		t.Errorf("paused: %+v, %v", paused, err)
	}
	hooks, err := client.Webhooks.List(t.Context())
	if err != nil || len(hooks) != 1 || hooks[0].ID != hook.ID || hooks[0].Secret != "" {
		t.Errorf("listed: %+v, %v", hooks, err)
	}
	if err := client.Webhooks.Delete(t.Context(), hook.ID); err != nil {
		t.Error(err)
	}
	_, err = client.Webhooks.Rotate(t.Context(), hook.ID)
	expectCode(t, err, cardping.CodeNotFound, http.StatusNotFound)
}

func verifyWithGo(t *testing.T, got received, secrets ...string) {
	t.Helper()
	for _, secret := range secrets {
		event, err := cardping.Verify(got.body, got.signature, secret)
		if err != nil || event.Type != "fraud.high_risk" || !bytes.Contains(event.Data, []byte(`"card_id":"card_`)) {
			t.Errorf("%+v, %v", event, err)
		}
	}
	var failed *cardping.Error
	if _, err := cardping.Verify(got.body, got.signature, "whsec_other"); !errors.As(err, &failed) || failed.Code != cardping.CodeSignatureInvalid {
		t.Errorf("another secret: %v", err)
	}
}

func portalWithGo(t *testing.T, client *cardping.Client) {
	look := cardping.Branding{PrimaryColor: "#1f4e79", LogoURL: "https://acme.example/logo.svg"}
	made, err := client.Portals.Create(t.Context(), cardping.NewPortal{Name: "Go", Slug: "go-client", Branding: look})
	if err != nil || !made.Active || made.Branding != look || made.CustomDomain != "" {
		t.Fatalf("%+v, %v", made, err)
	}
	other, err := client.Portals.Create(t.Context(), cardping.NewPortal{Name: "Other", Slug: "go-client-b"})
	if err != nil {
		t.Fatal(err)
	}
	first, next, err := client.Portals.List(t.Context(), cardping.Page{Limit: 1})
	if err != nil || len(first) != 1 || first[0].ID != other.ID {
		t.Fatalf("%+v, %v", first, err)
	}
	second, _, err := client.Portals.List(t.Context(), cardping.Page{Limit: 1, Cursor: next})
	if err != nil || len(second) != 1 || second[0].ID != made.ID {
		t.Errorf("%+v, %v", second, err)
	}
	changed, err := client.Portals.Update(t.Context(), made.ID, cardping.PortalChange{Active: new(bool)})
	if err != nil || changed.Active || changed.Name != "Go" {
		t.Errorf("%+v, %v", changed, err)
	}
	domain := "go-client.shop.example"
	claimed, err := client.Portals.Update(t.Context(), other.ID, cardping.PortalChange{CustomDomain: &domain})
	if err != nil || claimed.DomainProof == nil || claimed.DomainProof.State != "pending" || claimed.DomainProof.RecordName != "_scrip."+domain {
		t.Errorf("claimed: %+v, %v", claimed, err)
	}
	_, err = client.Portals.Verify(t.Context(), made.ID)
	expectCode(t, err, "invalid_state", http.StatusConflict)
	_, err = client.Portals.Create(t.Context(), cardping.NewPortal{Name: "Go", Slug: "go-client"})
	expectCode(t, err, cardping.CodeAlreadyExists, http.StatusConflict)
	for _, id := range []string{made.ID, other.ID} {
		if err := client.Portals.Delete(t.Context(), id); err != nil {
			t.Error(err)
		}
	}
}
