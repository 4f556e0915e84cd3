package ping_test

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/fraud"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/ping"
	"github.com/scripcards/scrip/internal/platform/limit"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/testkit/check"
	"github.com/scripcards/scrip/internal/testkit/crowd"
	"github.com/scripcards/scrip/internal/webhook"
)

// stranger is one of many callers, each with an address of its own.
func stranger(i int) ping.Caller {
	return ping.Caller{Book: desk.Book, Realm: realm.Live, Credential: fmt.Sprintf("key_%d", i), Address: address(i)}
}

func wrongKey(i int) string { return fmt.Sprintf("KEY_%032d", i) }

// Guessing a card's PIN from many addresses, through two processes and all at once, locks
// the card: whoever has the right one is told nothing either, until the lock ends.
func TestGuessedByMany(t *testing.T) {
	twice(t, func(t *testing.T, both [2]*process) {
		card := both[0].issue(shop, 2500)
		var told atomic.Int64
		crowd.AtOnce(200, func(i int) {
			pin := wrongKey(i)
			if r := both[i%2].look(stranger(i), card.number, pin); r.Status != ping.Invalid {
				told.Add(1)
			}
		})
		check.Equal(t, "told", told.Load(), int64(0))
		for i, p := range both {
			if r := p.look(shop, card.number, card.key); r.Status != ping.Invalid {
				t.Errorf("process %d: a card with 200 wrong PINs is %s to who has the right one", i, r.Status)
			}
		}
		if r := both[0].look(shop, card.number, ""); r.Status != ping.Active {
			t.Errorf("the owner's look without a PIN: %s", r.Status)
		}
		both[0].clock.Advance(25 * time.Hour)
		if r := both[1].look(shop, card.number, card.key); r.Status != ping.Active {
			t.Errorf("after the lock's end: %s", r.Status)
		}
	})
}

// The fifth wrong PIN within an hour locks a card, and no fewer: the right one is answered
// like a wrong one from then on.
func TestFifthWrongPINLocks(t *testing.T) {
	eachEngine(t, func(t *testing.T, db *storage.DB) {
		p := setup(t, db)
		card := p.issue(shop, 2500)
		for i := range 4 {
			p.look(desk, card.number, wrongKey(i))
		}
		if r := p.look(desk, card.number, card.key); r.Status != ping.Active {
			t.Fatalf("after four wrong PINs: %s", r.Status)
		}
		p.clock.Advance(50 * time.Minute)
		check.OK(t, p.Purge(t.Context())) // forgets nothing of late
		p.look(desk, card.number, wrongKey(4))
		if r := p.look(desk, card.number, card.key); r.Status != ping.Invalid {
			t.Errorf("after five wrong PINs in 50 minutes: %s", r.Status)
		}
		slow := p.issue(shop, 2500)
		for i := range 12 { // never five within an hour
			p.look(desk, slow.number, wrongKey(i))
			p.clock.Advance(16 * time.Minute)
		}
		if r := p.look(desk, slow.number, slow.key); r.Status != ping.Active {
			t.Errorf("after twelve wrong PINs in three hours: %s", r.Status)
		}
	})
}

// An operator ends a lock before its time: the right PIN is answered again, in every process,
// and five wrong ones lock the card anew. What is not locked is not found.
func TestUnlock(t *testing.T) {
	twice(t, func(t *testing.T, both [2]*process) {
		p := both[0]
		card := p.issue(shop, 2500)
		unlock := func(number string) (ping.Unlocked, error) {
			return p.Unlock(t.Context(), ping.Unlocking{Realm: realm.Live, Network: "scrip", Number: pan.NewSecret(number), Reason: "mistyped", Actor: "olga"})
		}
		for range 2 {
			for i := range 5 {
				p.look(desk, card.number, wrongKey(i))
			}
			if r := both[1].look(desk, card.number, card.key); r.Status != ping.Invalid {
				t.Fatalf("after five wrong PINs: %s", r.Status)
			}
			ended, err := unlock(card.number)
			check.OK(t, err)
			if !ended.Until.Equal(p.clock.Now().Add(24*time.Hour)) || !strings.HasPrefix(ended.Card, "card_") {
				t.Errorf("unlocked %+v", ended)
			}
			if r := both[1].look(desk, card.number, card.key); r.Status != ping.Active {
				t.Errorf("unlocked: %s", r.Status)
			}
		}
		for _, number := range []string{card.number, unknownNumber(1)} {
			_, err := unlock(number)
			check.Code(t, "not locked", err, fault.NotFound)
		}
		_, err := unlock("1")
		check.Code(t, "no number of the network's", err, fault.CardInvalid)
	})
}

// strict is a policy that hunts as the default does, without limits of rates.
func strict(p *ping.Policy) { p.Hunt = ping.DefaultPolicy().Hunt }

// A caller who goes through numbers is slowed and then suspended, in every process, with
// an event that operators see; others are not. Lifting lets it start afresh.
func TestEnumeration(t *testing.T) {
	twice(t, func(t *testing.T, both [2]*process) {
		p, card := both[0], both[0].issue(desk, 100)
		var answers crowd.Tally
		for i := range 100 {
			_, err := p.Ping(t.Context(), asking(desk, "scrip", unknownNumber(i), ""))
			answers.Add(err)
		}
		check.Equal(t, "answers", answers.Codes, map[fault.Code]int{"": 60, fault.PermissionDenied: 40})
		check.Equal(t, "kept", p.pings(desk.Book), 60)
		check.OK(t, both[1].Refresh(t.Context()))
		for i, other := range both {
			_, err := other.Ping(t.Context(), asking(desk, "scrip", card.number, ""))
			check.Code(t, fmt.Sprintf("process %d, a card that is there", i), err, fault.PermissionDenied)
		}
		check.Equal(t, "another key", p.look(stranger(1), card.number, "").Status, ping.Active)
		for _, book := range []ledger.BookID{desk.Book, webhook.House(desk.Realm)} {
			check.Equal(t, "events of "+string(book), p.events(book, "ping.caller_suspended"),
				[]string{`ping.caller_suspended {"book_id":"` + string(desk.Book) + `","credential":"key_desk","caller":"key_desk","reason":"hit_rate","cards":60,"found":0,"network":"scrip"}`})
		}
		all, err := both[1].Suspensions(t.Context(), ping.Suspension{}, 10)
		check.OK(t, err)
		check.Equal(t, "suspensions", all, []ping.Suspension{{Book: desk.Book, Caller: "key_desk", Credential: "key_desk", Realm: realm.Live, Reason: ping.ReasonHitRate, Cards: 60, At: epoch}})

		check.OK(t, both[1].Lift(t.Context(), ping.LiftRequest{Book: desk.Book, Caller: "key_desk", Actor: "operator/1"}))
		check.Code(t, "lifted twice", both[1].Lift(t.Context(), ping.LiftRequest{Book: desk.Book, Caller: "key_desk", Actor: "operator/1"}), fault.NotFound)
		check.OK(t, p.Refresh(t.Context()))
		check.Equal(t, "after the lift", p.look(desk, card.number, "").Status, ping.Active)
		for i := range 58 { // and the card that is there
			p.look(desk, unknownNumber(1000+i), "")
		}
		_, err = both[1].Ping(t.Context(), asking(desk, "scrip", unknownNumber(2000), ""))
		check.Code(t, "sixtieth of another hour's search", err, "")
	}, with(strict))
}

// Behind a portal a search suspends its visitor's address, for a day, and nobody else.
func TestVisitorsAreSuspendedForADay(t *testing.T) {
	twice(t, func(t *testing.T, both [2]*process) {
		visitor, other := stranger(1), stranger(2)
		visitor.Credential, other.Credential = "portal_1", "portal_1"
		ask := func(c ping.Caller, i int) error {
			_, err := both[0].Ping(t.Context(), asking(c, "scrip", unknownNumber(i), ""))
			return err
		}
		for i := range 60 {
			check.OK(t, ask(visitor, i))
		}
		check.Code(t, "the visitor", ask(visitor, 60), fault.PermissionDenied)
		check.Code(t, "another", ask(other, 61), "")
		both[0].clock.Advance(23 * time.Hour)
		check.OK(t, both[1].Purge(t.Context()))
		check.OK(t, both[0].Refresh(t.Context()))
		check.Code(t, "within the day", ask(visitor, 62), fault.PermissionDenied)
		both[0].clock.Advance(2 * time.Hour)
		check.OK(t, both[1].Purge(t.Context()))
		check.OK(t, both[0].Refresh(t.Context()))
		check.Code(t, "after it", ask(visitor, 63), "")
	}, with(strict))
}

// Who is let back is free in every process, also where what is over is deleted right then.
func TestLiftedWhilePurged(t *testing.T) {
	twice(t, func(t *testing.T, both [2]*process) {
		thief := stranger(1)
		for i := range 60 {
			both[0].look(thief, unknownNumber(i), "")
		}
		check.OK(t, both[1].Refresh(t.Context()))
		both[0].clock.Advance(3 * time.Hour)
		check.OK(t, both[0].Lift(t.Context(), ping.LiftRequest{Book: thief.Book, Caller: thief.Credential, Actor: "operator/1"}))
		check.OK(t, both[0].Purge(t.Context()))
		check.OK(t, both[1].Refresh(t.Context()))
		_, err := both[1].Ping(t.Context(), asking(thief, "scrip", unknownNumber(99), ""))
		check.Code(t, "in the other process", err, "")
	}, with(strict))
}

// A search that is spread over many requests at once is suspended within its own crowd:
// the transaction in which it passes the bound refuses those after it.
func TestEnumerationAtOnce(t *testing.T) {
	eachEngine(t, func(t *testing.T, db *storage.DB) {
		p := setup(t, db, with(strict))
		var answers crowd.Tally
		crowd.AtOnce(300, func(i int) {
			_, err := p.Ping(context.Background(), asking(desk, "scrip", unknownNumber(i), ""))
			answers.Add(err)
		})
		check.Equal(t, "answers", answers.Codes, map[fault.Code]int{"": 60, fault.PermissionDenied: 240})
		check.Equal(t, "kept", p.pings(desk.Book), 60)
		check.Equal(t, "events", len(p.events(desk.Book, "ping.caller_suspended")), 1)
	})
}

// A desk that finds what it asks for is never slowed, however much it asks, and asking for
// a card that is there again and again does not make up for what is not found.
func TestHitRate(t *testing.T) {
	eachEngine(t, func(t *testing.T, db *storage.DB) {
		p := setup(t, db, with(strict), with(func(p *ping.Policy) { p.Slowed = []limit.Window{{Limit: 1, Per: time.Hour}} }))
		var cards []issued
		for range 20 {
			cards = append(cards, p.issue(desk, 100))
		}
		for i := range 80 { // a fifth is found
			if i%4 == 0 {
				p.look(desk, cards[i/4].number, "")
			}
			p.look(desk, unknownNumber(i), "")
		}
		thief := stranger(1)
		var answers crowd.Tally
		for i := range 40 {
			p.look(thief, cards[0].number, "")
			_, err := p.Ping(t.Context(), asking(thief, "scrip", unknownNumber(i), ""))
			answers.Add(err)
			if err != nil {
				break
			}
		}
		check.Equal(t, "before it was slowed", answers.Codes, map[fault.Code]int{"": 29, fault.RateLimited: 1})
	})
}

// A slowed caller may go on at a lower rate, and is free when its hour is over.
func TestSlowed(t *testing.T) {
	eachEngine(t, func(t *testing.T, db *storage.DB) {
		p := setup(t, db, with(strict), with(func(p *ping.Policy) { p.Slowed = ping.DefaultPolicy().Slowed }))
		ask := func(i int) error {
			_, err := p.Ping(t.Context(), asking(desk, "scrip", unknownNumber(i), ""))
			return err
		}
		for i := range 30 {
			check.Code(t, "at first", ask(i), "")
		}
		check.Code(t, "slowed, first", ask(30), "")
		check.Code(t, "slowed, second", ask(31), "")
		err := ask(32)
		check.Code(t, "slowed, third", err, fault.RateLimited)
		if wait := fault.From(err).RetryAfter; wait <= 0 || wait > time.Minute {
			t.Errorf("asked to wait %s", wait)
		}
		p.clock.Advance(time.Minute)
		check.Code(t, "a minute later", ask(33), "")
		p.clock.Advance(2 * time.Hour)
		for i := range 29 {
			check.Code(t, "two hours later", ask(100+i), "")
		}
	})
}

// One check of a honey number suspends the caller in every process. It is answered like
// that of any number that is not there.
func TestHoney(t *testing.T) {
	twice(t, func(t *testing.T, both [2]*process) {
		ctx, p := t.Context(), both[0]
		number := unknownNumber(4711)
		h, err := p.AddHoney(ctx, ping.NewHoney{Realm: realm.Live, Network: "scrip", Number: pan.NewSecret(number), Note: "in the old export", Actor: "operator/1"})
		check.OK(t, err)
		_, err = p.AddHoney(ctx, ping.NewHoney{Realm: realm.Live, Network: "scrip", Number: pan.NewSecret(unknownNumber(4712)),
			Note: "was " + unknownNumber(4712)[2:8] + "\u2011" + unknownNumber(4712)[8:], Actor: "operator/1"})
		check.Code(t, "a note with the number", err, fault.InvalidRequest)
		_, err = p.AddHoney(ctx, ping.NewHoney{Realm: realm.Live, Network: "scrip", Number: pan.NewSecret(number), Actor: "operator/1"})
		check.Code(t, "twice", err, fault.AlreadyExists)
		check.OK(t, both[1].Refresh(ctx))
		for i, process := range both {
			thief := stranger(i)
			plain := gist(process.look(stranger(10+i), unknownNumber(5), ""))
			check.Equal(t, "answer", gist(process.look(thief, number, "")), plain)
			_, err := process.Ping(ctx, asking(thief, "scrip", unknownNumber(6), ""))
			check.Code(t, "next", err, fault.PermissionDenied)
		}
		all, err := p.Suspensions(ctx, ping.Suspension{}, 10)
		check.OK(t, err)
		check.Equal(t, "suspended", len(all), 2)
		check.Equal(t, "reason", all[0].Reason, ping.ReasonHoney)
		for _, text := range p.events(desk.Book, "ping.caller_suspended") {
			if !strings.Contains(text, `"reason":"honey"`) || strings.Contains(text, number) {
				t.Errorf("event %s", text)
			}
		}
		list, err := both[1].ListHoney(ctx, "", 10)
		check.OK(t, err)
		check.Equal(t, "listed", list, []ping.Honey{{ID: h.ID, Realm: realm.Live, Network: "scrip", Last4: "4711", Note: "in the old export", CreatedAt: epoch}})
		check.OK(t, both[1].RemoveHoney(ctx, ping.HoneyRemoval{ID: h.ID, Actor: "operator/1"}))
		check.Code(t, "removed twice", p.RemoveHoney(ctx, ping.HoneyRemoval{ID: h.ID, Actor: "operator/1"}), fault.NotFound)
		check.OK(t, p.Refresh(ctx))
		p.look(stranger(50), number, "")
		p.look(stranger(50), number, "")

		card := p.issue(shop, 2500) // that the number is a card's after all makes no difference
		_, err = p.AddHoney(ctx, ping.NewHoney{Realm: realm.Live, Network: "scrip", Number: pan.NewSecret(card.number), Actor: "operator/1"})
		check.OK(t, err)
		check.Equal(t, "a card's", gist(p.look(stranger(60), card.number, card.key)), gist(p.look(stranger(61), unknownNumber(7), card.key)))
		_, err = p.Ping(ctx, asking(stranger(60), "scrip", unknownNumber(8), ""))
		check.Code(t, "after a card's", err, fault.PermissionDenied)
	})
}

// A honey number may be of letters, and its note may say what it likes but the number.
func TestHoneyOfLetters(t *testing.T) {
	p := setup(t, openSQLite(t), adapters(t))
	letters := network("letters", "answer")
	letters.Rules.Letters = true
	_, err := p.AddNetwork(t.Context(), letters)
	check.OK(t, err)
	add := func(number, note string) error {
		_, err := p.AddHoney(t.Context(), ping.NewHoney{Realm: realm.Live, Network: "letters", Number: pan.NewSecret(number), Note: note, Actor: "operator/1"})
		return err
	}
	check.Code(t, "the number itself", add("QUOKKATAIL", "was QUOKKA-TAIL"), fault.InvalidRequest)
	check.Code(t, "in small letters", add("quokkatail", "was quokka-tail"), fault.InvalidRequest)
	check.OK(t, add("QUOKKATAIL", ""))
	check.OK(t, add("QUOKKATAIL7", "in the export of 2017"))
}

// Nobody is suspended in the sandbox, whatever they ask for and however often.
func TestSandboxIsOpen(t *testing.T) {
	p := setup(t, openSQLite(t), func(d *ping.Deps) { d.Policy = ping.DefaultPolicy(); d.Policy.Quota = 1 })
	for i := range 300 {
		_, err := p.Ping(t.Context(), asking(developer, "visa_gift", fmt.Sprintf("60064913%06d99", i), "0000"))
		check.OK(t, err)
		_, err = p.Ping(t.Context(), asking(developer, "visa_gift", "6006491300000088", "9999"))
		check.OK(t, err)
	}
	r, err := p.Ping(t.Context(), asking(developer, "visa_gift", "6006491300000011", "1234"))
	check.OK(t, err)
	check.Equal(t, "the sample", r.Status, ping.Active)
}

// Limits of rates hold for a caller, an address whatever its credentials, and a card
// whoever asks. Visitors of a portal have limits of their own.
func TestLimits(t *testing.T) {
	per := func(n int) []limit.Window { return []limit.Window{{Limit: n, Per: time.Hour}} }
	count := func(p *process, of func(i int) ping.Check) (allowed int) {
		for i := range 20 {
			if _, err := p.Ping(context.Background(), of(i)); err == nil {
				allowed++
			} else if fault.CodeOf(err) != fault.RateLimited || fault.From(err).RetryAfter <= 0 {
				t.Error(err)
			}
		}
		return allowed
	}
	eachEngine(t, func(t *testing.T, db *storage.DB) {
		p := setup(t, db, with(func(p *ping.Policy) { p.Credential, p.Visitor, p.Address, p.Card = per(5), per(3), per(7), per(9) }))
		check.Equal(t, "credential", count(p, func(i int) ping.Check {
			c := desk
			c.Address = address(i)
			return asking(c, "scrip", unknownNumber(i), "")
		}), 5)
		check.Equal(t, "address", count(p, func(i int) ping.Check {
			c := stranger(i)
			c.Address = address(999)
			return asking(c, "scrip", unknownNumber(100+i), "")
		}), 7)
		check.Equal(t, "card", count(p, func(i int) ping.Check { return asking(stranger(1000+i), "scrip", unknownNumber(55), "") }), 9)
		check.Equal(t, "visitors", count(p, func(i int) ping.Check {
			c := stranger(2000 + i)
			c.Credential = "portal_1"
			return asking(c, "scrip", unknownNumber(200+i), "")
		}), 20)
		check.Equal(t, "one visitor", count(p, func(i int) ping.Check {
			c := stranger(3000)
			c.Credential = "portal_1"
			return asking(c, "scrip", unknownNumber(300+i), "")
		}), 3)
	})
}

// The owner of a card is told when somebody else checks it, right or wrong, once an hour;
// not of their own checks, and nobody is told of a number that is not there.
func TestOwnerIsTold(t *testing.T) {
	twice(t, func(t *testing.T, both [2]*process) {
		ctx, p := t.Context(), both[0]
		card := p.issue(shop, 2500)
		found, err := p.cards.FindAnywhere(ctx, mustNumber(t, card.number))
		check.OK(t, err)
		told := func() (n int) {
			for _, process := range both { // one finds what the other checked
				n1, err := process.Probes.Tell(ctx)
				check.OK(t, err)
				n += n1
			}
			return n
		}
		check.Equal(t, "nothing yet", told(), 0)
		p.look(shop, card.number, "")
		p.look(desk, unknownNumber(1), "")
		p.look(developer, card.number, card.key)
		check.Equal(t, "own, unknown and of the other realm", told(), 0)
		p.clock.Advance(time.Minute)
		both[1].look(desk, card.number, "KEY_wrong")
		both[1].look(desk, card.number, card.key)
		check.Equal(t, "two checks", told(), 1)
		check.Equal(t, "again", told(), 0)
		p.clock.Advance(59 * time.Minute)
		p.look(desk, card.number, "")
		check.Equal(t, "within the hour", told(), 0)
		p.clock.Advance(time.Minute)
		p.look(desk, card.number, "")
		check.Equal(t, "an hour later", told(), 1)
		check.Equal(t, "events", p.events(shop.Book, "card.probed"), []string{
			`card.probed {"card_id":"` + string(found.ID) + `","probed_at":"2026-11-21T09:01:00Z"}`,
			`card.probed {"card_id":"` + string(found.ID) + `","probed_at":"2026-11-21T10:01:00Z"}`})
	})
}

// However many cards are checked in a minute, the sweep comes to those that are checked next.
func TestOwnerIsToldInACrowd(t *testing.T) {
	eachEngine(t, func(t *testing.T, db *storage.DB) {
		ctx, p := t.Context(), setup(t, db)
		check.OK(t, p.AddProbes(ctx, 20_500))
		for range 2 {
			_, err := p.Probes.Tell(ctx)
			check.OK(t, err)
		}
		card := p.issue(shop, 2500)
		p.look(desk, card.number, card.key)
		told, err := p.Probes.Tell(ctx)
		check.OK(t, err)
		check.Equal(t, "told", told, 1)
	})
}

func mustNumber(t testing.TB, text string) pan.Number {
	t.Helper()
	n, err := pan.ParseAlnum(text)
	check.OK(t, err)
	return n
}

// scorer notes what it is told and says one score.
type scorer struct {
	events   []fraud.Event
	outcomes []fraud.Outcome
	labels   []labelled
	score    fraud.Score
}

type labelled struct {
	event fraud.Event
	label fraud.Label
}

func (s *scorer) Score(e fraud.Event) fraud.Score { s.events = append(s.events, e); return s.score }

func (s *scorer) Label(e fraud.Event, l fraud.Label) { s.labels = append(s.labels, labelled{e, l}) }

func (s *scorer) Learn(_ fraud.Event, o fraud.Outcome) { s.outcomes = append(s.outcomes, o) }

// The engine sees keyed hashes with their neighbours and learns what came of each check.
func TestEngineLearns(t *testing.T) {
	engine := &scorer{}
	p := setup(t, openSQLite(t), func(d *ping.Deps) { d.Fraud = engine })
	card := p.issue(shop, 2500)
	p.look(desk, card.number, card.key)
	for i := range 5 {
		p.look(desk, card.number, wrongKey(i))
	}
	p.look(desk, card.number, card.key) // locked
	p.look(desk, unknownNumber(5), "KEY_x")
	p.look(desk, unknownNumber(6), "")
	wrong := fraud.Outcome{WrongPIN: true}
	check.Equal(t, "outcomes", engine.outcomes, []fraud.Outcome{{Found: true}, wrong, wrong, wrong, wrong, wrong, wrong, {}, {}})
	e := engine.events
	check.Equal(t, "neighbours", e[7].After == e[8].Card && e[8].Before == e[7].Card && e[7].Block == e[8].Block, true)
	check.Equal(t, "one card", e[0].Card == e[6].Card && e[0].Card != e[7].Card, true)
	portal := desk
	portal.Credential = "portal_1"
	p.look(portal, card.number, "")
	check.Equal(t, "public", []bool{e[0].Public, engine.events[9].Public}, []bool{false, true})
}

// Of what a program says of itself the engine sees keyed hashes, the same for the same words, and nothing where nothing is known; no word of it is in the database.
func TestGuiseIsHashed(t *testing.T) {
	eachEngine(t, func(t *testing.T, db *storage.DB) {
		engine := &scorer{}
		p := setup(t, db, func(d *ping.Deps) { d.Fraud = engine })
		look := func(agent, device string) fraud.Event {
			c := desk
			c.Agent, c.Device = agent, device
			p.look(c, unknownNumber(len(engine.events)), "")
			return engine.events[len(engine.events)-1]
		}
		none, one, same := look("", ""), look("Odd-Agent/7", "Odd-Agent/7 fr"), look("Odd-Agent/7", "Odd-Agent/7 fr")
		other, unnamed := look("Odd-Agent/7", "Odd-Agent/7 de"), look("", "odd-fr")
		check.Equal(t, "nothing known", []fraud.Hash{none.Agent, none.Device}, make([]fraud.Hash, 2))
		check.Equal(t, "the same", []fraud.Hash{same.Agent, same.Device}, []fraud.Hash{one.Agent, one.Device})
		check.Equal(t, "another device of the same name", []bool{other.Agent == one.Agent, other.Device == one.Device}, []bool{true, false})
		check.Equal(t, "one without a name", []bool{unnamed.Agent == fraud.Hash{}, unnamed.Agent == one.Agent, unnamed.Device == fraud.Hash{}}, make([]bool, 3))
		check.Equal(t, "a plain hash", one.Agent == fraud.HashOf("Odd-Agent/7") || one.Agent == one.Device, false)
		check.OK(t, db.Snapshot(t.Context(), func(ctx context.Context, q storage.Queryer) error {
			tables, err := storage.Tables(ctx, q)
			check.OK(t, err)
			for _, table := range tables {
				check.OK(t, table.Each(ctx, q, func(row []any) error {
					for _, value := range row {
						if strings.Contains(fmt.Sprintf("%s", value), "Odd-Agent") {
							t.Errorf("%s has %v", table.Name, value)
						}
					}
					return nil
				}))
			}
			return nil
		}))
	})
}

// Scores and events beside an invalid answer hold nothing that tells whether there is such
// a card; what operators see of the check does.
func TestTellingScores(t *testing.T) {
	quiet := fraud.Signal{Name: "velocity_anomaly", Of: "credential", Value: 41, Threshold: 10, Window: time.Hour, Points: 80}
	telling := fraud.Signal{Name: "pin_guessing", Of: "network", Value: 9, Threshold: 3, Window: time.Hour, Points: 15, Telling: true}
	engine := &scorer{score: fraud.Score{Hundredths: 95, Signals: []fraud.Signal{quiet, telling}}}
	p := setup(t, openSQLite(t), func(d *ping.Deps) { d.Fraud = engine })
	card := p.issue(desk, 2500)
	names := func(s fraud.Score) (all []string) {
		for _, signal := range s.Signals {
			all = append(all, signal.Name)
		}
		return all
	}
	invalid := p.look(desk, unknownNumber(1), "")
	check.Equal(t, "told", names(invalid.Score), []string{"velocity_anomaly"})
	record, err := p.Find(t.Context(), desk.Book, invalid.ID)
	check.OK(t, err)
	check.Equal(t, "kept", record.Score, engine.score)
	check.Equal(t, "event of high risk", p.events(desk.Book, "fraud.high_risk"), []string{`fraud.high_risk {"card_id":"` + record.Card + `","ping_id":"` + string(invalid.ID) +
		`","network":"scrip","fraud_score":0.` + strconv.Itoa(invalid.Score.Hundredths) + `,"fraud_signals":["velocity_anomaly"],"explanation":[` +
		`{"signal":"velocity_anomaly","of":"credential","value":41,"threshold":10,"window_seconds":3600,"points":80}]}`})
	check.Equal(t, "event", p.events(desk.Book, "ping.completed"), []string{"ping.completed " + string(invalid.AppendJSON(nil))})
	if !strings.Contains(string(invalid.AppendJSON(nil)), `"ai_verified":false`) {
		t.Errorf("rules alone are no model: %s", invalid.AppendJSON(nil))
	}
	active := p.look(desk, card.number, "")
	check.Equal(t, "told of a card that is there", active.Score, engine.score)

	engine.score = fraud.Score{Hundredths: 79, Signals: []fraud.Signal{{Name: "velocity_anomaly", Points: 79}}}
	p.look(desk, card.number, "")
	check.Equal(t, "below the bound", len(p.events(desk.Book, "fraud.high_risk")), 2)

	engine.score = fraud.Score{Hundredths: 95, Signals: []fraud.Signal{quiet, telling}, Model: "sandbox"}
	check.Equal(t, "told, whatever the model is called", names(p.look(desk, unknownNumber(2), "").Score), []string{"velocity_anomaly"})
}

// A thief who has cards learns from the scores beside them nothing of other numbers: who
// tried PINs on cards that exist is told the same as who made the numbers up.
func TestOwnCardsTellNothingOfOthers(t *testing.T) {
	p := setup(t, openSQLite(t), func(d *ping.Deps) { d.Fraud = byRules{fraud.New(fraud.Config{})} })
	var told, whole [2]fraud.Score
	for i := range told {
		thief := stranger(300 * i)
		for n := range 9 {
			number := unknownNumber(100*i + 7*n)
			if i == 1 {
				number = p.issue(shop, 100).number
			}
			p.look(thief, number, wrongKey(n))
		}
		r := p.look(thief, p.issue(desk, 100).number, "")
		kept, err := p.Find(t.Context(), desk.Book, r.ID)
		check.OK(t, err)
		told[i], whole[i] = r.Score, kept.Score
	}
	check.Equal(t, "told", told[1], told[0])
	if whole[0].Hundredths == whole[1].Hundredths {
		t.Errorf("operators see no difference either: %+v", whole)
	}
}
