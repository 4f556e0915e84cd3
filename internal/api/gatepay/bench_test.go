package gatepay_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/giftcard"
	"github.com/scripcards/scrip/internal/testkit"
	"github.com/scripcards/scrip/internal/testkit/check"
)

// BenchmarkQuery asks for everything about cards with a short and a long history. The
// answer holds the newest 1,000 transactions: a longer one costs no more.
func BenchmarkQuery(b *testing.B) {
	env := setup(b, testkit.Open(b, testkit.Database(b, "sqlite")))
	m := giftcard.Merchant{Book: env.acme.Test, Realm: realm.Test, Actor: seeder}
	for _, length := range []int{10, 100, 1000, 2000} {
		card, err := env.Cards.Create(b.Context(), m, giftcard.Issue{Title: "Long", TemplateID: "template_001", Amount: money.New(1_000_000, money.USD)})
		check.OK(env.t, err)
		spend := giftcard.Transfer{Secret: giftcard.Secret{Number: card.Card.Number}, Amount: money.New(1, money.USD)}
		for i := range length - 1 {
			spend.Reference = fmt.Sprint("r", length, "-", i)
			_, err := env.Cards.Redeem(b.Context(), m, spend)
			check.OK(env.t, err)
		}
		b.Run(fmt.Sprint(length), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				r := request("GET", "/v1/pay/giftcard/query?cardNumber="+card.Card.Number.Reveal(), nil)
				r.Header.Set("X-API-Key", env.keys["full"])
				w := httptest.NewRecorder()
				if env.bare.ServeHTTP(w, r); w.Code != http.StatusOK {
					b.Fatal(w.Body)
				}
			}
		})
	}
}
