package cardholder_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/issuing/cardholder"
	"github.com/scripcards/scrip/internal/issuing/spending"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/testkit"
	"github.com/scripcards/scrip/internal/testkit/check"
)

var (
	epoch = time.Date(2026, 4, 15, 12, 0, 0, 0, time.UTC)
	ann   = cardholder.Owner{Book: "bk_ann", Realm: realm.Test, Actor: "key/ann"}
	bob   = cardholder.Owner{Book: "bk_bob", Realm: realm.Test, Actor: "key/bob"}
	house = cardholder.Owner{Book: "bk_ann", Realm: realm.Test, Actor: "op/1"}
	home  = cardholder.Address{Line1: "1 Main St", City: "Springfield", State: "IL", Zip: "62701", Country: "US"}
)

type process struct {
	*cardholder.Service
	t     testing.TB
	clock *clock.Manual
}

func eachEngine(t *testing.T, test func(t *testing.T, p *process)) {
	t.Helper()
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		p := join(t, db, clock.NewManual(epoch))
		check.OK(t, db.Write(t.Context(), func(ctx context.Context, tx *storage.Tx) error {
			for _, o := range []cardholder.Owner{ann, bob} {
				if err := ledger.OpenBook(ctx, tx, ledger.Book{ID: o.Book, Realm: o.Realm, OpenedAt: epoch}); err != nil {
					return err
				}
			}
			return nil
		}))
		test(t, p)
	})
}

func join(t testing.TB, db *storage.DB, base *clock.Manual) *process {
	return &process{t: t, clock: base, Service: cardholder.New(cardholder.Deps{DB: db, Audit: audit.New(db), Clocks: clock.NewRealms(base)})}
}

func (p *process) create(o cardholder.Owner, name string) cardholder.Cardholder {
	p.t.Helper()
	c, err := p.Create(context.Background(), o, cardholder.NewPerson{Name: name, Address: home})
	check.OK(p.t, err)
	return c
}

// A cardholder is kept as it was written, found in its book alone and listed newest first.
func TestPersons(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := t.Context()
		made, err := p.Create(ctx, ann, cardholder.NewPerson{Name: "Zoë O'Neil", Email: "zoe@example.com", Reference: "emp-7", Address: home})
		check.OK(t, err)
		got, err := p.Get(ctx, ann.Book, made.ID)
		if diff := cmp.Diff(made, got); diff != "" || err != nil || made.State != cardholder.Pending || made.TierName() != cardholder.Anonymous {
			t.Errorf("%v\n%s", err, diff)
		}
		for _, id := range []cardholder.ID{made.ID, "chd_01kad5q4m8p2r6t9v3x7z1b5dh", "", "x"} {
			_, err := p.Get(ctx, bob.Book, id)
			check.Code(t, string(id), err, fault.NotFound)
			_, err = p.Recall(ctx, bob.Book, id)
			check.Code(t, "remembered "+string(id), err, fault.NotFound)
		}
		var want []cardholder.ID
		for _, name := range []string{"A", "B", "C"} {
			want = append(want, p.create(ann, name).ID)
		}
		slices.Reverse(want)
		p.create(bob, "Other")
		page, err := p.List(ctx, ann.Book, "", 2)
		check.OK(t, err)
		next, err := p.List(ctx, ann.Book, page[1].ID, 10)
		check.OK(t, err)
		var ids []cardholder.ID
		for _, c := range append(page, next...) {
			ids = append(ids, c.ID)
		}
		if diff := cmp.Diff(append(want, made.ID), ids); diff != "" {
			t.Error(diff)
		}
		_, err = p.List(ctx, ann.Book, "x", 2)
		check.Code(t, "a wrong cursor", err, fault.InvalidCursor)
	})
}

// What cannot be a person is refused.
func TestPersonsRefused(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		for name, change := range map[string]func(*cardholder.NewPerson){
			"no name":       func(n *cardholder.NewPerson) { n.Name = "" },
			"spaces":        func(n *cardholder.NewPerson) { n.Name = " Ada" },
			"long name":     func(n *cardholder.NewPerson) { n.Name = strings.Repeat("a", 101) },
			"lines":         func(n *cardholder.NewPerson) { n.Name = "A\nB" },
			"bytes":         func(n *cardholder.NewPerson) { n.Name = "\xff" },
			"email":         func(n *cardholder.NewPerson) { n.Email = "Ada <ada@example.com>" },
			"reference":     func(n *cardholder.NewPerson) { n.Reference = strings.Repeat("r", 65) },
			"no line":       func(n *cardholder.NewPerson) { n.Address.Line1 = "" },
			"no city":       func(n *cardholder.NewPerson) { n.Address.City = "" },
			"long zip":      func(n *cardholder.NewPerson) { n.Address.Zip = strings.Repeat("1", 17) },
			"no country":    func(n *cardholder.NewPerson) { n.Address.Country = "" },
			"other country": func(n *cardholder.NewPerson) { n.Address.Country = "UK" },
		} {
			n := cardholder.NewPerson{Name: "Ada", Address: home}
			change(&n)
			_, err := p.Create(t.Context(), ann, n)
			check.Code(t, name, err, fault.InvalidRequest)
		}
		all, err := p.List(t.Context(), ann.Book, "", 10)
		if err != nil || len(all) != 0 {
			t.Errorf("%v, %v", all, err)
		}
	})
}

// The states follow each other as the table says, and no other way.
func TestStates(t *testing.T) {
	allowed := map[cardholder.State][]cardholder.State{
		cardholder.Pending:   {cardholder.Verified, cardholder.Rejected},
		cardholder.Verified:  {cardholder.Verified, cardholder.Suspended},
		cardholder.Rejected:  {cardholder.Verified, cardholder.Rejected},
		cardholder.Suspended: {cardholder.Verified, cardholder.Rejected, cardholder.Suspended},
	}
	way := map[cardholder.State][]cardholder.State{
		cardholder.Pending: nil, cardholder.Verified: {cardholder.Verified}, cardholder.Rejected: {cardholder.Rejected},
		cardholder.Suspended: {cardholder.Verified, cardholder.Suspended},
	}
	tier := map[cardholder.State]string{cardholder.Verified: "basic"}
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := t.Context()
		for _, from := range cardholder.States() {
			for _, to := range cardholder.States() {
				c := p.create(ann, "Ada")
				for _, s := range way[from] {
					_, err := p.Judge(ctx, house, cardholder.Judgement{ID: c.ID, State: s, Tier: tier[s]})
					check.OK(t, err)
				}
				got, err := p.Judge(ctx, house, cardholder.Judgement{ID: c.ID, State: to, Tier: tier[to], Reason: "seen"})
				switch {
				case slices.Contains(allowed[from], to):
					if err != nil || got.State != to || got.Reason != "seen" {
						t.Errorf("%s to %s: %+v, %v", from, to, got, err)
					}
				case to == cardholder.Pending:
					check.Code(t, string(from)+" to pending", err, fault.InvalidRequest)
				default:
					check.Code(t, string(from)+" to "+string(to), err, fault.InvalidState)
				}
			}
		}
		c := p.create(ann, "Ada")
		for name, row := range map[string]struct {
			o    cardholder.Owner
			j    cardholder.Judgement
			want fault.Code
		}{
			"another's":          {bob, cardholder.Judgement{ID: c.ID, State: cardholder.Rejected}, fault.NotFound},
			"nobody":             {house, cardholder.Judgement{ID: "chd_x", State: cardholder.Rejected}, fault.NotFound},
			"no tier":            {house, cardholder.Judgement{ID: c.ID, State: cardholder.Verified}, fault.InvalidRequest},
			"unknown tier":       {house, cardholder.Judgement{ID: c.ID, State: cardholder.Verified, Tier: "gold"}, fault.InvalidRequest},
			"tier of a rejected": {house, cardholder.Judgement{ID: c.ID, State: cardholder.Rejected, Tier: "basic"}, fault.InvalidRequest},
			"unknown state":      {house, cardholder.Judgement{ID: c.ID, State: "happy"}, fault.InvalidRequest},
			"long reason":        {house, cardholder.Judgement{ID: c.ID, State: cardholder.Rejected, Reason: strings.Repeat("r", 201)}, fault.InvalidRequest},
		} {
			_, err := p.Judge(ctx, row.o, row.j)
			check.Code(t, name, err, row.want)
		}
	})
}

// What ships holds until an operator changes it; every process follows within seconds.
func TestTiers(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx, q := t.Context(), join(t, p.DB, p.clock)
		all, err := q.Tiers(ctx)
		check.OK(t, err)
		if len(all) != 3 || all[0].Name != cardholder.Anonymous || all[1].Name != "basic" || all[2].Name != "business" || len(all[2].Limits) != 0 {
			t.Errorf("%+v", all)
		}
		ada := p.create(ann, "Ada")
		name := func(r *process) string {
			t.Helper()
			tier, err := r.TierOf(ctx, ann.Book, ada.ID)
			check.OK(t, err)
			return tier.Name
		}
		if name(p) != cardholder.Anonymous || name(q) != cardholder.Anonymous {
			t.Error("before she is verified")
		}
		gold := cardholder.Tier{Name: "gold", Currency: money.EUR, MaxCards: 3,
			Limits: []spending.Limit{{Window: spending.PerYear, Count: 9}, {Window: spending.PerDay, Amount: money.New(100, money.EUR)}}}
		kept, err := p.PutTier(ctx, cardholder.TierChange{Tier: gold, Actor: "op/1"})
		check.OK(t, err)
		log, err := p.Audit.List(ctx, audit.Filter{Action: "cardholder.put_tier"})
		check.OK(t, err)
		if diff := cmp.Diff(map[string]string{"currency": "EUR", "limits": "day=1 year=0/9", "max_cards": "3"}, log[0].Detail); diff != "" {
			t.Errorf("what the log says: %s", diff)
		}
		_, err = p.Judge(ctx, house, cardholder.Judgement{ID: ada.ID, State: cardholder.Verified, Tier: "gold"})
		check.OK(t, err)
		if name(p) != "gold" || name(q) != cardholder.Anonymous {
			t.Error("the process that verified her knows at once, the other does not yet")
		}
		p.clock.Advance(2 * time.Second)
		got, err := q.TierOf(ctx, ann.Book, ada.ID)
		if diff := cmp.Diff(kept, got); diff != "" || err != nil || got.Limits[0].Window != spending.PerDay {
			t.Errorf("%v\n%s", err, diff)
		}
		anonymous := cardholder.Tier{Name: cardholder.Anonymous, Currency: money.USD}
		_, err = p.PutTier(ctx, cardholder.TierChange{Tier: anonymous, Actor: "op/1"})
		check.OK(t, err)
		if now, err := p.TierOf(ctx, ann.Book, ""); err != nil || len(now.Limits) != 0 {
			t.Errorf("%+v, %v", now, err)
		}
		for what, row := range map[string]struct {
			change func(*cardholder.Tier)
			want   fault.Code
		}{
			"name":     {func(t *cardholder.Tier) { t.Name = "Gold" }, fault.InvalidRequest},
			"no name":  {func(t *cardholder.Tier) { t.Name = "" }, fault.InvalidRequest},
			"currency": {func(t *cardholder.Tier) { t.Currency = money.NoCurrency }, fault.UnknownCurrency},
			"cards":    {func(t *cardholder.Tier) { t.MaxCards = -1 }, fault.InvalidRequest},
			"limit":    {func(t *cardholder.Tier) { t.Currency = money.USD }, fault.CurrencyMismatch},
		} {
			tier := gold
			row.change(&tier)
			_, err := p.PutTier(ctx, cardholder.TierChange{Tier: tier, Actor: "op/1"})
			check.Code(t, what, err, row.want)
		}
		_, err = p.Tier(ctx, "silver")
		check.Code(t, "no tier", err, fault.NotFound)
	})
}

// Every change is in the audit log, with what belongs to it written along or not at all.
func TestAudit(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx, no := t.Context(), fault.New(fault.Unavailable, "no answer")
		refuse := func(cardholder.Cardholder) ([]storage.Effect, error) { return nil, no }
		_, err := p.Create(ctx, ann, cardholder.NewPerson{Name: "Ada", Address: home, Also: refuse})
		check.Code(t, "create", err, fault.Unavailable)
		ada := p.create(ann, "Ada")
		_, err = p.Judge(ctx, house, cardholder.Judgement{ID: ada.ID, State: cardholder.Rejected, Also: refuse})
		check.Code(t, "judge", err, fault.Unavailable)
		_, err = p.PutTier(ctx, cardholder.TierChange{Tier: cardholder.Tier{Name: "x", Currency: money.USD}, Actor: "op/1",
			Also: func(cardholder.Tier) ([]storage.Effect, error) { return nil, no }})
		check.Code(t, "tier", err, fault.Unavailable)
		_, err = p.Judge(ctx, house, cardholder.Judgement{ID: ada.ID, State: cardholder.Verified, Tier: "basic", Reason: "passport 4111 1111 1111 1111"})
		check.OK(t, err)
		entries, err := p.Audit.List(ctx, audit.Filter{Book: string(ann.Book)})
		check.OK(t, err)
		var got []string
		for _, e := range entries {
			got = append(got, e.Actor+" "+e.Action+" "+e.Detail["state"]+" "+e.Detail["reason"])
		}
		if diff := cmp.Diff([]string{"op/1 cardholder.judge verified [redacted]", "key/ann cardholder.create pending "}, got); diff != "" {
			t.Error(diff)
		}
	})
}
