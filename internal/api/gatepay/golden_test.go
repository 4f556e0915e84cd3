package gatepay_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/api/wiretest"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/testkit/check"
	"github.com/scripcards/scrip/internal/testkit/trace"
)

// Every call and every rule of the contract answers as its golden file says, on both
// engines and as the document says, and leaves behind the entries and events shown.
func TestGoldens(t *testing.T) {
	wiretest.RunAll(t, contract(t), func(t *testing.T, db *storage.DB) wiretest.Golden {
		b := setup(t, db)
		t.Cleanup(b.verify)
		return b.golden()
	})
}

func (b *bundle) golden() wiretest.Golden {
	posted := trace.Transactions(b.books)
	return wiretest.Golden{
		Handler: b.handler, Prepare: b.prepare,
		Rules: []wiretest.Rule{
			{Name: "card", Pattern: regexp.MustCompile(`GC[0-9]{16}`)},
			{Name: "secret", Pattern: regexp.MustCompile(`KEY_[0-9a-f]{32}`)},
		},
		Sections: map[string]func(testing.TB, string) string{
			"books":  func(t testing.TB, _ string) string { return b.posted(t, posted) },
			"events": trace.Events(b.outbox, b.acme.Test, b.acme.Live, b.rival.Test, b.rival.Live),
		},
		Actions: map[string]func(testing.TB, []string){
			"wait": b.wait, "sweep": b.sweep, "rotate": b.rotate, "disable": b.disable, "suspend": b.suspend,
			"block": b.block,
		},
	}
}

// posted lists the transactions since it was last asked, with what they moved.
func (b *bundle) posted(t testing.TB, fresh func(testing.TB, ledger.BookID) []ledger.Outcome) string {
	t.Helper()
	var out strings.Builder
	for _, book := range []ledger.BookID{b.acme.Test, b.acme.Live, b.rival.Test} {
		for _, o := range fresh(t, book) {
			fmt.Fprintf(&out, "%s %s by %s\n", o.Kind, o.Reference, o.Actor)
			for _, m := range o.Moves {
				fmt.Fprintf(&out, "\t%s -> %s %s %s", m.Debit, m.Credit, m.Posted, m.Posted.Currency)
				if m.Hold != "" {
					fmt.Fprintf(&out, " held %+d %s", m.Held, m.Hold)
				}
				out.WriteString("\n")
			}
			for _, after := range o.After {
				fmt.Fprintf(&out, "\t= %s %s available %s\n", after.Account, after.Posted, after.Available)
			}
			for _, s := range o.States {
				fmt.Fprintf(&out, "\t%s is %s\n", s.Account, s.To)
			}
		}
	}
	return out.String()
}

// wait lets time pass on the machine's clock.
func (b *bundle) wait(_ testing.TB, args []string) {
	d, err := time.ParseDuration(args[0])
	check.OK(b.t, err)
	b.clock.Advance(d)
}

// sweep ends what is due.
func (b *bundle) sweep(t testing.TB, _ []string) {
	b.kept = nil
	_, err := b.books.ExpireHolds(t.Context())
	check.OK(b.t, err)
	_, err = b.Cards.Expire(t.Context())
	check.OK(b.t, err)
}

// rotate makes a new secret for a client id of Acme's: "rotate acme 1h".
func (b *bundle) rotate(t testing.TB, args []string) {
	b.kept = nil
	grace, err := time.ParseDuration(args[1])
	check.OK(b.t, err)
	made, err := b.Accounts.RotateMerchant(t.Context(), seeder, account.MerchantRef{Book: b.acme.Test, ClientID: account.ClientID(args[0])}, account.MerchantRotation{Grace: grace})
	check.OK(b.t, err)
	b.secrets[args[0]+".old"], b.secrets[args[0]] = b.secrets[args[0]], made.Secret.Reveal()
}

// disable switches a client id of Acme's off.
func (b *bundle) disable(t testing.TB, args []string) {
	b.kept = nil
	ref := account.MerchantRef{Book: b.acme.Test, ClientID: account.ClientID(args[0])}
	_, err := b.Accounts.SetMerchantState(t.Context(), seeder, ref, account.MerchantDisabled)
	check.OK(b.t, err)
}

// suspend suspends Acme.
func (b *bundle) suspend(t testing.TB, _ []string) {
	b.kept = nil
	_, err := b.Accounts.Suspend(t.Context(), seeder, b.acme.ID, "unpaid")
	check.OK(b.t, err)
}

// block blocks a card of Acme's by its number.
func (b *bundle) block(t testing.TB, args []string) {
	b.kept = nil
	number, err := pan.ParseAlnum(args[0])
	check.OK(b.t, err)
	card, err := b.Cards.FindAnywhere(t.Context(), number)
	check.OK(b.t, err)
	check.OK(b.t, b.Cards.Block(t.Context(), b.shop(), card.ID, "stolen"))
}

var codeOf = regexp.MustCompile(`"code":"([0-9]{6})"`)

// unreachable are the routes and codes that no golden request leads to, with the reason or the
// test that does; TestErrorTable renders them all.
var unreachable = map[string]string{
	"giftcard.cover": "TestCover",
	"403002":         "nothing of this dialect can be switched off",
	"409002":         "no call makes a thing that has a name",
	"422009":         "an operator reverses, as in giftcard's TestRefundOrReversal",
	"413001":         "TestBodyTooLarge",
	"429001":         "TestFailuresAreThrottled",
	"429002":         "no quota holds here",
	"500001":         "a mistake",
	"503001":         "a counterparty is missing",
	"503002":         "load",
	"504001":         "time",
}

// No route is without a golden success, and no code that can be reached without a golden refusal.
func TestGoldensCover(t *testing.T) {
	s := newSurface(t)
	wiretest.CheckCover(t, wiretest.Cover{Routes: s.Routes(), Refusals: wiretest.Words(s.Table()), Word: codeOf, Elsewhere: unreachable})
}
