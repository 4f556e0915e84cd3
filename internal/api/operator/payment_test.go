package operator_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/issuing"
	"github.com/scripcards/scrip/internal/issuing/authorization"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/testkit"
	"github.com/scripcards/scrip/internal/wallet"
)

// remember keeps a card's number as it is now, under a name.
func (b *bundle) remember(t testing.TB, args []string) {
	t.Helper()
	d, err := b.Issuing.Details(t.Context(), issuing.Holder{Book: b.customer.Test, Realm: realm.Test, Actor: seeder}, issuing.CardID(args[1]))
	check(t, err)
	b.numbers[args[0]] = d.Number
}

// payWith pays with a card, or with a number that was remembered, an amount, and expects
// that it is approved, or why it is not. Words after those say at whom: merchant=ID,
// country=DE, mcc=7311, charged=EUR, and capture, which takes the money at once.
func (b *bundle) payWith(t testing.TB, args []string) {
	t.Helper()
	amount, err := money.ParseAmount(args[1], money.USD)
	check(t, err)
	b.paid++
	r := authorization.Request{Book: b.customer.Test, Realm: realm.Test, Card: issuing.CardID(args[0]), Key: fmt.Sprint("pay ", b.paid), Amount: amount,
		Merchant: authorization.Merchant{ID: "M-1", Name: "CORNER SHOP", MCC: "5411", Country: "US"}}
	if number, known := b.numbers[args[0]]; known {
		r.Card, r.Number = "", number
	}
	for _, word := range args[3:] {
		name, value, _ := strings.Cut(word, "=")
		switch name {
		case "merchant":
			r.Merchant.ID = value
		case "country":
			r.Merchant.Country = value
		case "mcc":
			r.Merchant.MCC = value
		case "charged":
			currency, err := money.Parse(value)
			check(t, err)
			r.Original = money.New(amount.Minor, currency)
		case "capture":
			r.Captured = true
		default:
			t.Fatalf("pay: %q means nothing", word)
		}
	}
	d, err := b.pay.Authorize(t.Context(), r)
	check(t, err)
	got := "approved"
	if !d.Approved {
		got = string(d.Reason)
	}
	if got != args[2] {
		t.Errorf("pay %s: %s", strings.Join(args, " "), got)
	}
}

// What a transaction of a payment says is its hold can be read.
func TestHoldOfAPayment(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		b := setup(t, db)
		book := "/operator/v1/books/" + string(b.customer.Test)
		payment := b.bought(t, "12.50")
		line, err := b.pay.List(t.Context(), authorization.Filter{Book: b.customer.Test, Type: authorization.TypeAuthorization})
		check(t, err)
		w := b.do(account.RoleAuditor, "GET", book+"/transactions/"+string(line.Transactions[0].Books), "")
		var told struct {
			Moves []struct {
				HoldID string `json:"hold_id"`
			}
		}
		check(t, json.Unmarshal(w.Body.Bytes(), &told))
		if len(told.Moves) != 1 || told.Moves[0].HoldID != string(payment) {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		if w = b.do(account.RoleAuditor, "GET", book+"/holds/"+told.Moves[0].HoldID, ""); w.Code != 200 || !strings.Contains(w.Body.String(), `"captured":"12.50"`) {
			t.Errorf("its hold: %d %s", w.Code, w.Body)
		}
		if w = b.do(account.RoleAuditor, "GET", book+"/holds/auth_00000000000000000000000000", ""); w.Code != 404 {
			t.Errorf("no payment's hold: %d %s", w.Code, w.Body)
		}
	})
}

// Whoever freezes the account of a virtual card freezes the card: it is listed as frozen, and a
// customer who froze it before does not unfreeze it. So is it let go.
func TestFreezeAccountOfCard(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		b := setup(t, db)
		ctx, h := t.Context(), issuing.Holder{Book: b.customer.Test, Realm: realm.Test, Actor: seeder}
		_, err := b.Wallets.Load(ctx, wallet.Load{Book: h.Book, Realm: h.Realm, Amount: money.New(5000, money.USD), Reference: "cards", Actor: seeder})
		check(t, err)
		book := "/operator/v1/books/" + string(h.Book)
		for _, before := range []issuing.Status{issuing.Active, issuing.Frozen} {
			card, err := b.Issuing.Issue(ctx, h, issuing.NewCard{BIN: "491653", Amount: money.New(1000, money.USD)})
			check(t, err)
			if before == issuing.Frozen {
				_, err = b.Issuing.Freeze(ctx, h, issuing.Step{Card: card.ID})
				check(t, err)
			}
			set := func(how, state string) {
				t.Helper()
				body := `{"account_id":"` + string(card.Account().ID) + `","reason":"` + strings.Repeat("court order ", 8) + `"}`
				if w := b.do(account.RoleSupport, "POST", book+"/accounts/"+how, body); w.Code != 200 || !strings.Contains(w.Body.String(), `"state":"`+state+`"`) {
					t.Errorf("%s an account of a card that was %s: %d %s", how, before, w.Code, w.Body)
				}
			}
			set("freeze", "frozen")
			listed, err := b.Issuing.List(ctx, issuing.Filter{Holder: h, Status: issuing.Frozen})
			check(t, err)
			if listed.Total != 1 || listed.Cards[0].Reason != issuing.ReasonOperator || listed.Cards[0].FrozenAt.IsZero() {
				t.Errorf("a card that was %s is listed as %+v", before, listed)
			}
			if _, err = b.Issuing.Unfreeze(ctx, h, issuing.Step{Card: card.ID}); fault.CodeOf(err) != fault.InvalidState {
				t.Errorf("its holder unfreezes a card that was %s: %v", before, err)
			}
			set("freeze", "frozen")
			set("unfreeze", "open")
			if now, err := b.Issuing.Get(ctx, h, card.ID); err != nil || now.Status != issuing.Active {
				t.Errorf("a card that was %s is %s afterwards, %v", before, now.Status, err)
			}
		}
	})
}
