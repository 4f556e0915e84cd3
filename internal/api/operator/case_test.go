package operator_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/issuing"
	"github.com/scripcards/scrip/internal/issuing/dispute"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/testkit"
)

// Lists of orders, cash-outs, claims, disputes and decisions give each of theirs once, in order,
// whatever the page size, and the last page names no next one though it is full.
func TestCasePaging(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		b := setup(t, db)
		b.sell(t, []string{"3", "2"})
		h := issuing.Holder{Book: b.customer.Test, Realm: realm.Test, Actor: seeder}
		for i := range 3 {
			b.cashIn(t, []string{"60000", fmt.Sprintf("+1415555010%d", i)})
			b.claim(t, []string{fmt.Sprint(i + 1)})
			_, err := b.Disputes.Open(t.Context(), dispute.Opening{Holder: h, Payment: b.bought(t, fmt.Sprintf("1%d.00", i)), Reason: dispute.Fraud})
			check(t, err)
		}
		b.order(t, []string{string(google), "1"})
		b.order(t, []string{string(google), "1"})
		b.hunt(t, []string{"12"})
		for _, name := range []string{"orders", "cashouts", "claims", "disputes", "decisions"} {
			list := "/operator/v1/" + name + "?realm=test"
			whole := b.walk(t, list, 200)
			items := strings.Count(whole, "\n")
			for _, size := range []int{1, 2, items} {
				if got := b.walk(t, list, size); got != whole {
					t.Errorf("%s by %d:\n%s\nwant\n%s", list, size, got, whole)
				}
			}
			var last struct {
				Data       []json.RawMessage
				NextCursor string `json:"next_cursor"`
			}
			w := b.do(account.RoleAuditor, "GET", fmt.Sprintf("%s&limit=%d", list, items), "")
			check(t, json.Unmarshal(w.Body.Bytes(), &last))
			if items < 3 || len(last.Data) != items || last.NextCursor != "" {
				t.Errorf("%s: a full last page of %d has %d and names %q", list, items, len(last.Data), last.NextCursor)
			}
		}
	})
}
