package cryptocardy_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/api/wire"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/testkit"
	"github.com/scripcards/scrip/internal/testkit/check"
)

// holding is one seed with what a generated history did to it, and the sums that its
// pages must show.
type holding struct {
	*bundle
	r     *rapid.T
	owner account.Customer
	seed  string
	cards []string
	lines []string // authorizations
}

// sheet is the members of the answers that have arithmetic in them.
type sheet struct {
	ID     string
	Status string
	Type   string
	Amount json.Number

	Balance     json.Number
	Deposited   json.Number `json:"total_deposited"`
	Spent       json.Number `json:"total_spent"`
	Pending     json.Number `json:"pending_deposits"`
	CardsActive int         `json:"cards_active"`
	OnCards     json.Number `json:"cards_total_balance"`

	Coin     string      `json:"amount_crypto"`
	Value    json.Number `json:"amount_usd"`
	Fee      json.Number `json:"fee_usd"`
	Credited json.Number `json:"credited_usd"`

	Previous  json.Number `json:"previous_balance"`
	Funded    json.Number `json:"funded_amount"`
	Withdrawn json.Number `json:"withdrawn_amount"`
	New       json.Number `json:"new_balance"`
	Wallet    json.Number `json:"wallet_balance"`
	Refunded  json.Number `json:"refunded_amount"`

	Approved    bool
	Transaction *sheet
}

// page is an answer with pages.
type page struct {
	Data       []sheet
	Pagination struct {
		Page, Total int
		PerPage     int `json:"per_page"`
		TotalPages  int `json:"total_pages"`
	}
}

// Whatever is done with a seed, the sums of its pages hold after each step: of a deposit,
// credited = amount - fee, and the fee is 2 %; balance = deposited - spent, which the
// books say, too; what funding takes from the wallet is what it puts on the card; and pages
// of every size are the same lines, as many as they say.
func TestIdentities(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		b := setup(t, db)
		b.Take = func(_ context.Context, _ string, windows []wire.Window, _ int) (wire.Decision, error) {
			return wire.Decision{Allowed: true, Limit: windows[0].Limit, Remaining: windows[0].Limit}, nil
		}
		b.mount()
		histories := 0
		rapid.Check(t, func(r *rapid.T) {
			histories++
			h := b.hold(r, fmt.Sprint("holder ", histories))
			for range rapid.IntRange(2, 10).Draw(r, "steps") {
				h.step()
				h.sums()
			}
			h.pages("/cards", map[string][]string{"status": {"pending_top_up", "active", "frozen", "terminated"}})
			h.pages("/transactions", map[string][]string{"type": {"authorization", "settlement", "refund", "decline"}})
			h.pages("/wallet/deposits", map[string][]string{"status": {"pending", "confirmed", "expired"}, "currency": {"btc", "eth", "sol", "usdt", "xmr"}})
			h.pages("/3ds", map[string][]string{"status": {"pending", "completed", "expired"}})
		})
		b.verified()
	})
}

// hold makes a customer with a seed, money and a card.
func (b *bundle) hold(r *rapid.T, name string) *holding {
	made, err := b.Accounts.CreateCustomer(context.Background(), seeder, account.NewCustomer{Name: name})
	check.OK(b.t, err)
	b.give(name, made.ID, realm.Test)
	h := &holding{bundle: b, r: r, owner: made, seed: name}
	b.load(made.Test, 100_000)
	var card sheet
	h.call("POST /v1/api/cards", `{"bin_id":"491653","amount":200}`, &card)
	h.cards = []string{card.ID}
	return h
}

// call makes a call and reads its answer; it reports whether it did what it was asked.
func (h *holding) call(line, body string, into any) bool {
	w := h.do(h.seed, line, body)
	if w.Code >= 500 || w.Code == http.StatusUnauthorized || w.Code == http.StatusTooManyRequests {
		h.r.Fatalf("%s %s: %d %s", line, body, w.Code, w.Body)
	}
	if w.Code >= 300 {
		return false
	}
	if err := json.Unmarshal(w.Body.Bytes(), into); err != nil {
		h.r.Fatalf("%s: %s: %v", line, w.Body, err)
	}
	return true
}

// dollars is a generated amount.
func (h *holding) dollars(most int64) string {
	return money.New(rapid.Int64Range(1, most).Draw(h.r, "cents"), money.USD).String()
}

func (h *holding) step() {
	card := rapid.SampledFrom(h.cards).Draw(h.r, "card")
	const base = "POST /v1/api"
	switch rapid.IntRange(0, 10).Draw(h.r, "step") {
	case 0:
		var made sheet
		if h.call(base+"/cards", `{"bin_id":"491653","amount":`+h.dollars(30_000)+`}`, &made) {
			h.cards = append(h.cards, made.ID)
		}
	case 1, 2:
		h.deposit()
	case 3:
		h.transfer(card, "fund", 1)
	case 4:
		h.transfer(card, "withdraw", -1)
	case 5, 6:
		var paid sheet
		if h.call(base+"/simulate/authorization", `{"card_id":"`+card+`","amount":`+h.dollars(15_000)+`,"merchant":{"name":"SHOP"}}`, &paid) && paid.Approved {
			h.lines = append(h.lines, paid.Transaction.ID)
		}
	case 7, 8:
		if len(h.lines) > 0 {
			about := rapid.SampledFrom(h.lines).Draw(h.r, "line")
			how := rapid.SampledFrom([]string{"settlement", "refund", "reversal"}).Draw(h.r, "how")
			h.call(base+"/simulate/"+how, `{"transaction_id":"`+about+`","amount":`+h.dollars(15_000)+`}`, &sheet{})
		}
	case 9:
		h.call(base+"/simulate/3ds", `{"card_id":"`+card+`","merchant":"SHOP","amount":1}`, &sheet{})
	default:
		h.end(card)
	}
}

// rates are the sandbox's, in cents a whole coin, and how many units a coin has.
var rates = map[string]struct{ cents, units int64 }{"btc": {6_585_000, 100_000_000}, "eth": {325_000, 1_000_000_000}, "usdt": {100, 1_000_000}}

// deposit pays to an address, and holds what is shown against the price and the fee.
func (h *holding) deposit() {
	coin := rapid.SampledFrom([]string{"btc", "eth", "usdt"}).Draw(h.r, "coin")
	rate := rates[coin]
	// 1 to 100 dollars, in the coin's units: above and below what is credited at the least.
	units := rapid.Int64Range(rate.units*100/rate.cents, rate.units*10_000/rate.cents).Draw(h.r, "units")
	digits := len(fmt.Sprint(rate.units)) - 1
	text := fmt.Sprintf("%d.%0*d", units/rate.units, digits, units%rate.units)
	deep := rapid.SampledFrom([]string{"0", "12"}).Draw(h.r, "confirmations")
	var d sheet
	h.call("POST /v1/api/simulate/deposit", `{"currency":"`+coin+`","amount_crypto":"`+text+`","confirmations":`+deep+`}`, &d)
	value, fee, credited := cents(h.t, d.Value), cents(h.t, d.Fee), cents(h.t, d.Credited)
	if d.Status == "expired" || d.Status == "pending" && value == 0 { // below the minimum
		if value != 0 || fee != 0 || credited != 0 {
			h.r.Errorf("%s %s is below the minimum: %+v", text, coin, d)
		}
		return
	}
	if worth := units * rate.cents / rate.units; value != worth {
		h.r.Errorf("%s %s is worth %d, want %d", text, coin, value, worth)
	}
	if fee != (value*2+50)/100 || credited != value-fee {
		h.r.Errorf("of %d the fee is %d, and %d are credited", value, fee, credited)
	}
}

// transfer moves money between wallet and card.
func (h *holding) transfer(card, how string, sign int64) {
	before, m := h.wallet(), sheet{}
	if !h.call("POST /v1/api/cards/"+card+"/"+how, `{"amount":`+h.dollars(20_000)+`}`, &m) {
		return
	}
	moved := m.Funded
	if sign < 0 {
		moved = m.Withdrawn
	}
	amount := sign * cents(h.t, moved)
	if cents(h.t, m.Previous)+amount != cents(h.t, m.New) || cents(h.t, before.Balance)-amount != cents(h.t, m.Wallet) {
		h.r.Errorf("%s %s from a wallet with %s: %+v", how, moved, before.Balance, m)
	}
}

// end freezes, lets go or terminates a card.
func (h *holding) end(card string) {
	before, ended := h.wallet(), sheet{}
	switch rapid.IntRange(0, 3).Draw(h.r, "end") {
	case 0:
		h.call("POST /v1/api/cards/"+card+"/freeze", "", &sheet{})
	case 1, 2:
		h.call("POST /v1/api/cards/"+card+"/unfreeze", "", &sheet{})
	default:
		if h.call("DELETE /v1/api/cards/"+card, "", &ended) && cents(h.t, before.Balance)+cents(h.t, ended.Refunded) != cents(h.t, h.wallet().Balance) {
			h.r.Errorf("a card gave back %s to %s: %s", ended.Refunded, before.Balance, h.wallet().Balance)
		}
	}
}

func (h *holding) wallet() (w sheet) {
	h.call("GET /v1/api/wallet/balance", "", &w)
	return w
}

// all reads every page of a list.
func (h *holding) all(path string, size int) (lines []sheet) {
	for n := 1; ; n++ {
		var p page
		h.call(fmt.Sprintf("GET /v1/api%spage=%d&per_page=%d", path, n, size), "", &p)
		lines = append(lines, p.Data...)
		at := p.Pagination
		if at.Page != n || at.PerPage != size || at.TotalPages != (at.Total+size-1)/size || (len(p.Data) != size) != (n >= at.TotalPages && at.Total%size != 0 || n > at.TotalPages) {
			h.r.Errorf("%s, page %d of %d a page: %d lines, %+v", path, n, size, len(p.Data), at)
		}
		if n >= at.TotalPages {
			if len(lines) != at.Total {
				h.r.Errorf("%s: %d lines, and the total is %d", path, len(lines), at.Total)
			}
			return lines
		}
	}
}

// sums holds the wallet's page against the books and against the lists of what it sums up.
func (h *holding) sums() {
	w := h.wallet()
	if cents(h.t, w.Balance) != cents(h.t, w.Deposited)-cents(h.t, w.Spent) {
		h.r.Errorf("%s is not %s less %s", w.Balance, w.Deposited, w.Spent)
	}
	inBooks, err := h.wallets.Balance(context.Background(), h.owner.Test, money.USD)
	check.OK(h.t, err)
	if cents(h.t, w.Balance) != inBooks.Minor {
		h.r.Errorf("the books have %s, the page %s", inBooks, w.Balance)
	}
	pending, credited := int64(0), int64(100_000)
	for _, d := range h.all("/wallet/deposits?", 100) {
		switch d.Status {
		case "pending":
			pending += cents(h.t, d.Value)
		case "confirmed":
			credited += cents(h.t, d.Credited)
		}
	}
	if pending != cents(h.t, w.Pending) || credited != cents(h.t, w.Deposited) {
		h.r.Errorf("deposits of %d are pending and of %d credited: %+v", pending, credited, w)
	}
	active, onCards := 0, int64(0)
	for _, c := range h.all("/cards?", 100) {
		if c.Status == "active" {
			active++
		}
		onCards += cents(h.t, c.Balance)
	}
	if active != w.CardsActive || onCards != cents(h.t, w.OnCards) {
		h.r.Errorf("%d cards are active, and %d is on cards: %+v", active, onCards, w)
	}
}

// pages reads a list in pages of several sizes, which are the same lines; the parts that a
// filter makes are all of it.
func (h *holding) pages(path string, filters map[string][]string) {
	whole := h.all(path+"?", 100)
	for _, size := range []int{1, 2, 7} {
		if got := ids(h.all(path+"?", size)); got != ids(whole) {
			h.r.Errorf("%s by %d a page: %s, want %s", path, size, got, ids(whole))
		}
	}
	for name, values := range filters {
		sum := 0
		for _, value := range values {
			sum += len(h.all(path+"?"+name+"="+value+"&", 2))
		}
		if sum != len(whole) {
			h.r.Errorf("%s: the parts by %s have %d lines, all of it %d", path, name, sum, len(whole))
		}
	}
}

func ids(lines []sheet) string {
	all := make([]string, len(lines))
	for i, line := range lines {
		all[i] = line.ID
	}
	return strings.Join(all, " ")
}
