package cryptocardy_test

import (
	"bytes"
	"testing"

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
