package issuing_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/issuing"
	"github.com/scripcards/scrip/internal/issuing/spending"
	"github.com/scripcards/scrip/internal/testkit/check"
	"github.com/scripcards/scrip/internal/testkit/crowd"
)

func ptr[T any](v T) *T { return &v }

// Settings change part by part, metadata is merged, and what is kept has one spelling.
func TestChange(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx, card := t.Context(), p.card(ann, 1000)
		p.hold(ann, card, 300)
		change := func(ch issuing.Change) issuing.Card {
			t.Helper()
			ch.Card = card
			c, err := p.Change(ctx, ann, ch)
			check.OK(t, err)
			got := p.get(ann, card)
			if diff := cmp.Diff(fmt.Sprint(got.Label, got.Metadata, got.Controls, got.Balance, got.Held, got.Version), fmt.Sprint(c.Label, c.Metadata, c.Controls, c.Balance, c.Held, c.Version)); diff != "" {
				t.Errorf("kept and answered:\n%s", diff)
			}
			return c
		}
		if c := p.get(ann, card); c.SpendingLimit() != usd(5_000_000) {
			t.Errorf("the BIN's limit is %s", c.SpendingLimit())
		}
		c := change(issuing.Change{Label: ptr("Büro"), SpendingLimit: ptr(usd(200000)), Metadata: map[string]*string{"a": ptr("1"), "b": ptr("2")}})
		if c.Label != "Büro" || c.SpendingLimit() != usd(200000) || c.Balance != usd(700) || c.Version != 2 {
			t.Errorf("%+v", c)
		}
		c = change(issuing.Change{Metadata: map[string]*string{"a": nil, "c": ptr(""), "b": ptr("3")}, Categories: ptr([]string{"Software", "7311", "software"})})
		if diff := cmp.Diff(map[string]string{"b": "3", "c": ""}, c.Metadata); diff != "" || strings.Join(c.Controls.Categories, " ") != "7311 software" || c.Label != "Büro" {
			t.Errorf("%+v\n%s", c, diff)
		}
		if !c.Controls.AllowsCategory("7372") || !c.Controls.AllowsCategory("7311") || c.Controls.AllowsCategory("5411") {
			t.Error("categories")
		}
		c = change(issuing.Change{SpendingLimit: ptr(usd(0)), AutoFreezeAt: ptr(usd(500)), Label: ptr("")})
		if c.SpendingLimit() != usd(5_000_000) || c.Controls.AutoFreezeAt != usd(500) || c.Label != "" || len(c.Controls.Limits) != 0 {
			t.Errorf("%+v", c)
		}
		limits := []spending.Limit{{Window: spending.PerMonth, Amount: usd(1000), Count: 5}, {Window: spending.PerPayment, Amount: usd(100)}}
		c = change(issuing.Change{Controls: &issuing.Controls{Limits: limits, Countries: []string{"US", "DE", "US"}, Currencies: []money.Currency{money.USD, money.EUR},
			Merchant: "M-1", SingleUse: true}, AutoFreezeAt: ptr(usd(100))})
		if c.Controls.AutoFreezeAt != usd(100) || !c.Controls.SingleUse || c.Controls.AllowsCountry("FR") || !c.Controls.AllowsCountry("DE") ||
			c.Controls.AllowsCurrency(money.GBP) || !c.Controls.AllowsCurrency(money.EUR) || c.Controls.AllowsMerchant("M-2") || !c.Controls.AllowsMerchant("M-1") || len(c.Controls.Categories) != 0 {
			t.Errorf("%+v", c.Controls)
		}
		c = change(issuing.Change{SpendingLimit: ptr(usd(2000))})
		if c.Controls.Limits[1] != (spending.Limit{Window: spending.PerMonth, Amount: usd(2000), Count: 5}) {
			t.Errorf("the count was lost: %+v", c.Controls.Limits)
		}
		check.List(t, "audit", p.audited(ann)[:4], "key/ann card.change label spending_limit metadata", "key/ann card.change allowed_categories metadata",
			"key/ann card.change label spending_limit auto_freeze_at", "key/ann card.change auto_freeze_at controls")
		check.List(t, "events", p.events(ann), "card.created")
		p.verify()
	})
}

// What cannot be a setting is refused, for a new card and for one that there is, and
// changes nothing.
func TestSettingsRefused(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx, card := t.Context(), p.card(ann, 1000)
		p.load(ann, 10000)
		many := map[string]*string{}
		for i := range 21 {
			many[fmt.Sprint("k", i)] = ptr("v")
		}
		limit := func(w spending.Window, amount money.Amount, n int64) *issuing.Controls {
			return &issuing.Controls{Limits: []spending.Limit{{Window: w, Amount: amount, Count: n}}}
		}
		for name, row := range map[string]struct {
			ch   issuing.Change
			want fault.Code
		}{
			"long label":         {issuing.Change{Label: ptr(strings.Repeat("ä", 65))}, fault.InvalidRequest},
			"control characters": {issuing.Change{Label: ptr("a\nb")}, fault.InvalidRequest},
			"a number as label":  {issuing.Change{Label: ptr("card 4111 1111 1111 1111")}, fault.InvalidRequest},
			"21 keys":            {issuing.Change{Metadata: many}, fault.InvalidRequest},
			"no key":             {issuing.Change{Metadata: map[string]*string{"": ptr("x")}}, fault.InvalidRequest},
			"a long key":         {issuing.Change{Metadata: map[string]*string{strings.Repeat("k", 41): ptr("x")}}, fault.InvalidRequest},
			"a long value":       {issuing.Change{Metadata: map[string]*string{"k": ptr(strings.Repeat("v", 501))}}, fault.InvalidRequest},
			"a number as value":  {issuing.Change{Metadata: map[string]*string{"k": ptr("4111111111111111")}}, fault.InvalidRequest},
			"a number at an end": {issuing.Change{Metadata: map[string]*string{"k": ptr(strings.Repeat("v", 484) + "4111111111111111")}}, fault.InvalidRequest},
			"a number as key":    {issuing.Change{Metadata: map[string]*string{"4111111111111111": ptr("v")}}, fault.InvalidRequest},
			"no category":        {issuing.Change{Categories: ptr([]string{"nonsense"})}, fault.InvalidRequest},
			"above the BIN":      {issuing.Change{SpendingLimit: ptr(usd(5_000_001))}, fault.InvalidAmount},
			"negative limit":     {issuing.Change{SpendingLimit: ptr(usd(-1))}, fault.InvalidAmount},
			"other currency":     {issuing.Change{SpendingLimit: ptr(money.New(1, money.EUR))}, fault.CurrencyMismatch},
			"negative threshold": {issuing.Change{AutoFreezeAt: ptr(usd(-1))}, fault.InvalidAmount},
			"foreign threshold":  {issuing.Change{AutoFreezeAt: ptr(money.New(1, money.EUR))}, fault.CurrencyMismatch},
			"no country":         {issuing.Change{Controls: &issuing.Controls{Countries: []string{"UK"}}}, fault.InvalidRequest},
			"no currency":        {issuing.Change{Controls: &issuing.Controls{Currencies: []money.Currency{money.NoCurrency}}}, fault.InvalidRequest},
			"a long merchant":    {issuing.Change{Controls: &issuing.Controls{Merchant: strings.Repeat("m", 65)}}, fault.InvalidRequest},
			"window":             {issuing.Change{Controls: limit("hour", usd(1), 0)}, fault.InvalidRequest},
			"empty limit":        {issuing.Change{Controls: limit(spending.PerDay, usd(0), 0)}, fault.InvalidRequest},
		} {
			row.ch.Card = card
			_, err := p.Change(ctx, ann, row.ch)
			check.Code(t, name, err, row.want)
			n := issuing.NewCard{BIN: visa, Amount: usd(1000), Metadata: map[string]string{}}
			for k, v := range row.ch.Metadata {
				n.Metadata[k] = *v
			}
			if row.ch.Label != nil {
				n.Label = *row.ch.Label
			}
			if row.ch.SpendingLimit != nil {
				n.SpendingLimit = *row.ch.SpendingLimit
			}
			if row.ch.AutoFreezeAt != nil {
				n.AutoFreezeAt = *row.ch.AutoFreezeAt
			}
			if row.ch.Categories != nil {
				n.Categories = *row.ch.Categories
			}
			if row.ch.Controls != nil {
				n.Controls = *row.ch.Controls
			}
			_, err = p.Issue(ctx, ann, n)
			check.Code(t, name+" for a new card", err, row.want)
		}
		if c := p.get(ann, card); c.Version != 1 {
			t.Errorf("%+v", c)
		}
		p.look(ann, card, issuing.Active, 1000, 10000)
	})
}

// Changes at once of one card's settings are all kept.
func TestChangesAtOnce(t *testing.T) {
	twoProcesses(t, func(t *testing.T, both [2]*process) {
		card := both[0].card(ann, 1000)
		crowd.AtOnce(16, func(i int) {
			_, err := both[i%2].Change(t.Context(), ann, issuing.Change{Card: card, Metadata: map[string]*string{fmt.Sprint("k", i): ptr("v")}})
			if err != nil {
				t.Error(err)
			}
		})
		if c := both[0].get(ann, card); len(c.Metadata) != 16 || c.Version != 17 {
			t.Errorf("%d keys, version %d", len(c.Metadata), c.Version)
		}
	})
}
