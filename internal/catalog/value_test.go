package catalog

import (
	"math"
	"testing"

	"github.com/scripcards/scrip/internal/core/money"
)

// A number is compared with amounts of any number of decimals, and however large.
func TestBelow(t *testing.T) {
	for _, c := range []struct {
		text string
		a    money.Amount
		want bool
	}{
		{"4.90", money.New(490, money.USD), false}, {"4.89999999", money.New(490, money.USD), true},
		{"490", money.New(490, money.JPY), false}, {"489.5", money.New(490, money.JPY), true},
		{"1.250", money.New(1250, money.KWD), false}, {"1.2499", money.New(1250, money.KWD), true},
		{"1", money.New(math.MaxInt64, money.JPY), true},
	} {
		v, err := ParseValue(c.text)
		if err != nil || v.Below(c.a) != c.want {
			t.Errorf("%s below %s %s: %t, %v", c.text, c.a, c.a.Currency, !c.want, err)
		}
	}
}
