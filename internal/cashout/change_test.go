package cashout_test

import (
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/cashout"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/testkit"
	"github.com/scripcards/scrip/internal/testkit/cashdesk"
	"github.com/scripcards/scrip/internal/testkit/check"
)

// A code holds for the phone that it was sent to as long as that is the order's: it ends once the caller says that there is another one, and does not where the same is said again.
func TestPhoneChanged(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		d := cashdesk.Open(t, db)
		token, other, address := d.Opened(5500), "+14155550102", cashdesk.Address
		send := func(number string) {
			t.Helper()
			d.Clock.Advance(time.Minute)
			d.Must(d.SendCode(t.Context(), cashout.Dispatch{Realm: realm.Test, Token: token, Phone: number, Captcha: cashdesk.Answer, From: cashdesk.From}))
		}
		enter := func(number string) error {
			return d.EnterCode(t.Context(), cashout.Entry{Realm: realm.Test, Token: token, Phone: number, Code: d.Phone.Last(), From: cashdesk.From})
		}
		send(cashdesk.Number)
		d.Must(d.Change(t.Context(), realm.Test, token, cashout.Contact{Phone: &other}))
		for _, number := range []string{cashdesk.Number, other} {
			check.Code(t, "the code of the former phone for "+number, enter(number), fault.InvalidRequest)
		}
		send(other)
		same := other
		d.Must(d.Change(t.Context(), realm.Test, token, cashout.Contact{Phone: &same, Address: &address}))
		d.Must(enter(other))
		o := d.Look(token).Order
		who, err := d.PersonOf(t.Context(), &o)
		d.Must(err)
		if o.Status != cashout.Confirmed || who.Phone.E164() != other {
			t.Errorf("%s for %s", o.Status, who.Phone.E164())
		}
	})
}
