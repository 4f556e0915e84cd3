package cashout_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/cashout"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/testkit"
	"github.com/scripcards/scrip/internal/testkit/cashdesk"
)

var listHashes = storage.SQL("test.list_token_hashes", "SELECT token_hash FROM cashout_orders ORDER BY order_id")

// Orders lie in the index in the order of their making, and no token tells when it was made.
func TestTokensLieInOrder(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		d := cashdesk.Open(t, db)
		seen := map[string]int{}
		for range 200 {
			text := d.Opened(5500).Reveal()
			if len(text) != cashout.TokenLength {
				t.Fatalf("a token of %d characters", len(text))
			}
			for place, c := range text[:6] {
				seen[string(c)+strings.Repeat(" ", place)]++
			}
			d.Clock.Advance(time.Millisecond)
		}
		for _, times := range seen { // 200 of 62 characters at one place: 3 each, and 20 never
			if times > 20 {
				t.Errorf("a character is %d times at its place of 200 tokens", times)
			}
		}
		hashes, err := storage.All(t.Context(), db, storage.Scalar[[]byte], listHashes)
		d.Must(err)
		if !slices.IsSortedFunc(hashes, bytes.Compare) || len(hashes) != 200 {
			t.Errorf("%d orders lie in another order than they were made in", len(hashes))
		}
	})
}

// With any character changed, at any place, a token opens nothing.
func TestTokensAlmostRight(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		d := cashdesk.Open(t, db)
		text := d.Opened(5500).Reveal()
		wrong := []string{"", text + "A", text[1:], strings.ToLower(text)}
		for i := range text {
			for _, c := range []string{"A", "z", "9", "-", "\x00", "é"} {
				if c != text[i:i+1] {
					wrong = append(wrong, text[:i]+c+text[i+1:])
				}
			}
		}
		for _, other := range wrong {
			if _, err := d.View(t.Context(), realm.Test, pan.NewSecret(other)); fault.CodeOf(err) != fault.NotFound {
				t.Errorf("%q opens an order: %v", other, err)
			}
		}
		d.Look(pan.NewSecret(text))
	})
}
