package office

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/id"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/fraud"
	"github.com/scripcards/scrip/internal/fraud/journal"
	"github.com/scripcards/scrip/internal/fraud/rulebook"
	"github.com/scripcards/scrip/internal/fraud/sense"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// DecisionID names a decision ("fdec_…").
type DecisionID string

// decisionPrefix begins a decision's id.
const decisionPrefix = "fdec"

// Verdict is what somebody found out about an event.
type Verdict string

// The verdicts; Unknown is what there is before.
const (
	Unknown Verdict = ""
	Fraud   Verdict = "fraud"
	Genuine Verdict = "genuine"
)

// Decision is what was made of an event.
type Decision struct {
	ID    DecisionID
	Book  ledger.BookID
	Realm realm.Realm
	// Event has of each hash only the bytes that tell numbers apart.
	Event fraud.Event
	Score fraud.Score
	// Rules, Model and Shadow are what the built-in rules, the champion and the challenger
	// said alone, in hundredths; -1 where there was none.
	Rules, Model, Shadow int
	Challenger           string
	// Rule names the strongest of the operator's rules that held, Action what it asks for.
	Rule    string
	Action  rulebook.Action
	Label   Verdict
	LabelAt time.Time // zero before there is one
	At      time.Time
	numbers []byte
}

// row returns what stores a decision.
func (d *decided) row() (storage.Effect, error) {
	reasons, err := json.Marshal(d.score.Signals)
	if err != nil {
		return storage.Effect{}, fmt.Errorf("keep decision: %w", err)
	}
	event := (&journal.Entry{Kind: journal.Asked, Event: d.event}).Append(nil)
	numbers := packNumbers(d.detail.Row[:sense.WidthOf(d.event.Kind)])
	e, t := &d.event, &d.detail
	return insertDecision.Row(string(e.Book), d.id, string(e.Realm), string(e.Kind), e.Network, d.score.Hundredths, t.Rules, t.Model, t.Shadow, d.score.Model,
		t.Challenger, t.Rule, string(t.Action), reasons, numbers, event, string(Unknown), 0, storage.Micros(e.At)), nil
}

func scanDecision(r storage.Row) (Decision, error) { return readDecision(r) }

// scanHistory also reads the numbers.
func scanHistory(r storage.Row) (Decision, error) {
	var numbers []byte
	d, err := readDecision(r, &numbers)
	d.numbers = numbers
	return d, err
}

func readDecision(r storage.Row, more ...any) (d Decision, err error) {
	var (
		kind, network  string
		reasons, event []byte
		labelled, at   int64
	)
	err = r.Scan(append([]any{&d.Book, &d.ID, &d.Realm, &kind, &network, &d.Score.Hundredths, &d.Rules, &d.Model, &d.Shadow, &d.Score.Model, &d.Challenger,
		&d.Rule, &d.Action, &reasons, &event, &d.Label, &labelled, &at}, more...)...)
	if err != nil {
		return d, err
	}
	if err := json.Unmarshal(reasons, &d.Score.Signals); err != nil {
		return d, fmt.Errorf("read decision %s: the reasons are damaged: %w", d.ID, err)
	}
	e, _, err := journal.Read(event)
	if err != nil {
		return d, fmt.Errorf("read decision %s: %w", d.ID, err)
	}
	d.Event, d.At = e.Event, storage.Time(at)
	if labelled != 0 {
		d.LabelAt = storage.Time(labelled)
	}
	return d, nil
}

// row returns the numbers of a decision, and whether they are those of this version.
func (d *Decision) row(into *sense.Row) bool {
	return unpackNumbers(d.numbers, into[:sense.WidthOf(d.Event.Kind)])
}

// Life returns what was known of the card since it was activated, and whether anything;
// of decisions that were listed nothing.
func (d *Decision) Life() (sense.Life, bool) {
	var row sense.Row
	if !d.row(&row) {
		return sense.Life{}, false
	}
	return sense.LifeOf(d.Event.Kind, &row)
}

func unknownDecision() error { return fault.New(fault.NotFound, "no such decision") }

// Find returns a decision, or not_found.
func (s *Service) Find(ctx context.Context, decision DecisionID) (Decision, error) {
	if !id.Valid(decisionPrefix, string(decision)) {
		return Decision{}, unknownDecision()
	}
	d, found, err := storage.One(ctx, s.DB, scanHistory, findDecision, string(decision))
	if err == nil && !found {
		err = unknownDecision()
	}
	return d, err
}

// Filter says which decisions to list.
type Filter struct {
	Realm realm.Realm
	Book  ledger.BookID // empty: all
	// From is the least score, in hundredths.
	From int
	// Before is the decision that the list begins behind; empty: at the newest.
	Before DecisionID
	Limit  int // MaxPage at most, and one more for whoever asks whether there are more
	// Look is how many are looked at, MaxLooked when 0.
	Look int
}

// Bounds of a list, and how many decisions it looks at for a page of a few among many.
const (
	MaxPage   = 200
	MaxLooked = 10_000
)

// afterAllIDs sorts after every id ("fdec_…").
const afterAllIDs = "fded"

// List returns decisions, newest first. It looks at f.Look at most: it may return fewer than
// were asked for, none even, and then the decision to go on behind, after which there may be none. It
// returns invalid_cursor.
func (s *Service) List(ctx context.Context, f Filter) ([]Decision, DecisionID, error) {
	switch {
	case f.Before == "":
		f.Before = afterAllIDs
	case !id.Valid(decisionPrefix, string(f.Before)):
		return nil, "", fault.New(fault.InvalidCursor, "the cursor is no decision's id")
	}
	if f.Look == 0 {
		f.Look = MaxLooked
	}
	last, _, err := storage.One(ctx, s.DB, storage.Scalar[string], endDecisions, string(f.Before), f.Look-1)
	if err != nil {
		return nil, "", err
	}
	limit := min(max(f.Limit, 1), MaxPage+1)
	found, err := storage.All(ctx, s.DB, scanDecision, listDecisions, string(f.Before), last, string(f.Realm), f.From, string(f.Book), limit)
	if len(found) == limit {
		last = ""
	}
	return found, DecisionID(last), err
}

// Labelling says what an event was.
type Labelling struct {
	Decision DecisionID
	Verdict  Verdict
	Actor    string
	// Event is what noting the label beside the event itself takes; nil: nothing.
	Event func(Decision) []storage.Effect
	Also  storage.Also[Decision]
}

// Mark returns the effect of noting a label beside the decision of a book's event, if that is
// kept; nil takes back what was noted.
func (s *Service) Mark(book ledger.BookID, decision string, label *fraud.Label) storage.Effect {
	verdict, at := Unknown, int64(0)
	if label != nil {
		if verdict, at = Genuine, storage.Micros(label.At); label.Fraud {
			verdict = Fraud
		}
	}
	return labelDecision.With(string(book), decision, string(verdict), at)
}

// Judging is the lock of whoever notes what an event was, until the engine knows: others hold
// it who have their own table of that.
func (s *Service) Judging() sync.Locker { return &s.judging }

// Judge notes what an event was, and has the engine know, in the order in which verdicts are
// noted. It returns not_found or invalid_request.
func (s *Service) Judge(ctx context.Context, l Labelling) (Decision, error) {
	if l.Verdict != Fraud && l.Verdict != Genuine {
		return Decision{}, fault.New(fault.InvalidRequest, "want fraud or genuine").At("label")
	}
	d, err := s.Find(ctx, l.Decision)
	if err != nil {
		return Decision{}, err
	}
	s.judging.Lock()
	defer s.judging.Unlock()
	d.Label, d.LabelAt = l.Verdict, s.Clocks.Now(d.Realm)
	err = s.DB.Write(ctx, func(ctx context.Context, tx *storage.Tx) error {
		if l.Event != nil {
			if err := tx.Apply(ctx, l.Event(d)); err != nil {
				return err
			}
		}
		n, err := tx.Exec(ctx, labelDecision, string(d.Book), string(d.ID), string(d.Label), storage.Micros(d.LabelAt))
		if err != nil {
			return err
		}
		if n == 0 {
			return unknownDecision()
		}
		err = s.Audit.Append(ctx, tx, audit.Record{Actor: l.Actor, Action: "fraud.label", Subject: string(d.ID), Book: string(d.Book),
			Detail: map[string]string{"label": string(d.Label)}, At: s.now()})
		if err != nil {
			return err
		}
		return l.Also.Apply(ctx, tx, d)
	})
	if err != nil {
		return Decision{}, err
	}
	s.Label(d.Event, fraud.Label{At: d.LabelAt, Fraud: d.Label == Fraud})
	return d, nil
}
