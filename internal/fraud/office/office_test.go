package office_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/fraud"
	"github.com/scripcards/scrip/internal/fraud/builtin"
	"github.com/scripcards/scrip/internal/fraud/estimator"
	"github.com/scripcards/scrip/internal/fraud/office"
	"github.com/scripcards/scrip/internal/fraud/rulebook"
	"github.com/scripcards/scrip/internal/fraud/sense"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/testkit"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// process is an engine as one process has it.
type process struct {
	*office.Service
	t     testing.TB
	clock *clock.Manual
}

func start(t testing.TB, db *storage.DB) *process {
	t.Helper()
	manual := clock.NewManual(noon)
	s, err := office.New(office.Deps{DB: db, Audit: audit.New(db), Clocks: clock.NewRealms(manual), Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
		Config: sense.Config{Memory: fraud.MinMemory, Rules: fraud.Config{Memory: fraud.MinMemory, PaymentMemory: fraud.MinMemory}}})
	check(t, err)
	check(t, s.Restore(t.Context()))
	check(t, s.Refresh(t.Context()))
	return &process{s, t, manual}
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func number(n int) (h fraud.Hash) {
	binary.BigEndian.PutUint64(h[:], uint64(n)*0x9e3779b97f4a7c15+1)
	return h
}

// ask is the i'th check of somebody at an address.
func ask(i int, address string) fraud.Event {
	return fraud.Event{Kind: fraud.Ping, At: noon.Add(time.Duration(i) * time.Second), Realm: realm.Live, Book: "bk_1", Caller: "key_1", Network: "scrip",
		Address: netip.MustParseAddr(address), Card: number(i), Before: number(i - 1), After: number(i + 1), Block: number(i/10 + 1e6), Hundred: number(i/100 + 2e6),
		Range: number(i/5000 + 3e6), Device: number(i%6 + 4e6), Agent: number(i%4 + 5e6)}
}

func pay(i int) fraud.Event {
	return fraud.Event{Kind: fraud.Authorization, At: noon.Add(time.Duration(i) * time.Minute), Realm: realm.Test, Book: "bk_1", Card: number(i % 3), Merchant: number(77),
		Device: number(78), Category: "5812", Remote: true, Country: "US", Amount: money.New(int64(500+i), money.USD)}
}

// hunt asks for cards that there are not, some that there are, and pays now and then.
func (p *process) hunt(from, to int) {
	for i := from; i < to; i++ {
		e := ask(i, "192.0.2.7")
		p.Score(e)
		p.Learn(e, fraud.Outcome{Found: i%5 == 0, WrongPIN: i%7 == 1})
		b := pay(i)
		p.Score(b)
		p.Learn(b, fraud.Outcome{Found: i%4 != 0})
	}
}

// sameFrom compares what two processes make of the same events.
func sameFrom(t *testing.T, from int, before, after *process) {
	t.Helper()
	high := false
	for i := from; i < from+20; i++ {
		for _, e := range []fraud.Event{ask(i, "192.0.2.7"), pay(i)} {
			want, got := before.Score(e), after.Score(e)
			if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(fraud.Score{}, "Decision")); diff != "" {
				t.Fatalf("event %d (-before +after):\n%s", i, diff)
			}
			high = high || want.Hundredths > 50
			before.Learn(e, fraud.Outcome{})
			after.Learn(e, fraud.Outcome{})
		}
	}
	if !high {
		t.Error("the history makes no difference to compare")
	}
}

// Of opposite verdicts that arrive at once, the engine believes the one that is kept.
func TestJudgedAtOnce(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		one := start(t, db)
		const many = 40
		one.hunt(0, many)
		check(t, one.Flush(t.Context()))
		list, _, err := one.List(t.Context(), office.Filter{Realm: realm.Live, Limit: many})
		check(t, err)
		for i, d := range list {
			var both sync.WaitGroup
			for _, verdict := range []office.Verdict{office.Fraud, office.Genuine} {
				both.Go(func() {
					if _, err := one.Judge(t.Context(), office.Labelling{Decision: d.ID, Verdict: verdict, Actor: "op_1"}); err != nil {
						t.Error(err)
					}
				})
			}
			both.Wait()
			kept, err := one.Find(t.Context(), d.ID)
			check(t, err)
			e := ask(5000+i, "203.0.113.9")
			e.Card = d.Event.Card
			if told := hasSignal(one.Score(e), "labelled_card_detected"); told != (kept.Label == office.Fraud) {
				t.Errorf("decision %d is %s, and to the engine fraud: %t", i, kept.Label, told)
			}
		}
	})
}

// What somebody finds out about an event elsewhere is noted beside its decision, and taken back.
func TestMark(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		one := start(t, db)
		one.hunt(0, 3)
		check(t, one.Flush(t.Context()))
		list, _, err := one.List(t.Context(), office.Filter{Realm: realm.Live, Limit: 1})
		check(t, err)
		d := list[0]
		for _, c := range []struct {
			book  ledger.BookID
			label *fraud.Label
			want  office.Verdict
			at    time.Time
		}{
			{"bk_other", &fraud.Label{At: noon, Fraud: true}, office.Unknown, time.Time{}},
			{d.Book, &fraud.Label{At: noon, Fraud: true}, office.Fraud, noon},
			{d.Book, &fraud.Label{At: noon}, office.Genuine, noon},
			{d.Book, nil, office.Unknown, time.Time{}},
		} {
			check(t, db.Apply(t.Context(), []storage.Effect{one.Mark(c.book, string(d.ID), c.label)}))
			got, err := one.Find(t.Context(), d.ID)
			check(t, err)
			if got.Label != c.want || !got.LabelAt.Equal(c.at) {
				t.Errorf("%+v of %s: %s at %s", c.label, c.book, got.Label, got.LabelAt)
			}
		}
	})
}

// Scores after a restart are those of before, from the log alone and from a snapshot with the log behind it; labels survive too.
func TestRestart(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		one := start(t, db)
		one.hunt(0, 60)
		check(t, one.Flush(t.Context()))
		fromLog := start(t, db)
		one.hunt(60, 70)
		one.Label(ask(3, "192.0.2.7"), fraud.Label{At: noon, Fraud: true})
		check(t, one.Snapshot(t.Context()))
		one.hunt(70, 80)
		check(t, one.Flush(t.Context()))
		fromSnapshot := start(t, db)
		check(t, fromLog.Follow(t.Context()))
		sameFrom(t, 80, one, fromSnapshot)
		for i := 80; i < 100; i++ { // what the comparison did is not in the log yet
			for _, e := range []fraud.Event{ask(i, "192.0.2.7"), pay(i)} {
				fromLog.Score(e)
				fromLog.Learn(e, fraud.Outcome{})
			}
		}
		sameFrom(t, 100, one, fromLog)
	})
}

// A snapshot ends the log before it, and the snapshot before: what is kept is bounded.
func TestSnapshotsReplace(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		one := start(t, db)
		for i := range 3 {
			one.hunt(10*i, 10*i+10)
			check(t, one.Flush(t.Context()))
			check(t, one.Follow(t.Context()))
			one.clock.Advance(time.Hour)
			check(t, one.Snapshot(t.Context()))
		}
		count := func(table string) (n int) {
			check(t, db.Snapshot(t.Context(), func(ctx context.Context, q storage.Queryer) error {
				tables, err := storage.Tables(ctx, q)
				check(t, err)
				for _, one := range tables {
					if one.Name == table {
						return one.Each(ctx, q, func([]any) error { n++; return nil })
					}
				}
				return nil
			}))
			return n
		}
		if snapshots, batches := count("fraud_snapshots"), count("fraud_log"); snapshots != 1 || batches != 0 {
			t.Errorf("%d snapshots and %d batches are left", snapshots, batches)
		}
	})
}

// What one process saw, another counts too.
func TestProcessesShare(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		one, two := start(t, db), start(t, db)
		one.hunt(0, 40)
		check(t, one.Flush(t.Context()))
		check(t, two.Follow(t.Context()))
		check(t, two.Follow(t.Context())) // once more counts nothing twice
		sameFrom(t, 40, one, two)
	})
}

// What could not be written waits, in order, and nothing is lost.
func TestWritesWait(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		one := start(t, db)
		one.hunt(0, 20)
		ended, end := context.WithCancel(t.Context())
		end()
		if err := one.Flush(ended); err == nil {
			t.Fatal("written with a context that had ended")
		}
		one.hunt(20, 40)
		check(t, one.Flush(t.Context()))
		if one.Lost() != 0 {
			t.Errorf("%d events lost", one.Lost())
		}
		sameFrom(t, 40, one, start(t, db))
	})
}

// A search for few among many looks at so many decisions at a time, and finds all in the end.
func TestSearch(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		one := start(t, db)
		one.hunt(0, 30)
		check(t, one.Flush(t.Context()))
		all, more, err := one.List(t.Context(), office.Filter{Realm: realm.Live, Limit: office.MaxPage})
		check(t, err)
		if len(all) < 10 || more != "" {
			t.Fatalf("%d decisions, and more before %q", len(all), more)
		}
		var found, pages int
		for f := (office.Filter{Realm: realm.Live, Limit: office.MaxPage, Look: 4}); pages == 0 || f.Before != ""; pages++ {
			page, more, err := one.List(t.Context(), f)
			check(t, err)
			f.Before, found = more, found+len(page)
			if len(page) > f.Look {
				t.Fatalf("%d on a page that looks at %d", len(page), f.Look)
			}
		}
		if found != len(all) || pages <= len(all)/4 {
			t.Errorf("%d of %d found on %d pages", found, len(all), pages)
		}
		full, more, err := one.List(t.Context(), office.Filter{Realm: realm.Live, Limit: 1, Look: 4})
		check(t, err)
		if len(full) != 1 || more != "" {
			t.Errorf("a full page of %d goes on before %q", len(full), more)
		}
	})
}

// A decision says what it was made of; a label is kept, audited and told to the engine.
func TestDecisions(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		one := start(t, db)
		one.hunt(0, 30)
		score := one.Score(ask(30, "192.0.2.7"))
		check(t, one.Flush(t.Context()))
		d, err := one.Find(t.Context(), office.DecisionID(score.Decision))
		check(t, err)
		if diff := cmp.Diff(score.Signals, d.Score.Signals); diff != "" || d.Score.Hundredths != score.Hundredths || d.Rules < 0 || d.Model < 0 || d.Shadow != -1 ||
			d.Event.Address != netip.MustParseAddr("192.0.2.7") || d.Event.Card != number(30) || d.Event.Device != number(4e6) || d.Event.Agent != number(5e6+2) || !d.At.Equal(noon.Add(30*time.Second)) {
			t.Errorf("%+v\n%s", d, diff)
		}
		list, _, err := one.List(t.Context(), office.Filter{Realm: realm.Live, From: 50, Limit: 5})
		check(t, err)
		if len(list) != 5 || list[0].ID != d.ID {
			t.Errorf("the list: %+v", list)
		}
		labelled, err := one.Judge(t.Context(), office.Labelling{Decision: d.ID, Verdict: office.Fraud, Actor: "op_1"})
		check(t, err)
		again, err := one.Find(t.Context(), d.ID)
		check(t, err)
		if labelled.Label != office.Fraud || again.Label != office.Fraud || !again.LabelAt.Equal(noon) {
			t.Errorf("labelled %+v, found %+v", labelled, again)
		}
		e := ask(5000, "203.0.113.9")
		e.Card = number(30)
		if got := one.Score(e); !hasSignal(got, "labelled_card_detected") {
			t.Errorf("the card from elsewhere: %+v", got)
		}
		if _, err := one.Judge(t.Context(), office.Labelling{Decision: d.ID, Verdict: "odd"}); fault.CodeOf(err) != fault.InvalidRequest {
			t.Errorf("an odd label: %v", err)
		}
		one.clock.Advance(office.DefaultRetention + time.Hour)
		check(t, one.Purge(t.Context()))
		if _, err := one.Find(t.Context(), d.ID); fault.CodeOf(err) != fault.NotFound {
			t.Errorf("after the retention: %v", err)
		}
	})
}

func hasSignal(s fraud.Score, name string) bool {
	for _, signal := range s.Signals {
		if signal.Name == name {
			return true
		}
	}
	return false
}

// other is the model in the program under another name, as a file.
func other(t testing.TB, name string) []byte {
	t.Helper()
	return otherOf(t, fraud.Ping, name)
}

func otherOf(t testing.TB, kind fraud.Kind, name string) []byte {
	t.Helper()
	m, err := builtin.Model(kind)
	check(t, err)
	m.Info.Name = name
	file, err := m.Bytes()
	check(t, err)
	return file
}

// Models are swapped in all processes without a restart, challengers score in the shadow, and the champion of before can be had back.
func TestModels(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		ctx := t.Context()
		one, two := start(t, db), start(t, db)
		serves := func(p *process, want string) {
			t.Helper()
			check(t, p.Refresh(ctx))
			if got := p.Score(ask(1, "192.0.2.1")).Model; got != want {
				t.Errorf("%s serves, want %s", got, want)
			}
		}
		serves(one, "builtin-1")
		spring, err := one.Import(ctx, other(t, "spring"), "op_1")
		check(t, err)
		if again, err := one.Import(ctx, other(t, "spring"), "op_1"); err != nil || again.ID != spring.ID {
			t.Errorf("the same file again: %+v, %v", again, err)
		}
		summer, err := one.Import(ctx, other(t, "summer"), "op_1")
		check(t, err)
		_, err = one.Promote(ctx, office.Promotion{Model: spring.ID, As: office.Challenger, Actor: "op_1"})
		check(t, err)
		check(t, two.Refresh(ctx))
		shadowed := two.Score(ask(2, "192.0.2.1"))
		check(t, two.Flush(ctx))
		d, err := two.Find(ctx, office.DecisionID(shadowed.Decision))
		check(t, err)
		if shadowed.Model != "builtin-1" || d.Challenger != "spring" || d.Shadow < 0 {
			t.Errorf("in the shadow: %+v", d)
		}
		for _, m := range []office.ModelID{spring.ID, summer.ID} {
			_, err = one.Promote(ctx, office.Promotion{Model: m, As: office.Champion, Actor: "op_1"})
			check(t, err)
		}
		serves(one, "summer")
		serves(two, "summer")
		if back, err := two.Rollback(ctx, office.Return{Kind: fraud.Ping, Actor: "op_1"}); err != nil || back.ID != spring.ID {
			t.Fatalf("rolled back to %+v, %v", back, err)
		}
		serves(one, "spring")
		if back, err := one.Rollback(ctx, office.Return{Kind: fraud.Ping, Actor: "op_1"}); err != nil || back.ID != office.Builtin {
			t.Fatalf("rolled back to %+v, %v", back, err)
		}
		serves(two, "builtin-1")
		if _, err := one.Rollback(ctx, office.Return{Kind: fraud.Ping, Actor: "op_1"}); fault.CodeOf(err) != fault.InvalidState {
			t.Errorf("behind the first: %v", err)
		}
		for _, name := range []string{"", " ", "two\nlines", "\x00", "\x1b[2J", strings.Repeat("n", 101)} { // each decision has it
			if _, err := one.Import(ctx, other(t, name), "op_1"); fault.CodeOf(err) != fault.InvalidRequest {
				t.Errorf("named %q: %v", name, err)
			}
		}
		var group sync.WaitGroup
		var same [4]office.Stored
		for i := range same {
			group.Go(func() {
				var err error
				if same[i], err = [...]*process{one, two}[i%2].Import(ctx, other(t, "autumn"), "op_1"); err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
		for _, m := range same[1:] {
			if m.ID != same[0].ID {
				t.Errorf("one file at once is %s and %s", same[0].ID, m.ID)
			}
		}
		file := other(t, "broken")
		file[len(file)/2] ^= 1
		if _, err := one.Import(ctx, file, "op_1"); fault.CodeOf(err) != fault.InvalidRequest {
			t.Errorf("a damaged file: %v", err)
		}
	})
}

// Of models that are promoted at the same time one is in use. However many were kept since,
// the one in use is listed, found and rolled back to.
func TestManyModels(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		ctx := t.Context()
		one, two := start(t, db), start(t, db)
		var first [4]office.Stored
		for i := range first {
			var err error
			first[i], err = one.Import(ctx, other(t, fmt.Sprint("first ", i)), "op_1")
			check(t, err)
		}
		var group sync.WaitGroup
		for range 3 {
			for i, p := range []*process{one, two, one, two} {
				group.Go(func() {
					if _, err := p.Promote(ctx, office.Promotion{Model: first[i].ID, As: office.Champion, Actor: "op_1"}); err != nil {
						t.Error(err)
					}
				})
			}
			group.Wait()
		}
		champions := func() (all []office.ModelID) {
			models, err := one.Models(ctx)
			check(t, err)
			for _, m := range models {
				if m.State == office.Champion && m.Kind == fraud.Ping {
					all = append(all, m.ID)
				}
			}
			return all
		}
		if all := champions(); len(all) != 1 {
			t.Fatalf("champions: %v", all)
		}
		for _, m := range first[:2] {
			_, err := one.Promote(ctx, office.Promotion{Model: m.ID, As: office.Champion, Actor: "op_1"})
			check(t, err)
		}
		for i := range 101 {
			_, err := one.Import(ctx, other(t, fmt.Sprint("later ", i)), "op_1")
			check(t, err)
		}
		if all := champions(); len(all) != 1 || all[0] != first[1].ID {
			t.Errorf("champions behind many: %v", all)
		}
		if back, err := two.Rollback(ctx, office.Return{Kind: fraud.Ping, Actor: "op_1"}); err != nil || back.ID != first[0].ID {
			t.Errorf("rolled back to %+v, %v", back, err)
		}
	})
}

// Payments have models of their own: swapped, shadowed and rolled back without touching those of balance checks; a decision says which scored it, and is scored again by another.
func TestPaymentModels(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		ctx := t.Context()
		one, two := start(t, db), start(t, db)
		serves := func(check, payment string) {
			t.Helper()
			for _, p := range []*process{one, two} {
				if err := p.Refresh(ctx); err != nil {
					t.Fatal(err)
				}
				if got := p.Score(ask(1, "192.0.2.1")).Model; got != check {
					t.Errorf("%s scores checks, want %s", got, check)
				}
				if got := p.Score(pay(1)).Model; got != payment {
					t.Errorf("%s scores payments, want %s", got, payment)
				}
			}
		}
		serves("builtin-1", "builtin-payment-1")
		file := otherOf(t, fraud.Authorization, "shops")
		shops, err := one.Import(ctx, file, "op_1")
		check(t, err)
		spring, err := one.Import(ctx, other(t, "spring"), "op_1")
		check(t, err)
		for _, m := range []office.ModelID{shops.ID, spring.ID} {
			_, err = one.Promote(ctx, office.Promotion{Model: m, As: office.Challenger, Actor: "op_1"})
			check(t, err)
		}
		serves("builtin-1", "builtin-payment-1")
		one.hunt(0, 12)
		score := one.Score(pay(12))
		check(t, one.Flush(ctx))
		d, err := one.Find(ctx, office.DecisionID(score.Decision))
		check(t, err)
		if d.Score.Model != "builtin-payment-1" || d.Challenger != "shops" || d.Shadow < 0 || d.Model != d.Shadow || d.Event.Category != "5812" || !d.Event.Remote ||
			d.Event.Device != number(78) {
			t.Errorf("decided: %+v", d)
		}
		_, err = one.Promote(ctx, office.Promotion{Model: shops.ID, As: office.Champion, Actor: "op_1"})
		check(t, err)
		serves("builtin-1", "shops")
		m, err := estimator.Read(file)
		check(t, err)
		if c, err := one.Replay(ctx, m, nil); err != nil || c.Events < 13 || c.Higher+c.Lower != 0 {
			t.Errorf("replayed: %+v, %v", c, err)
		}
		if _, err := one.Rollback(ctx, office.Return{Kind: fraud.Ping, Actor: "op_1"}); fault.CodeOf(err) != fault.InvalidState {
			t.Errorf("the first model of checks was rolled back: %v", err)
		}
		if back, err := two.Rollback(ctx, office.Return{Kind: fraud.Authorization, Actor: "op_1"}); err != nil || back.ID != office.BuiltinPayment {
			t.Fatalf("rolled back to %+v, %v", back, err)
		}
		serves("builtin-1", "builtin-payment-1")
		if _, err := one.Rollback(ctx, office.Return{Kind: "odd"}); fault.CodeOf(err) != fault.InvalidRequest {
			t.Errorf("an odd kind: %v", err)
		}
	})
}

// A model for other numbers than this version's is refused.
func TestSchema(t *testing.T) {
	file := other(t, "old")
	file[10] ^= 1 // of the schema's hash
	if _, err := estimator.Read(file); err == nil {
		t.Error("another schema is read")
	}
}

// There are no more rules than can be listed and in use: one more is refused, and one that
// is not needed can be written anew.
func TestManyRules(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		ctx, one := t.Context(), start(t, db)
		write := func(which office.RuleID, name string) (office.Rule, error) {
			return one.WriteRule(ctx, office.Writing{ID: which, Actor: "op_1", Rule: rulebook.Rule{Name: name, When: `kind == "ping"`, Action: rulebook.Review, AtLeast: 40}})
		}
		var last office.Rule
		for i := range 200 {
			var err error
			last, err = write("", fmt.Sprint("rule ", i))
			check(t, err)
		}
		if _, err := write("", "one more"); fault.CodeOf(err) != fault.QuotaExceeded {
			t.Errorf("one more: %v", err)
		}
		_, err := write(last.ID, "instead")
		check(t, err)
		_, err = one.TestRule(ctx, last.ID)
		check(t, err)
		_, err = one.SwitchRule(ctx, office.Switching{Rule: last.ID, On: true, Actor: "op_1"})
		check(t, err)
		if got := one.Score(ask(1, "192.0.2.7")); !hasSignal(got, "operator_rule") {
			t.Errorf("the last one does nothing: %+v", got)
		}
	})
}

// A rule is tried on history before it is enabled, raises scores in all processes while it is, and a change is a draft again.
func TestRules(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		ctx := t.Context()
		one, two := start(t, db), start(t, db)
		one.hunt(0, 40)
		check(t, one.Flush(ctx))
		list, _, err := one.List(ctx, office.Filter{Realm: realm.Live, Limit: 40})
		check(t, err)
		for i, d := range list[:10] {
			verdict := office.Fraud
			if i >= 6 {
				verdict = office.Genuine
			}
			_, err := one.Judge(ctx, office.Labelling{Decision: d.ID, Verdict: verdict, Actor: "op_1"})
			check(t, err)
		}
		r, err := one.WriteRule(ctx, office.Writing{Actor: "op_1", Rule: rulebook.Rule{Name: "key 1", When: `kind == "authorization" and amount > 510 or credential.missed_1h >= 3`,
			Action: rulebook.Challenge, AtLeast: 70}})
		check(t, err)
		if _, err := one.SwitchRule(ctx, office.Switching{Rule: r.ID, On: true, Actor: "op_1"}); fault.CodeOf(err) != fault.InvalidState {
			t.Errorf("enabled untried: %v", err)
		}
		tried, err := one.TestRule(ctx, r.ID)
		check(t, err)
		if b := tried.Tested; b == nil || b.Events != 80 || b.Frauds != 6 || b.Genuine != 4 || b.FlaggedFrauds != 6 || b.FlaggedGenuine != 4 || b.Precision != 0.6 || b.Recall != 1 || b.Flagged < 60 || b.Hurt != 1 {
			t.Errorf("tried: %+v", b)
		}
		_, err = one.SwitchRule(ctx, office.Switching{Rule: r.ID, On: true, Actor: "op_1"})
		check(t, err)
		check(t, two.Refresh(ctx))
		if got := two.Score(pay(500)); got.Hundredths < 70 || !hasSignal(got, "operator_rule") {
			t.Errorf("with the rule: %+v", got)
		}
		next, err := one.WriteRule(ctx, office.Writing{ID: r.ID, Actor: "op_1", Rule: rulebook.Rule{Name: "key 1", When: `amount > 1`, Action: rulebook.Block, AtLeast: 90}})
		check(t, err)
		check(t, two.Refresh(ctx))
		if got := two.Score(pay(501)); next.Version != 2 || next.State != office.Draft || hasSignal(got, "operator_rule") {
			t.Errorf("after the change %+v: %+v", next, got)
		}
		c, err := one.Replay(ctx, mustModel(t), nil)
		check(t, err)
		if c.Events != 40 || c.Frauds != 6 || c.Genuine != 4 || c.Higher+c.Lower != 0 {
			t.Errorf("replayed: %+v", c)
		}
	})
}

// A rule is tried on the score that it sees when it is in use, which no other rule raised.
func TestRulesAreTriedAsTheyWork(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		ctx, one := t.Context(), start(t, db)
		enable := func(when string, action rulebook.Action, atLeast int) office.Backtest {
			t.Helper()
			r, err := one.WriteRule(ctx, office.Writing{Actor: "op_1", Rule: rulebook.Rule{Name: when, When: when, Action: action, AtLeast: atLeast}})
			check(t, err)
			r, err = one.TestRule(ctx, r.ID)
			check(t, err)
			_, err = one.SwitchRule(ctx, office.Switching{Rule: r.ID, On: true, Actor: "op_1"})
			check(t, err)
			return *r.Tested
		}
		enable(`kind == "ping"`, rulebook.Review, 60)
		one.hunt(0, 20)
		check(t, one.Flush(ctx))
		for when, low := range map[string]bool{`score >= 0.6`: false, `score < 0.6`: true, `score == 0`: true} {
			b, err := one.Try(ctx, rulebook.Rule{Name: "try", When: when, Action: rulebook.Block})
			check(t, err)
			list, _, err := one.List(ctx, office.Filter{Realm: realm.Live, Limit: 50})
			check(t, err)
			c, err := rulebook.Compile(rulebook.Rule{When: when, Action: rulebook.Block})
			check(t, err)
			want := 0
			for _, d := range list { // what raised it says by how much
				was := d.Score.Hundredths
				for _, signal := range d.Score.Signals {
					if signal.Name == "operator_rule" {
						was -= signal.Points
					}
				}
				if c.Holds(&rulebook.Event{Kind: "ping", Score: was}) {
					want++
				}
			}
			test, _, err := one.List(ctx, office.Filter{Realm: realm.Test, Limit: 50})
			check(t, err)
			for _, d := range test {
				if c.Holds(&rulebook.Event{Kind: "authorization", Score: d.Score.Hundredths}) {
					want++
				}
			}
			if b.Flagged != want || low && b.Flagged == 0 {
				t.Errorf("%s: flagged %d, want %d", when, b.Flagged, want)
			}
		}
		enable(`score >= 0.6`, rulebook.Block, 0)
		e := ask(900, "198.51.100.9")
		e.Caller = "key_9" // a stranger, raised to 60
		score := one.Score(e)
		check(t, one.Flush(ctx))
		d, err := one.Find(ctx, office.DecisionID(score.Decision))
		check(t, err)
		if d.Score.Hundredths != 60 || d.Action != rulebook.Review {
			t.Errorf("%+v", d)
		}
	})
}

// A rule that is switched while its next version is written is the newest one then: none of before is enabled behind it.
func TestSwitchedWhileWritten(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		ctx := t.Context()
		one, two := start(t, db), start(t, db)
		writing := office.Writing{Actor: "op_1", Rule: rulebook.Rule{Name: "rule", When: `score > 0.5`, Action: rulebook.Review}}
		r, err := one.WriteRule(ctx, writing)
		check(t, err)
		writing.ID = r.ID
		for range 40 {
			_, err := one.TestRule(ctx, r.ID)
			check(t, err)
			var group sync.WaitGroup
			group.Go(func() {
				if _, err := one.WriteRule(ctx, writing); err != nil {
					t.Error(err)
				}
			})
			group.Go(func() {
				_, err := two.SwitchRule(ctx, office.Switching{Rule: r.ID, On: true, Actor: "op_2"})
				if err != nil && fault.CodeOf(err) != fault.InvalidState {
					t.Error(err)
				}
			})
			group.Wait()
		}
		entries, err := one.Audit.List(ctx, audit.Filter{Subject: string(r.ID), Limit: audit.MaxLimit})
		check(t, err)
		newest := "1"
		for i := len(entries) - 1; i >= 0; i-- {
			switch e := entries[i]; {
			case e.Action == "fraud.write_rule":
				newest = e.Detail["version"]
			case e.Detail["version"] != newest:
				t.Errorf("version %s was enabled when %s was there", e.Detail["version"], newest)
			}
		}
	})
}

func mustModel(t testing.TB) *estimator.Model {
	t.Helper()
	m, err := builtin.Model(fraud.Ping)
	check(t, err)
	return m
}

// BenchmarkService scores and learns on all processors with everything that is kept, written
// ten times a second beside it.
func BenchmarkService(b *testing.B) {
	db := testkit.Open(b, testkit.Database(b, "sqlite"))
	p := start(b, db)
	events := make([]fraud.Event, 8192)
	for i := range events {
		events[i] = ask(i*7919%5000, fmt.Sprintf("10.0.%d.%d", i%50, i%7))
	}
	ctx, cancel := context.WithCancel(b.Context())
	var keeper sync.WaitGroup
	keeper.Go(func() { p.Run(ctx) })
	var next atomic.Int64
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			i := int(next.Add(1))
			e := events[i%len(events)]
			p.Score(e)
			p.Learn(e, fraud.Outcome{Found: i%3 > 0})
		}
	})
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "scores/s")
	cancel()
	keeper.Wait()
	b.ReportMetric(float64(p.Lost())/float64(b.N), "lost/op")
}
