package cryptocardy

import (
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/api/wire"
	"github.com/scripcards/scrip/internal/core/asset"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/issuing"
	"github.com/scripcards/scrip/internal/issuing/spending"
)

// An amount is a plain decimal number of dollars and cents; anything else is the published
// invalid_amount that names the field.
func TestAmountIn(t *testing.T) {
	for text, minor := range map[wire.Number]int64{"1": 100, "12.50": 1250, "0.01": 1, "500.00": 50_000, "7.5": 750, "5.000": 500, "0": 0} {
		if got, err := amountIn("amount", text); err != nil || got != money.New(minor, money.USD) {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
	for _, text := range []wire.Number{"", "-1", "0.001", "99999999999999999999"} {
		_, err := amountIn("amount", text)
		if f := fault.From(err); f.Code != fault.InvalidAmount || f.Field != "amount" {
			t.Errorf("%q: %v", text, err)
		}
	}
	if got, err := optional("spending_limit", ""); got != nil || err != nil {
		t.Errorf("absent: %v, %v", got, err)
	}
}

// The end of a span belongs to it: a day with all its hours, a second with all its parts.
func TestUntil(t *testing.T) {
	for text, want := range map[string]string{
		"2026-04-15": "2026-04-16T00:00:00Z", "2026-04-15T14:32:00Z": "2026-04-15T14:32:01Z", "2026-04-15T14:32:00+02:00": "2026-04-15T12:32:01Z",
		"2026-04-15T14:32:00": "2026-04-15T14:32:01Z", "2026-04-15T14:32:00.5Z": "2026-04-15T14:32:00.500001Z", "2026-04-15T14:32:00,25Z": "2026-04-15T14:32:00.250001Z",
	} {
		var u until
		if err := u.UnmarshalText([]byte(text)); err != nil || time.Time(u).Format(time.RFC3339Nano) != want {
			t.Errorf("%s: %s, %v", text, time.Time(u).Format(time.RFC3339Nano), err)
		}
	}
	var u until
	if u.UnmarshalText([]byte("yesterday")) == nil || u.UnmarshalText([]byte("1969-12-31")) == nil {
		t.Error("a time that is none was taken")
	}
}

// A number is shown in groups of four, as on a card.
func TestGrouped(t *testing.T) {
	number, err := pan.Parse("4916530123452039")
	if err != nil || grouped(number) != "4916 5301 2345 2039" {
		t.Errorf("%s, %v", grouped(number), err)
	}
}

// Crypto amounts are written as the samples are: no needless digits, and two decimals for what stands in for dollars.
func TestWritten(t *testing.T) {
	for _, c := range []struct {
		asset asset.Asset
		text  string
		want  string
	}{
		{asset.BTC, "0.0001", "0.0001"}, {asset.ETH, "0.005", "0.005"}, {asset.SOL, "0.1", "0.1"}, {asset.USDTERC20, "5", "5.00"},
		{asset.USDTSOL, "5.5", "5.50"}, {asset.USDTERC20, "5.123456", "5.123456"}, {asset.BTC, "2.00", "2"},
	} {
		amount, err := asset.ParseAmount(c.text, c.asset)
		if err != nil || written(amount) != c.want {
			t.Errorf("%s %s is written %s, want %s (%v)", c.text, c.asset, written(amount), c.want, err)
		}
	}
}

// Every asset has a name of the dialect's, and each name one asset.
func TestCoins(t *testing.T) {
	for _, a := range asset.All() {
		one := coinWith(a)
		back, err := coinOf("currency", one.name)
		if err != nil || back.asset != a || one.network == "" {
			t.Errorf("%s: %+v, %+v, %v", a, one, back, err)
		}
	}
	if len(coins) != len(asset.All()) {
		t.Errorf("%d coins for %d assets", len(coins), len(asset.All()))
	}
	if _, err := coinOf("currency", "doge"); fault.CodeOf(err) != fault.InvalidRequest {
		t.Error(err)
	}
}

// The BINs that ship come out as they are published, figure for figure.
func TestPublishedBINs(t *testing.T) {
	want := []string{
		`{"id":"491653","network":"visa","type":"advertising","issuer_country":"US","3ds":true,"apple_pay":true,"google_pay":true,"max_transaction":5000.00,"max_monthly":50000.00,"acceptance_rate":97.2,"best_for":["meta_ads","google_ads","tiktok_ads"]}`,
		`{"id":"531993","network":"mastercard","type":"everyday","issuer_country":"US","3ds":true,"apple_pay":true,"google_pay":true,"max_transaction":1000.00,"max_monthly":10000.00,"acceptance_rate":95.8,"best_for":["subscriptions","saas","shopping"]}`,
	}
	for i, bin := range issuing.ShippedBINs() {
		got, err := wire.Marshal(viewBIN(&bin))
		if err != nil || string(got) != want[i] {
			t.Errorf("got  %s\nwant %s (%v)", got, want[i], err)
		}
	}
}

// The published answers about cards come out byte for byte.
func TestPublishedCards(t *testing.T) {
	at := func(text string) time.Time {
		parsed, err := time.Parse(time.RFC3339, text)
		if err != nil {
			t.Fatal(err)
		}
		return parsed
	}
	usd := func(minor int64) money.Amount { return money.New(minor, money.USD) }
	bin := issuing.ShippedBINs()[0]
	made := issuing.Card{ID: "card_8xK2m9Lp4q", BIN: bin, Last4: "2039", Status: issuing.Active, Balance: usd(48_750), Label: "Meta Ads Campaign #12",
		Metadata: map[string]string{"campaign": "spring_2026"}, Spent: usd(1_250), Transactions: 3, CreatedAt: at("2026-04-15T12:00:00Z"),
		ExpiresAt: at("2029-04-15T23:59:59Z"), LastUsedAt: at("2026-04-15T14:32:00Z"),
		Controls: issuing.Controls{Limits: []spending.Limit{{Window: spending.PerMonth, Amount: usd(200_000)}}}}
	ended := made
	ended.Status = issuing.Terminated
	stopped := made
	stopped.Status, stopped.FrozenAt = issuing.Frozen, at("2026-04-15T15:00:00Z")
	number, err := pan.Parse("4916531288472039")
	if err != nil {
		t.Fatal(err)
	}
	for want, view := range map[string]any{
		`{"id":"card_8xK2m9Lp4q","bin_id":"491653","network":"visa","last4":"2039","status":"active","balance":487.50,"label":"Meta Ads Campaign #12","created_at":"2026-04-15T12:00:00Z"}`: viewLine(&made),
		`{"id":"card_8xK2m9Lp4q","bin_id":"491653","network":"visa","last4":"2039","status":"active","balance":487.50,"spending_limit":2000.00,"total_spent":12.50,"transaction_count":3,` +
			`"label":"Meta Ads Campaign #12","allowed_categories":[],"auto_freeze_at":0.00,"metadata":{"campaign":"spring_2026"},"created_at":"2026-04-15T12:00:00Z","expires_at":"2029-04-15T23:59:59Z","last_used_at":"2026-04-15T14:32:00Z"}`: viewCard(made),
		`{"id":"card_8xK2m9Lp4q","status":"frozen","frozen_at":"2026-04-15T15:00:00Z"}`: viewFrozen(stopped),
		`{"id":"card_8xK2m9Lp4q","status":"terminated","refunded_amount":487.50,"terminated_at":"2026-04-15T16:00:00Z"}`: viewTerminated(issuing.Ended{Card: ended,
			Refunded: usd(48_750), At: at("2026-04-15T16:00:00Z")}),
		`{"id":"card_8xK2m9Lp4q","previous_balance":487.50,"funded_amount":200.00,"new_balance":687.50,"wallet_balance":1312.50}`: viewFunded(issuing.Moved{Card: made,
			Previous: usd(48_750), Amount: usd(20_000), New: usd(68_750), Wallet: usd(131_250)}),
		`{"id":"card_8xK2m9Lp4q","pan":"4916531288472039","cvv":"847","exp_month":4,"exp_year":2029,"holder_name":"ANONYMOUS","billing_address":{"line1":"123 Privacy Street","city":"Wilmington","state":"DE","zip":"19801","country":"US"}}`: viewDetails(issuing.Details{
			Card: made.ID, Number: number, CVC: pan.NewSecret("847"), Month: 4, Year: 2029, HolderName: "ANONYMOUS", Billing: issuing.DefaultProgramme().Billing}),
	} {
		if got, err := wire.Marshal(view); err != nil || string(got) != want {
			t.Errorf("got  %s\nwant %s (%v)", got, want, err)
		}
	}
}
