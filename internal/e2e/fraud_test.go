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

// What the fraud engine knew of a search for cards it knows after its process was killed.
func TestFraudSurvivesKill(t *testing.T) {
	eachEngine(t, func(t *testing.T, at *installation) {
		server := at.start(t, "--demo")
		customer := at.fields(t, "customer", "create", "--name", "Hunter")["customer"]
		h := &hunter{dead: dead{t: t, answers: map[string]string{}, base: server.base, book: at.fields(t, "customer", "show", customer)["test_book"],
			key:      at.fields(t, "key", "create", "--customer", customer, "--realm", "test", "--name", "hunt")["secret"],
			operator: at.fields(t, "operator", "create", "--name", "Ada")["secret"]}}
		for range 20 {
			h.ask()
		}
		before := h.decisions()[0]
		server.kill()
		server = at.start(t, "--demo")
		h.base = server.base
		h.ask()
		after := h.decisions()[0]
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
