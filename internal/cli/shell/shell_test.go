package shell

import (
	"reflect"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/giftcard"
	"github.com/scripcards/scrip/internal/ping"
	"github.com/scripcards/scrip/internal/platform/config"
	"github.com/scripcards/scrip/internal/platform/limit"
)

// Settings that nobody made are the products' own rules, and those that were made are heeded.
func TestRules(t *testing.T) {
	c := config.Default()
	o := Options(c, nil)
	if cards := giftcard.DefaultRules(); *o.Giftcards != cards {
		t.Errorf("gift cards have %+v, want %+v", *o.Giftcards, cards)
	}
	if checks := ping.DefaultPolicy(); !reflect.DeepEqual(*o.Pings, checks) {
		t.Errorf("checks have %+v, want %+v", *o.Pings, checks)
	}
	if o.Issuing.LateCredit {
		t.Error("what is contested is credited when it is won")
	}
	c.DisputeCredit = config.CreditWon
	c.GiftcardValidity, c.GiftcardHold, c.HighRisk, c.ChecksPerMinute = 48*time.Hour, time.Hour, 60, 100
	o = Options(c, nil)
	if o.Giftcards.Validity != 48*time.Hour || o.Giftcards.HoldFor != time.Hour || o.Pings.HighRisk != 60 || !o.Issuing.LateCredit {
		t.Errorf("settings are not heeded: %+v, %+v", o.Giftcards, o.Pings)
	}
	for _, pace := range [][]limit.Window{o.Pings.Credential, o.Pings.Address} {
		if len(pace) != 1 || pace[0] != (limit.Window{Limit: 100, Per: time.Minute}) {
			t.Errorf("checks may come at %+v", pace)
		}
	}
}
