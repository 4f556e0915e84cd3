package check

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scripcards/scrip/internal/core/pan"
)

// Checks that a limit refused within a batch are sent again, and they alone, until they are
// answered; what waiting does not help against is not, nor what asks for too long a wait.
func TestLimitedChecksAreSentAgain(t *testing.T) {
	var sent []string
	tries := map[string]int{}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body struct {
			Checks []struct {
				Number string `json:"card_number"`
				Key    string `json:"idempotency_key"`
			} `json:"checks"`
		}
		text, err := io.ReadAll(r.Body)
		if err == nil {
			err = json.Unmarshal(text, &body)
		}
		if err != nil {
			t.Error(err)
		}
		var request, answers []string
		for _, c := range body.Checks {
			request = append(request, c.Number+" "+c.Key)
			tries[c.Number]++
			answers = append(answers, answer(c.Number, tries[c.Number]))
		}
		sent = append(sent, strings.Join(request, ", "))
		_, _ = fmt.Fprintf(w, `{"results":[%s]}`, strings.Join(answers, ","))
	}))
	t.Cleanup(server.Close)
	to := &service{client: server.Client(), base: server.URL, key: pan.NewSecret("cp_test_sk_demo")}
	var all []inquiry
	for i, number := range []string{"good", "late", "never", "wrong", "much later"} {
		all = append(all, inquiry{number: pan.NewSecret(number), network: "scrip", key: fmt.Sprint("run-", i+1)})
	}
	found, err := to.checks(t.Context(), all)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for i := range found {
		if o := &found[i]; o.Error != nil {
			got = append(got, o.Error.Code)
		} else {
			got = append(got, o.Result.ID)
		}
	}
	if diff := cmp.Diff([]string{"ping_good", "ping_late", "rate_limited", "card_invalid", "rate_limited"}, got); diff != "" {
		t.Error(diff)
	}
	want := []string{"good run-1, late run-2, never run-3, wrong run-4, much later run-5", "late run-2, never run-3", "late run-2, never run-3"}
	if diff := cmp.Diff(want, sent[:min(3, len(sent))]); diff != "" {
		t.Error(diff)
	}
	if tries["late"] != 3 || tries["good"] != 1 || tries["wrong"] != 1 || tries["much later"] != 1 || tries["never"] > 2+mostWaits {
		t.Errorf("tries: %v", tries)
	}
}

// answer is the result of a check of a batch at its n'th try.
func answer(number string, n int) string {
	refused := func(code string) string { return `"error":{"code":"` + code + `","message":"","request_id":"req_1"}` }
	switch {
	case number == "wrong":
		return "{" + refused("card_invalid") + "}"
	case number == "never", number == "late" && n < 3:
		return "{" + refused(codeLimited) + `,"retry_after":0}`
	case number == "much later":
		return "{" + refused(codeLimited) + `,"retry_after":86400}`
	}
	return `{"result":{"id":"ping_` + number + `","status":"active","balance":1.00,"currency":"USD","expiry":null,"fraud_score":0.00,"fraud_signals":[],` +
		`"ai_verified":false,"network":"scrip","latency_ms":1},"age":0}`
}

// A server that makes another protocol of the connection is an error, and not waited for.
func TestAnotherProtocol(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer func() { _ = conn.Close() }() // the caller has left
		_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: silence\r\n\r\n")
		_, _ = conn.Read(make([]byte, 1))
	}))
	t.Cleanup(server.Close)
	t.Setenv(apiKeyVariable, "cp_test_sk_demo")
	to, err := (&pinging{url: server.URL}).service()
	if err != nil {
		t.Fatal(err)
	}
	if answer, _, err := to.once(t.Context(), "/", []byte("{}")); err == nil {
		t.Errorf("the answer is %q", answer)
	}
}
