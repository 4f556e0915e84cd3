package cryptocardy_test

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/api/wire"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/testkit"
)

// A statement can be had as a PDF, with a name for its file.
func TestStatementPDF(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		b := setup(t, db)
		card := b.create(`{"bin_id":"491653","amount":100}`)
		for target, name := range map[string]string{"/v1/api/cards/" + card + "/statements/2026-11/pdf": "statement-" + card + "-2026-11.pdf",
			"/v1/api/wallet/statements/2026-11/pdf": "statement-wallet-USD-2026-11.pdf"} {
			w := b.do("acme", "GET "+target, "")
			if w.Code != 200 || w.Header().Get("Content-Type") != "application/pdf" || w.Header().Get("Content-Disposition") != "attachment; filename="+name ||
				!bytes.HasPrefix(w.Body.Bytes(), []byte("%PDF-")) {
				t.Errorf("%s: %d %v", target, w.Code, w.Header())
			}
			if again := b.do("acme", "GET "+target, ""); !bytes.Equal(again.Body.Bytes(), w.Body.Bytes()) {
				t.Errorf("%s is not the same again", target)
			}
		}
		b.quiet()
	})
}

// What is read for totals and files counts against the account, whichever of its seeds asks;
// nothing is read for those who asked for too much. Other pages cost nothing.
func TestMovementsPerMinute(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		b := setup(t, db)
		counted, left, take := 0, 8, b.Take
		b.Take = func(ctx context.Context, subject string, windows []wire.Window, n int) (wire.Decision, error) {
			if subject != "cryptocardy/statements/"+string(b.acme.Test) {
				return take(ctx, subject, windows, n)
			}
			if counted++; n > left {
				return wire.Decision{RetryAfter: 7 * time.Second}, nil
			}
			left -= n
			return wire.Decision{Allowed: true}, nil
		}
		b.mount()
		card := b.create(`{"bin_id":"491653","amount":100}`)
		b.do("acme", "POST /v1/api/cards/"+card+"/fund", `{"amount":10}`)
		b.do("acme", "POST /v1/api/cards/"+card+"/fund", `{"amount":10}`)
		month := "/v1/api/cards/" + card + "/statements/2026-11"
		for i, target := range []string{month, month + "/csv"} { // three movements each
			if w := b.do("acme", "GET "+target, ""); w.Code != 200 || left != 5-3*i {
				t.Errorf("%s: %d, %d left", target, w.Code, left)
			}
		}
		for _, target := range []string{month, month + "/csv", month + "/pdf", "/v1/api/wallet/statements/2026-11"} {
			w := b.do("acme", "GET "+target, "")
			if w.Code != 429 || w.Header().Get("Retry-After") != "7" || !strings.Contains(w.Body.String(), "too many movements") {
				t.Errorf("%s: %d %s", target, w.Code, w.Body)
			}
		}
		before := counted
		if w := b.do("acme", "GET "+month+"?page=2&per_page=2", ""); w.Code != 200 || counted != before {
			t.Errorf("another page: %d", w.Code)
		}
		b.quiet()
	})
}
