package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/core/clock"
)

// hunter asks for cards that there are not, and reads what the engine made of it.
type hunter struct {
	dead
	asked int
}

// ask checks the next number.
func (h *hunter) ask() {
	h.t.Helper()
	h.asked++
	body := fmt.Sprintf(`{"card_number":"600649%010d","network":"scrip"}`, 4_000_000_000+137*h.asked)
	status, text, err := h.send(context.Background(), http.MethodPost, "/v1/cards/ping", body, fmt.Sprint("hunt-", h.asked))
	if err != nil || status != http.StatusOK {
		h.t.Fatalf("ask %d: %d %s %v", h.asked, status, text, err)
	}
}

type decision struct {
	DecisionID string  `json:"decision_id"`
	Score      float64 `json:"score"`
	Reasons    []struct {
		Signal string `json:"signal"`
		Of     string `json:"of"`
		Value  int64  `json:"value"`
	} `json:"reasons"`
}

// decisions waits until there are as many as there were asks: what can be read survives.
func (h *hunter) decisions() []decision {
	h.t.Helper()
	ctx, stop := context.WithTimeout(context.Background(), patience)
	defer stop()
	for {
		status, text, err := h.send(ctx, http.MethodGet, "/operator/v1/decisions?realm=test&limit=200&book_id="+h.book, "", "")
		if err != nil || status != http.StatusOK {
			h.t.Fatalf("decisions: %d %s %v", status, text, err)
		}
		var list struct{ Data []decision }
		if err := json.Unmarshal([]byte(text), &list); err != nil {
			h.t.Fatal(err)
		}
		if len(list.Data) >= h.asked {
			return list.Data
		}
		if clock.Wait(ctx, time.Second/20) != nil {
			h.t.Fatalf("%d decisions of %d asks", len(list.Data), h.asked)
		}
	}
}

// newCard makes a card and puts money on it, once each.
func (h *hunter) newCard() string {
	h.t.Helper()
	post := func(path, body string, into any) {
		h.t.Helper()
		status, text, err := h.send(context.Background(), http.MethodPost, path, body, "")
		if err == nil {
			err = json.Unmarshal([]byte(text), into)
		}
		if err != nil || status != http.StatusOK {
			h.t.Fatalf("%s: %d %s %v", path, status, text, err)
		}
	}
	var made struct {
		Status string
		Data   struct{ CardNumber string }
	}
	for range 2 { // the second is told what the first was
		post("/v1/pay/giftcard/create", `{"title":"Thank you","templateId":"template_001","currency":"USD","amount":"20.00","merchantTradeNo":"heard"}`, &made)
	}
	var reloaded struct{ Status string }
	post("/v1/pay/giftcard/reload", fmt.Sprintf(`{"cardNumber":%q,"currency":"USD","amount":"5.00","merchantTradeNo":"heard again"}`, made.Data.CardNumber), &reloaded)
	if made.Data.CardNumber == "" || reloaded.Status != "SUCCESS" {
		h.t.Fatalf("made %+v, reloaded %+v", made, reloaded)
	}
	return made.Data.CardNumber
}

// score asks for a card until it scores so much: the engine hears of cards a moment later.
func (h *hunter) score(card string, want float64) {
	h.t.Helper()
	ctx, stop := context.WithTimeout(context.Background(), patience)
	defer stop()
	for n := 0; ; n++ {
		status, text, err := h.send(ctx, http.MethodPost, "/v1/cards/ping", fmt.Sprintf(`{"card_number":%q,"network":"scrip"}`, card), fmt.Sprint("own-", n))
		var got struct {
			FraudScore float64 `json:"fraud_score"`
		}
		if err == nil {
			err = json.Unmarshal([]byte(text), &got)
		}
		if err != nil || status != http.StatusOK {
			h.t.Fatalf("a check of %s: %d %s %v", card, status, text, err)
		}
		if got.FraudScore >= want {
			return
		}
		if clock.Wait(ctx, time.Second/5) != nil {
			h.t.Fatalf("the card scores %s, want %v", text, want)
		}
	}
}

// watch has a rule give a score.
func (at *installation) watch(t *testing.T, condition string, hundredths int) {
	t.Helper()
	rule := func(args ...string) string {
		t.Helper()
		var all []struct {
			RuleID string `json:"rule_id"`
		}
		out := at.run(t, append(append([]string{"fraud", "rule"}, args...), "-o", "json")...)
		if args[0] == "test" {
			return args[1]
		}
		if err := json.Unmarshal([]byte(out), &all); err != nil || len(all) != 1 {
			t.Fatalf("%v in %s", err, out)
		}
		return all[0].RuleID
	}
	id := rule("write", condition, "--name", "watch", "--at-least", fmt.Sprint(hundredths))
	rule("enable", rule("test", id))
}

// What the fraud engine knew of a search for cards it knows after its process was killed; and it hears of cards that were made and reloaded just before, since that was acknowledged.
func TestFraudSurvivesKill(t *testing.T) {
	eachEngine(t, func(t *testing.T, at *installation) {
		server := at.start(t, "--demo")
		customer := at.fields(t, "customer", "create", "--name", "Hunter")["customer_id"]
		h := &hunter{dead: dead{t: t, answers: map[string]string{}, base: server.base, book: at.fields(t, "customer", "show", customer)["test_book_id"],
			key:      at.fields(t, "key", "create", "--customer", customer, "--realm", "test", "--name", "hunt")["secret"],
			operator: at.fields(t, "operator", "create", "--name", "Ada")["secret"]}}
		for range 20 {
			h.ask()
		}
		before := h.decisions()[0]
		at.watch(t, "card.hours_since_activation < 1 and card.hours_since_reload < 1", 77)
		card := h.newCard()
		server.kill() // before the engine heard of the card
		server = at.start(t, "--demo")
		h.base = server.base
		h.ask()
		after := h.decisions()[0]
		h.score(card, 0.77)
		missed := func(d decision) int64 {
			for _, r := range d.Reasons {
				if r.Signal == "hit_rate_anomaly" && r.Of == "credential" {
					return r.Value
				}
			}
			return 0
		}
		if before.Score < 0.5 || after.Score < before.Score || missed(before) != 100 || missed(after) != 100 || after.DecisionID == before.DecisionID {
			t.Errorf("before the crash %+v\nafter it %+v", before, after)
		}
		server.stop(t)
	})
}
