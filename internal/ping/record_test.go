package ping_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/id"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/fraud"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/ping"
	"github.com/scripcards/scrip/internal/ping/quota"
	"github.com/scripcards/scrip/internal/platform/idempotency"
	"github.com/scripcards/scrip/internal/platform/limit"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/testkit/check"
	"github.com/scripcards/scrip/internal/testkit/crowd"
)

// used returns how much of a book's quota is spent.
func (p *process) used(c ping.Caller) int64 {
	p.t.Helper()
	used, err := limit.Used(context.Background(), p.DB, limit.Quota{Book: string(c.Book), Name: "ping", Period: limit.Month(p.clock.Now())})
	check.OK(p.t, err)
	return used
}

// A quota is never exceeded by however many callers in two processes, and each of them
// gets an answer or a refusal of its own. Another book has its own, and so has next month.
func TestQuotaIsNeverExceeded(t *testing.T) {
	twice(t, func(t *testing.T, both [2]*process) {
		card := both[0].issue(desk, 100)
		var answers, others crowd.Tally
		crowd.AtOnce(150, func(i int) {
			_, err := both[i%2].Ping(context.Background(), asking(stranger(i), "scrip", card.number, ""))
			answers.Add(err)
			_, err = both[i%2].Ping(context.Background(), asking(shop, "scrip", card.number, ""))
			others.Add(err)
		})
		check.Equal(t, "answers", answers.Codes, map[fault.Code]int{"": 100, fault.QuotaExceeded: 50})
		check.Equal(t, "others", others.Codes, map[fault.Code]int{"": 100, fault.QuotaExceeded: 50})
		check.Equal(t, "used", both[0].used(desk), int64(100))
		check.Equal(t, "kept", both[0].pings(desk.Book), 100)
		check.Equal(t, "events", len(both[0].events(desk.Book, "ping.completed")), 100)
		_, err := both[1].Ping(t.Context(), asking(desk, "scrip", card.number, ""))
		check.Code(t, "beyond", err, fault.QuotaExceeded)
		if wait, left := fault.From(err).RetryAfter, limit.MonthEnd(epoch).Sub(epoch); wait != left {
			t.Errorf("asked to wait %s, want %s", wait, left)
		}
		both[0].clock.Advance(limit.MonthEnd(epoch).Sub(epoch))
		check.Equal(t, "next month", both[1].look(desk, card.number, "").Status, ping.Active)
	}, with(func(p *ping.Policy) { p.Quota = 100 }))
}

// A customer's own quota counts in the place of the installation's, for what is spent already
// too: in this process at once, in others when they look. Taken back, the other holds again.
func TestOwnQuota(t *testing.T) {
	twice(t, func(t *testing.T, both [2]*process) {
		here, there := both[0], both[1]
		card := here.issue(desk, 100)
		// ask counts how many of n checks are answered, by turns in both processes.
		ask := func(who ping.Caller, n int, in ...*process) (answered int) {
			for i := range n {
				_, err := in[i%len(in)].Ping(t.Context(), asking(who, "scrip", card.number, ""))
				if err == nil {
					answered++
				} else {
					check.Code(t, "beyond", err, fault.QuotaExceeded)
				}
			}
			return answered
		}
		set := func(checks *int64) quota.Quota {
			t.Helper()
			after, err := here.Quotas.Change(t.Context(), quota.Change{Book: desk.Book, Checks: checks, Actor: "op/1"})
			check.OK(t, err)
			return after
		}
		check.Equal(t, "the installation's", ask(desk, 6, here, there), 6)
		check.Equal(t, "below what is spent", set(new(int64(4))), quota.Quota{Book: desk.Book, Checks: 4, Bounded: true, Own: true, Period: "2026-11",
			EndsAt: limit.MonthEnd(epoch), Used: 6})
		check.Equal(t, "here at once", ask(desk, 3, here), 0)
		check.OK(t, there.Refresh(t.Context()))
		check.Equal(t, "there when it looked", ask(desk, 3, there), 0)
		check.Equal(t, "somebody else", ask(shop, 8, here, there), 8)
		set(new(int64(8)))
		check.Equal(t, "more", ask(desk, 5, here), 2)
		check.Equal(t, "none at all", set(new(int64(0))).Checks, int64(0))
		check.Equal(t, "none", ask(desk, 2, here), 0)
		check.Equal(t, "the installation's again", set(nil), quota.Quota{Book: desk.Book, Checks: 10, Bounded: true, Period: "2026-11",
			EndsAt: limit.MonthEnd(epoch), Used: 8})
		check.OK(t, there.Refresh(t.Context()))
		check.Equal(t, "up to it", ask(desk, 5, here, there), 2)
		check.Equal(t, "used", here.used(desk), int64(10))

		third := join(t, here.DB, here.clock, here.clocks, with(func(p *ping.Policy) { p.Quota = 0 }))
		check.Equal(t, "without a bound", ask(desk, 3, third), 3)
		bounded, err := third.Quotas.Change(t.Context(), quota.Change{Book: desk.Book, Checks: new(int64(11)), Actor: "op/1"})
		check.OK(t, err)
		check.Equal(t, "a bound of its own", bounded.Used, int64(10))
		check.Equal(t, "within it", ask(desk, 3, third), 1)
	}, with(func(p *ping.Policy) { p.Quota = 10 }))
}

// Only answers cost a unit: not what is refused, not what a network fails to answer, not
// the test realm.
func TestOnlyAnswersCost(t *testing.T) {
	eachEngine(t, func(t *testing.T, db *storage.DB) {
		p := setup(t, db, with(func(p *ping.Policy) { p.Quota = 1000 }), adapters(t))
		p.configure("flaky", "down")
		card := p.issue(developer, 100)
		p.look(developer, card.number, "")
		_, err := p.Ping(t.Context(), asking(desk, "scrip", "XX", ""))
		check.Code(t, "no number", err, fault.CardInvalid)
		_, err = p.Ping(t.Context(), asking(desk, "flaky", "12345678", ""))
		check.Code(t, "no network", err, fault.Unavailable)
		c := asking(desk, "scrip", unknownNumber(1), "")
		c.Also = func(*ping.Result) ([]storage.Effect, error) { return nil, fault.New(fault.InvalidState, "no") }
		_, err = p.Ping(t.Context(), c)
		check.Code(t, "nothing to write", err, fault.InvalidState)
		check.Equal(t, "used", p.used(desk), int64(0))
		p.look(desk, unknownNumber(1), "")
		check.Equal(t, "used by one answer", p.used(desk), int64(1))
		check.Equal(t, "used in the test realm", p.used(developer), int64(0))
	})
}

// answered is a check whose answer is kept under a key.
func answered(c ping.Check, key string) ping.Check {
	c.Also = func(r *ping.Result) ([]storage.Effect, error) {
		e := idempotency.Entry{Scope: idempotency.Scope{Book: string(c.Caller.Book), Name: "ping", Key: key}, Fingerprint: make([]byte, 32),
			Answer: idempotency.Answer{Status: 200, Body: r.AppendJSON(nil)}, At: epoch, TTL: time.Hour}
		return []storage.Effect{e.Effect()}, nil
	}
	return c
}

// Of many checks under one key, at once and in two processes, one is made: there is one
// row, one event and one unit spent. The others fail with the key that exists, and cost
// nobody else anything.
func TestOneCheckUnderOneKey(t *testing.T) {
	twice(t, func(t *testing.T, both [2]*process) {
		card := both[0].issue(desk, 100)
		var made, repeated atomic.Int64
		crowd.AtOnce(120, func(i int) {
			c := asking(desk, "scrip", card.number, "")
			key := "one"
			if i%2 == 0 {
				key = fmt.Sprint("its own ", i)
			}
			switch r, err := both[i/2%2].Ping(context.Background(), answered(c, key)); {
			case err == nil && key == "one":
				made.Add(1)
			case err == nil:
				check.Equal(t, "its own", r.Status, ping.Active)
			case key == "one" && storage.IsUnique(err):
				repeated.Add(1)
			default:
				t.Error(err)
			}
		})
		check.Equal(t, "made", made.Load(), int64(1))
		check.Equal(t, "repeated", repeated.Load(), int64(59))
		check.Equal(t, "kept", both[0].pings(desk.Book), 61)
		check.Equal(t, "events", len(both[0].events(desk.Book, "ping.completed")), 61)
		check.Equal(t, "used", both[0].used(desk), int64(61))
		answer, found, err := idempotency.Find(t.Context(), both[1].DB, idempotency.Scope{Book: string(desk.Book), Name: "ping", Key: "one"}, make([]byte, 32))
		check.OK(t, err)
		list, err := both[0].List(t.Context(), desk.Book, "", ping.MaxLimit)
		check.OK(t, err)
		names := 0
		for _, r := range list {
			if strings.Contains(string(answer.Body), string(r.ID)) {
				names++
			}
		}
		check.Equal(t, "the answer that is kept is one that was made", found && names == 1, true)
	}, with(func(p *ping.Policy) { p.Quota = 1000 }))
}

// What a caller wants written with its check is written with it or not at all: a panic or
// an error refuses that check alone.
func TestAlsoFailsAlone(t *testing.T) {
	eachEngine(t, func(t *testing.T, db *storage.DB) {
		p := setup(t, db)
		var good, bad atomic.Int64
		crowd.AtOnce(90, func(i int) {
			c := asking(desk, "scrip", unknownNumber(i), "")
			c.Also = func(r *ping.Result) ([]storage.Effect, error) {
				switch i % 3 {
				case 0:
					return nil, errors.New("cannot")
				case 1:
					panic("cannot either")
				}
				return answered(c, string(r.ID)).Also(r)
			}
			if _, err := p.Ping(context.Background(), c); err == nil {
				good.Add(1)
			} else {
				bad.Add(1)
			}
		})
		check.Equal(t, "good and bad", [2]int64{good.Load(), bad.Load()}, [2]int64{30, 60})
		check.Equal(t, "kept", p.pings(desk.Book), 30)
		check.Equal(t, "events", len(p.events(desk.Book, "ping.completed")), 30)
	})
}

// After Close nothing is accepted, and what was accepted before has its answer.
func TestClose(t *testing.T) {
	p := setup(t, openSQLite(t))
	var answers crowd.Tally
	crowd.AtOnce(50, func(i int) {
		if i == 25 {
			p.Close()
			return
		}
		_, err := p.Ping(context.Background(), asking(desk, "scrip", unknownNumber(i), ""))
		answers.Add(err)
	})
	check.Equal(t, "kept", p.pings(desk.Book), answers.Codes[""])
	check.Equal(t, "all", answers.Codes[""]+answers.Codes[fault.Unavailable], 49)
	_, err := p.Ping(t.Context(), asking(desk, "scrip", unknownNumber(99), ""))
	check.Code(t, "closed", err, fault.Unavailable)
}

// A check is found in its own book with all that was said of it, listed newest first, and
// labelled.
func TestRecords(t *testing.T) {
	eachEngine(t, func(t *testing.T, db *storage.DB) {
		ctx := t.Context()
		var marks []string
		engine := &scorer{score: fraud.Score{Hundredths: 31, Model: "gbt-1", Decision: "fdec_one", Signals: []fraud.Signal{
			{Name: "dormant_card", Of: "card", Value: 400, Threshold: 180, Window: 24 * time.Hour, Points: 21, Telling: true},
			{Name: "pan_range_pattern", Of: "range of numbers", Value: -3, Points: 10}}}}
		p := setup(t, db, func(d *ping.Deps) {
			d.Fraud = engine
			d.Mark = func(book ledger.BookID, decision string, label *fraud.Label) storage.Effect {
				text := string(book) + " " + decision
				if label != nil {
					text += fmt.Sprint(" ", label.Fraud)
				}
				marks = append(marks, text)
				return storage.Effect{}
			}
		})
		card := p.issue(desk, 5000)
		var made []ping.Result
		for range 5 {
			made = append(made, p.look(desk, card.number, ""))
		}
		found, err := p.Find(ctx, desk.Book, made[0].ID)
		check.OK(t, err)
		check.Equal(t, "result", found.Result.AppendJSON(nil), made[0].AppendJSON(nil))
		check.Equal(t, "score", found.Score, engine.score)
		check.Equal(t, "who", []string{string(found.Book), string(found.Realm), found.Credential, found.Address}, []string{"bk_desk", "live", "key_desk", "192.0.2.1"})
		if !strings.HasPrefix(found.Card, "card_") || len(found.Card) != 37 || !found.At.Equal(epoch) || !found.AsOf.Equal(epoch) {
			t.Errorf("card %q at %s as of %s", found.Card, found.At, found.AsOf)
		}
		_, err = p.Find(ctx, shop.Book, made[0].ID)
		check.Code(t, "another book's", err, fault.NotFound)
		_, err = p.Find(ctx, desk.Book, "ping_x")
		check.Code(t, "no id", err, fault.NotFound)

		var ids []ping.ID
		before := ping.ID("")
		for {
			page, err := p.List(ctx, desk.Book, before, 2)
			check.OK(t, err)
			for _, r := range page {
				ids = append([]ping.ID{r.ID}, ids...)
				before = r.ID
			}
			if len(page) < 2 {
				break
			}
		}
		for i, r := range made {
			check.Equal(t, "order", ids[i], r.ID)
		}
		_, err = p.List(ctx, desk.Book, "x", 2)
		check.Code(t, "cursor", err, fault.InvalidCursor)

		check.OK(t, p.Label(ctx, ping.LabelRequest{Book: desk.Book, Ping: made[0].ID, Label: ping.LabelFraud, Actor: "operator/1"}))
		found, err = p.Find(ctx, desk.Book, made[0].ID)
		check.OK(t, err)
		check.Equal(t, "label", found.Label, ping.LabelFraud)
		e := engine.events[0]
		e.Before, e.After, e.Block, e.Hundred, e.Range = fraud.Hash{}, fraud.Hash{}, fraud.Hash{}, fraud.Hash{}, fraud.Hash{}
		check.Equal(t, "the engine was told", engine.labels, []labelled{{e, fraud.Label{At: epoch, Fraud: true}}}, cmp.AllowUnexported(labelled{}), cmp.Comparer(func(a, b netip.Addr) bool { return a == b }))
		check.OK(t, p.Label(ctx, ping.LabelRequest{Book: desk.Book, Ping: made[0].ID, Label: ping.Unlabelled, Actor: "operator/1"}))
		check.Equal(t, "the decision was told", marks, []string{string(desk.Book) + " fdec_one true", string(desk.Book) + " fdec_one"})
		check.Code(t, "another book's", p.Label(ctx, ping.LabelRequest{Book: shop.Book, Ping: made[0].ID, Label: ping.LabelFraud, Actor: "operator/1"}), fault.NotFound)
		check.Code(t, "no label", p.Label(ctx, ping.LabelRequest{Book: desk.Book, Ping: made[0].ID, Label: "odd", Actor: "operator/1"}), fault.InvalidRequest)
		check.Code(t, "unknown", p.Label(ctx, ping.LabelRequest{Book: desk.Book, Ping: ping.ID(id.New("ping")), Label: ping.LabelFraud, Actor: "operator/1"}), fault.NotFound)
	})
}

// Old checks and what was counted go; what is young, a lock and a suspension stay.
func TestPurge(t *testing.T) {
	eachEngine(t, func(t *testing.T, db *storage.DB) {
		ctx := t.Context()
		p := setup(t, db, with(strict), with(func(p *ping.Policy) { p.LockFor = 30 * 24 * time.Hour; p.Retention = 10 * 24 * time.Hour }))
		card, other := p.issue(shop, 100), p.issue(shop, 100)
		for i := range 5 {
			p.look(desk, card.number, wrongKey(i))
		}
		p.look(desk, other.number, "KEY_wrong")
		for i := range 60 {
			p.look(stranger(1), unknownNumber(i), "")
		}
		for i := range 30 {
			p.look(stranger(2), unknownNumber(i), "")
		}
		_, err := p.Probes.Tell(ctx)
		check.OK(t, err)
		p.clock.Advance(9 * 24 * time.Hour)
		check.OK(t, p.Purge(ctx))
		check.Equal(t, "within the retention", p.pings(desk.Book), 96)
		p.clock.Advance(2 * 24 * time.Hour)
		young := p.look(desk, unknownNumber(1), "")
		check.OK(t, p.Purge(ctx))
		check.Equal(t, "after it", p.pings(desk.Book), 1)
		_, err = p.Find(ctx, desk.Book, young.ID)
		check.OK(t, err)
		check.Equal(t, "the lock", p.look(shop, card.number, card.key).Status, ping.Invalid)
		_, err = p.Ping(ctx, asking(stranger(1), "scrip", card.number, ""))
		check.Code(t, "the suspension", err, fault.PermissionDenied)
		p.clock.Advance(60 * 24 * time.Hour)
		check.OK(t, p.Purge(ctx))
		left := map[string]int{}
		tables, err := storage.Tables(ctx, db)
		check.OK(t, err)
		for _, table := range tables {
			check.OK(t, table.Each(ctx, db, func([]any) error { left[table.Name]++; return nil }))
		}
		check.Equal(t, "left", []int{left["pings"], left["ping_cards"], left["ping_probes"], left["ping_callers"]}, []int{0, 0, 0, 1})
	})
}

// Nothing that is stored, and nothing that a fault says, holds a number, a PIN or a key,
// whatever was asked.
func TestNoSecretIsStored(t *testing.T) {
	eachEngine(t, func(t *testing.T, db *storage.DB) {
		ctx := t.Context()
		p := setup(t, db, with(strict), adapters(t))
		p.configure("flaky", "down")
		card := p.issue(shop, 100)
		secrets := []string{card.number, card.key, "6006491300000011", "20190411", "GC9900000000004711"}
		_, err := p.AddHoney(ctx, ping.NewHoney{Realm: desk.Realm, Network: "scrip", Number: mustSecret(secrets[4]), Actor: "operator/1"})
		check.OK(t, err)
		for _, c := range []ping.Check{asking(desk, "scrip", card.number, card.key), asking(desk, "scrip", card.number, "20190411"),
			asking(developer, "visa_gift", "6006491300000011", "20190411"), asking(developer, "visa_gift", "6006491300000055", "20190411"),
			asking(desk, "flaky", "20190411", "20190411"), asking(desk, "scrip", "6006491300000011", ""), asking(desk, "scrip", secrets[4], "20190411")} {
			if _, err := p.Ping(ctx, c); err != nil {
				noSecret(t, "fault", err.Error(), secrets)
			}
		}
		_, err = p.Probes.Tell(ctx)
		check.OK(t, err)
		tables, err := storage.Tables(ctx, db)
		check.OK(t, err)
		for _, table := range tables {
			check.OK(t, table.Each(ctx, db, func(row []any) error {
				for _, value := range row {
					if b, ok := value.([]byte); ok {
						value = string(b)
					}
					noSecret(t, table.Name, fmt.Sprint(value), secrets)
				}
				return nil
			}))
		}
	})
}

func noSecret(t *testing.T, where, text string, secrets []string) {
	t.Helper()
	for _, s := range secrets {
		if strings.Contains(text, s) {
			t.Errorf("%s holds a secret: %q", where, text)
		}
	}
}

// What goes with a change is told what the change makes, and where it cannot be written
// there is no change, in the database or in memory.
func TestAlsoUndoes(t *testing.T) {
	eachEngine(t, func(t *testing.T, db *storage.DB) {
		p := setup(t, db, adapters(t))
		ctx, undo := t.Context(), errors.New("undo")
		var told any
		made := p.look(desk, unknownNumber(1), "")
		honey, err := p.AddHoney(ctx, ping.NewHoney{Realm: desk.Realm, Network: "scrip", Number: mustSecret("GC0000000000000017"), Actor: "operator/1"})
		check.OK(t, err)
		_, err = p.AddNetwork(ctx, network("acme", "answer"))
		check.OK(t, err)
		p.look(shop, "GC0000000000000017", "")
		for about, do := range map[string]func() error{
			"lift": func() error {
				return p.Lift(ctx, ping.LiftRequest{Book: shop.Book, Caller: shop.Credential, Actor: "operator/1",
					Also: func(s ping.Suspension) ([]storage.Effect, error) { told = s.Credential; return nil, undo }})
			},
			"add network": func() error {
				n := network("other", "answer")
				n.Also = func(c ping.Configured) ([]storage.Effect, error) { told = c.ID; return nil, undo }
				_, err := p.AddNetwork(ctx, n)
				return err
			},
			"remove network": func() error {
				return p.RemoveNetwork(ctx, ping.NetworkRemoval{Realm: realm.Live, ID: "acme", Actor: "operator/1",
					Also: func(c ping.Configured) ([]storage.Effect, error) { told = c.ID; return nil, undo }})
			},
			"add honey": func() error {
				_, err := p.AddHoney(ctx, ping.NewHoney{Realm: desk.Realm, Network: "scrip", Number: mustSecret("GC0000000000000025"), Actor: "operator/1",
					Also: func(h ping.Honey) ([]storage.Effect, error) { told = h.Last4; return nil, undo }})
				return err
			},
			"remove honey": func() error {
				return p.RemoveHoney(ctx, ping.HoneyRemoval{ID: honey.ID, Actor: "operator/1",
					Also: func(h ping.Honey) ([]storage.Effect, error) { told = string(h.ID); return nil, undo }})
			},
			"label": func() error {
				return p.Label(ctx, ping.LabelRequest{Book: desk.Book, Ping: made.ID, Label: ping.LabelFraud, Actor: "operator/1",
					Also: func(r ping.Record) ([]storage.Effect, error) { told = string(r.Label); return nil, undo }})
			},
		} {
			told = ""
			if err := do(); !errors.Is(err, undo) || told == "" {
				t.Errorf("%s: %v, told %q", about, err, told)
			}
		}
		networks, err := p.ListNetworks(ctx, realm.Live)
		check.OK(t, err)
		check.Equal(t, "networks", len(networks), 1)
		check.Equal(t, "offered", networks[0].State, ping.Operational)
		numbers, err := p.ListHoney(ctx, "", 10)
		check.OK(t, err)
		check.Equal(t, "honey numbers", numbers, []ping.Honey{honey})
		out, err := p.Suspensions(ctx, ping.Suspension{}, 10)
		check.OK(t, err)
		check.Equal(t, "suspensions", len(out), 1)
		_, err = p.Ping(ctx, asking(shop, "scrip", unknownNumber(2), ""))
		check.Code(t, "the suspended", err, fault.PermissionDenied)
		found, err := p.Find(ctx, desk.Book, made.ID)
		check.OK(t, err)
		check.Equal(t, "label", found.Label, ping.Unlabelled)
	})
}

// A run, of which there is one an hour, takes all that an hour of visitors leaves: what is to
// be forgotten is, however many come.
func TestPurgeKeepsPace(t *testing.T) {
	p := setup(t, openSQLite(t))
	visitors := make([]string, 101_000)
	for i := range visitors {
		visitors[i] = fmt.Sprint("portal_1/", i)
	}
	check.OK(t, p.AddCallers(t.Context(), visitors...))
	check.OK(t, p.Purge(t.Context()))
	left := 0
	tables, err := storage.Tables(t.Context(), p.DB)
	check.OK(t, err)
	for _, table := range tables {
		if table.Name == "ping_callers" {
			check.OK(t, table.Each(t.Context(), p.DB, func([]any) error { left++; return nil }))
		}
	}
	check.Equal(t, "left", left, 0)
}

// What is about to be forgotten and changes at the same time stays: a caller of whom nothing
// was counted for hours is suspended, and stays so in the database.
func TestPurgeSparesWhatChanges(t *testing.T) {
	eachEngine(t, func(t *testing.T, db *storage.DB) {
		p := setup(t, db)
		_, err := p.AddHoney(t.Context(), ping.NewHoney{Realm: realm.Live, Network: "scrip", Number: mustSecret(unknownNumber(7)), Actor: "operator/1"})
		check.OK(t, err)
		check.OK(t, p.AddCallers(t.Context(), desk.Credential))
		asked, purged, once := asking(desk, "scrip", unknownNumber(7), ""), make(chan error, 1), sync.Once{}
		asked.Also = func(*ping.Result) ([]storage.Effect, error) {
			once.Do(func() {
				go func() { purged <- p.Purge(context.Background()) }()
				for range 300 { // meanwhile it comes to the caller, and waits
					if _, err := p.Suspensions(context.Background(), ping.Suspension{}, 1); err != nil {
						t.Error(err)
					}
				}
			})
			return nil, nil
		}
		_, err = p.Ping(t.Context(), asked)
		check.OK(t, err)
		check.OK(t, <-purged)
		all, err := p.Suspensions(t.Context(), ping.Suspension{}, 10)
		check.OK(t, err)
		check.Equal(t, "suspended", len(all), 1)
	})
}
