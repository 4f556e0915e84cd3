package office_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/fraud"
	"github.com/scripcards/scrip/internal/fraud/notice"
	"github.com/scripcards/scrip/internal/fraud/office"
	"github.com/scripcards/scrip/internal/fraud/pseudonym"
	"github.com/scripcards/scrip/internal/fraud/rulebook"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/platform/vault"
	"github.com/scripcards/scrip/internal/testkit"
)

// issuer makes cards that pay, and tells of them in transactions of its own.
type issuer struct {
	t     testing.TB
	db    *storage.DB
	vault *vault.Vault
}

func newIssuer(t testing.TB, db *storage.DB) issuer {
	t.Helper()
	master, _, err := vault.LoadMasterKey(t.TempDir(), "")
	check(t, err)
	keys, err := vault.Open(t.Context(), db, master)
	check(t, err)
	return issuer{t, db, keys}
}

func (i issuer) card(n int) notice.Card {
	number, err := pan.ParseAlnum(fmt.Sprintf("GC%016d", n))
	check(i.t, err)
	return notice.Card{Book: "bk_1", Realm: realm.Live, Number: number, Payer: fraud.HashOf("bk_1", fmt.Sprint(n))}
}

func (i issuer) tell(at time.Duration, all ...notice.Notice) {
	i.t.Helper()
	check(i.t, i.db.Write(i.t.Context(), func(ctx context.Context, tx *storage.Tx) error {
		for _, n := range all {
			if err := tx.Apply(ctx, []storage.Effect{n.Effect(noon.Add(at))}); err != nil {
				return err
			}
		}
		return nil
	}))
}

func (i issuer) activate(at time.Duration, from, to int) {
	i.t.Helper()
	for n := from; n < to; n++ {
		i.tell(at, notice.Activated(i.vault, i.card(n)))
	}
}

func (i issuer) reload(at time.Duration, n int) {
	i.t.Helper()
	i.tell(at, notice.Reloaded(i.vault, i.card(n)))
}

func (i issuer) waiting() int {
	i.t.Helper()
	found, err := notice.List(i.t.Context(), i.db, 100)
	check(i.t, err)
	return len(found)
}

// asks are a check of a card and a payment with it, at some time.
func (i issuer) asks(at time.Duration, n int) []fraud.Event {
	c, check := i.card(n), ask(n, "192.0.2.7")
	names := pseudonym.Names{Vault: i.vault, Realm: c.Realm, Network: pseudonym.Own}
	check.At, check.Card = noon.Add(at), names.Card(c.Number.Reveal())
	names.Next(&check, c.Number.Reveal())
	names.Around(&check, c.Number.Reveal())
	payment := pay(n)
	payment.At, payment.Realm, payment.Card = check.At, c.Realm, c.Payer
	return []fraud.Event{check, payment}
}

// watch has rules of the operator's score what is known of cards: a score for each answer.
func (p *process) watch() {
	p.t.Helper()
	for score, when := range map[int]string{
		31: `card.activated == 1 or payment.card.activated == 1`,
		32: `card.hours_since_activation < 2 or payment.card.hours_since_activation < 2`,
		33: `card.hours_since_reload < 2 or payment.card.hours_since_reload < 2`,
		34: `card.asks_since == 1 or payment.card.asks_since == 1`,
		35: `ten_numbers.fading_activations_1d > 10.5`, // each of ten counts once
	} {
		ctx := p.t.Context()
		r, err := p.WriteRule(ctx, office.Writing{Actor: "op_1", Rule: rulebook.Rule{Name: when[:20], When: when, Action: rulebook.Review, AtLeast: score}})
		check(p.t, err)
		_, err = p.TestRule(ctx, r.ID)
		check(p.t, err)
		_, err = p.SwitchRule(ctx, office.Switching{Rule: r.ID, On: true, Actor: "op_1"})
		check(p.t, err)
	}
	check(p.t, p.Refresh(p.t.Context()))
}

// knows compares what processes make of a card's next check and payment with what its
// rules say.
func (i issuer) knows(at time.Duration, n, want int, all ...*process) {
	i.t.Helper()
	for _, e := range i.asks(at, n) {
		for k, p := range all {
			if got := p.Score(e).Hundredths; got != want {
				i.t.Errorf("process %d: %s of card %d scores %d, want %d", k+1, e.Kind, n, got, want)
			}
		}
	}
}

// Activations and reloads are heard of once, however often they are told and by however many processes, and what is known of cards survives: from the log alone and from a snapshot with the log behind it.
func TestHear(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		ctx := t.Context()
		one, two := start(t, db), start(t, db)
		one.watch()
		check(t, two.Refresh(ctx))
		i := newIssuer(t, db)
		i.activate(0, 0, 10)
		var both sync.WaitGroup
		for _, p := range []*process{one, two} {
			both.Go(func() {
				if err := p.Hear(ctx); err != nil {
					t.Error(err)
				}
			})
		}
		both.Wait()
		check(t, one.Follow(ctx))
		check(t, two.Follow(ctx))
		if n := i.waiting(); n != 0 {
			t.Errorf("%d notices wait", n)
		}
		i.knows(time.Minute, 3, 32, one, two)
		i.knows(time.Minute, 99, 0, one, two) // nobody told of it
		i.knows(2*time.Minute, 3, 34, one, two)
		check(t, one.Flush(ctx)) // what two scored is what one did
		fromLog := start(t, db)
		i.reload(3*time.Hour, 4)
		i.reload(3*time.Hour, 4)
		check(t, one.Hear(ctx))
		check(t, one.Snapshot(ctx))
		i.activate(4*time.Hour, 500, 501)
		check(t, one.Hear(ctx))
		fromSnapshot := start(t, db)
		check(t, fromLog.Follow(ctx))
		for _, c := range []struct{ card, want int }{{3, 31}, {4, 33}, {5, 31}, {500, 32}, {99, 0}} {
			i.knows(4*time.Hour, c.card, c.want, one, fromSnapshot, fromLog)
		}
	})
}

// What was told when nobody heard is heard by the next process; what could not be logged is told again, and counts once.
func TestNoticesWait(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		ctx := t.Context()
		i := newIssuer(t, db)
		i.activate(0, 0, 10)
		one := start(t, db)
		one.watch()
		ended, end := context.WithCancel(ctx)
		end()
		if err := one.Hear(ended); err == nil || i.waiting() != 10 {
			t.Fatalf("%d wait, %v", i.waiting(), err)
		}
		check(t, one.Hear(ctx))
		i.knows(time.Minute, 7, 32, one)
		check(t, one.Hear(ctx))
		i.activate(0, 0, 10) // once more: nothing of it is new
		check(t, one.Hear(ctx))
		i.knows(2*time.Minute, 7, 34, one)
		if n := i.waiting(); n != 0 {
			t.Errorf("%d notices wait", n)
		}
		for n, want := range map[int]bool{7: true, 99: false} {
			score := one.Score(i.asks(30*time.Minute, n)[0])
			check(t, one.Flush(ctx))
			d, err := one.Find(ctx, office.DecisionID(score.Decision))
			check(t, err)
			life, ok := d.Life()
			if ok != want || ok && (life.SinceActivation != 0.5 || life.SinceReload == life.SinceReload || life.Asks != 2) {
				t.Errorf("decided on card %d: %+v, %t", n, life, ok)
			}
		}
	})
}
