package operator_test

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/testkit"
	"github.com/scripcards/scrip/internal/webhook"
)

// many are more rows than a list looks at for a page, later than those that are there.
const many = `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10001) `

var flood = []*storage.Statement{
	storage.SQL("operator_test.many_events", `INSERT INTO webhook_events (book_id, event_id, realm, type, data, sealed, state, created_at) `+many+`
		SELECT e.book_id, 'evt_7zzzzzzzzzzzzzzzzzzzz' || CAST(10000 + n.i AS TEXT), e.realm, 'card.often', e.data, e.sealed, 'none', e.created_at + n.i
		FROM n CROSS JOIN webhook_events e WHERE e.type = 'giftcard.create'`),
	storage.SQL("operator_test.many_deliveries", `INSERT INTO webhook_deliveries (book_id, event_id, endpoint_id, delivery_id, state, attempts, tries, queued_at, due_at) `+many+`
		SELECT p.book_id, 'evt_7zzzzzzzzzzzzzzzzzzzz' || CAST(10000 + n.i AS TEXT), p.endpoint_id, 'whd', 'failed', 1, 1, p.created_at, p.created_at
		FROM n CROSS JOIN webhook_endpoints p`),
	storage.SQL("operator_test.many_records", `INSERT INTO audit_records (book_id, seq, actor, action, subject, detail, recorded_at, hash) `+many+`
		SELECT r.book_id, 1000 + n.i, r.actor, 'card.often', r.subject, r.detail, r.recorded_at + n.i, r.hash
		FROM n CROSS JOIN audit_records r WHERE r.action = 'book.open' AND r.book_id = $1`),
	storage.SQL("operator_test.many_decisions", `INSERT INTO fraud_decisions (book_id, decision_id, realm, kind, network, score, rules_score, model_score, shadow_score,
		model, challenger, rule, action, reasons, numbers, event, label, label_at, decided_at) `+many+`
		SELECT d.book_id, 'fdec_7zzzzzzzzzzzzzzzzzzzz' || CAST(10000 + n.i AS TEXT), d.realm, d.kind, d.network, 0, 0, 0, -1,
		d.model, d.challenger, d.rule, d.action, d.reasons, d.numbers, d.event, d.label, 0, d.decided_at
		FROM n CROSS JOIN (SELECT * FROM fraud_decisions ORDER BY decision_id LIMIT 1) d`),
}

// A list of a few among many is empty where ten thousand were looked at for none, leads on, and
// has them in the end.
func TestFewAmongMany(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		b := setup(t, db)
		hook, err := b.Webhooks.Create(t.Context(), webhook.NewEndpoint{Book: b.customer.Test, Realm: "test", URL: b.receiver.URL + "/hook", Events: []string{"*"}, Scheme: webhook.SchemeCardPing, Actor: seeder})
		check(t, err)
		b.hunt(t, []string{"12"})
		check(t, db.Write(t.Context(), func(ctx context.Context, tx *storage.Tx) error {
			for i, statement := range flood {
				args := []any{}
				if i == 2 {
					args = append(args, string(b.customer.Test))
				}
				if _, err := tx.Exec(ctx, statement, args...); err != nil {
					return err
				}
			}
			return nil
		}))
		type page struct {
			Data         []json.RawMessage
			NextCursor   string `json:"next_cursor"`
			NewestCursor string `json:"newest_cursor"`
		}
		read := func(target string) (p page) {
			t.Helper()
			w := b.do(account.RoleAuditor, "GET", target, "")
			check(t, json.Unmarshal(w.Body.Bytes(), &p))
			return p
		}
		book := "/operator/v1/books/" + string(b.customer.Test)
		for target, want := range map[string]int{
			book + "/events?type=giftcard.create":                                    1,
			"/operator/v1/events?realm=test&type=giftcard.create":                    1,
			book + "/webhooks/" + string(hook.ID) + "/deliveries?state=cancelled":    0,
			"/operator/v1/audit?action=book.open&book_id=" + string(b.customer.Test): 1,
			"/operator/v1/audit?action=operator.create":                              3,
			"/operator/v1/decisions?realm=test&min_score=30":                         12,
		} {
			first := read(target)
			if len(first.Data) != 0 || first.NextCursor == "" {
				t.Errorf("%s: %d at first, and then %q", target, len(first.Data), first.NextCursor)
				continue
			}
			last := read(target + "&cursor=" + first.NextCursor)
			if len(last.Data) != want && want != 12 || len(last.Data) == 0 && want > 0 || last.NextCursor != "" {
				t.Errorf("%s: %d in the end, and then %q, want %d", target, len(last.Data), last.NextCursor, want)
			}
		}
		b.clock.Advance(11e9)
		for _, list := range []string{"/operator/v1/events?realm=test&type=giftcard.create", book + "/events?type=giftcard.create", book + "/events?type=never.ever"} {
			first := read(list)
			if len(first.Data) != 0 || first.NewestCursor == "" {
				t.Errorf("%s: %d, and newest %q", list, len(first.Data), first.NewestCursor)
			}
			follow := read(list + "&after=" + first.NewestCursor)
			if len(follow.Data) != 0 || follow.NextCursor != "" || follow.NewestCursor != first.NewestCursor {
				t.Errorf("%s: following what does not come leads from %q to %q", list, first.NewestCursor, follow.NewestCursor)
			}
		}
	})
}
