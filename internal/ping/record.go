package ping

import (
	"context"
	"fmt"
	"net/netip"
	"strconv"
	"time"

	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/id"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/quote"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/fraud"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/ping/probe"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/webhook"
)

// Label is what somebody who knows says of a check.
type Label string

// The labels. Unlabelled is what a check is until somebody says.
const (
	Unlabelled   Label = ""
	LabelFraud   Label = "fraud"
	LabelGenuine Label = "genuine"
)

// Record is a check as it is kept, for operators: its score is the whole one, of which the
// caller was not told what tells whether a card exists.
type Record struct {
	Result
	Book  ledger.BookID
	Realm realm.Realm
	// Card is the name that events give the card ("card_…"): the same for the same number.
	Card       string
	Credential string
	// Address is where the caller was; empty when that was not known.
	Address string
	Label   Label
	card    fraud.Hash
}

// pingRow returns the row of a check. A card of somebody else's is named for its owner.
func pingRow(a *attempt, r *Result) storage.Effect {
	c := &a.check.Caller
	return insertPing.Row(string(c.Book), string(r.ID), string(c.Realm), r.Network, a.card[:], c.Credential, c.from(), string(r.Status),
		r.Balance.Minor, r.Balance.Currency.String(), r.Expiry, r.Score.Hundredths, signalsText(r.Score.Signals), r.Score.Model, r.Score.Decision, r.Latency.Microseconds(),
		string(Unlabelled), string(a.balance.Owner), a.balance.Card, storage.Micros(r.AsOf), storage.Micros(r.At))
}

func unknownPing() error { return fault.New(fault.NotFound, "no such balance check") }

// Find returns a book's check, or not_found.
func (s *Service) Find(ctx context.Context, book ledger.BookID, ping ID) (Record, error) {
	if !id.Valid(idPrefix, string(ping)) {
		return Record{}, unknownPing()
	}
	r, found, err := storage.One(ctx, s.DB, scanRecord, findPing, string(book), string(ping))
	if err == nil && !found {
		err = unknownPing()
	}
	return r, err
}

// Page sizes of lists.
const (
	DefaultLimit = 50
	MaxLimit     = 200
)

// pageSize lets a list have one more than the largest page, which tells whether there is another.
func pageSize(limit int) int {
	if limit <= 0 {
		return DefaultLimit
	}
	return min(limit, MaxLimit+1)
}

// afterAllIDs sorts after every id ("ping_…").
const afterAllIDs = "pinh"

// List returns up to limit checks of a book made before the given one, newest first; ""
// begins at the newest. It returns invalid_cursor when before is no check's id.
func (s *Service) List(ctx context.Context, book ledger.BookID, before ID, limit int) ([]Record, error) {
	switch {
	case before == "":
		before = afterAllIDs
	case !id.Valid(idPrefix, string(before)):
		return nil, fault.New(fault.InvalidCursor, "the cursor is no balance check's id")
	}
	return storage.All(ctx, s.DB, scanRecord, listPings, string(book), string(before), pageSize(limit))
}

// LabelRequest says what a check was.
type LabelRequest struct {
	Book  ledger.BookID
	Ping  ID
	Label Label // Unlabelled takes a label back
	Actor string
	Also  storage.Also[Record]
}

// Label notes whether a check was fraud or genuine, beside its decision too, and tells the
// engine of this process, in the order in which labels are noted. It returns not_found or
// invalid_request.
func (s *Service) Label(ctx context.Context, r LabelRequest) error {
	switch r.Label {
	case Unlabelled, LabelFraud, LabelGenuine:
	default:
		return fault.New(fault.InvalidRequest, "want fraud or genuine").At("label")
	}
	if !id.Valid(idPrefix, string(r.Ping)) {
		return unknownPing()
	}
	s.Labelling.Lock()
	defer s.Labelling.Unlock()
	var found Record
	err := s.DB.Write(ctx, func(ctx context.Context, tx *storage.Tx) error {
		n, err := tx.Exec(ctx, labelPing, string(r.Book), string(r.Ping), string(r.Label))
		if err != nil {
			return err
		}
		if n == 0 {
			return unknownPing()
		}
		if found, _, err = storage.One(ctx, tx, scanRecord, findPing, string(r.Book), string(r.Ping)); err != nil {
			return err
		}
		entry := audit.Record{Actor: r.Actor, Action: "check.label", Subject: string(r.Ping), Book: string(r.Book),
			Detail: map[string]string{"label": string(r.Label)}, At: s.now()}
		// The check, the decision, the audit log: as whoever labels a decision locks them.
		if err := s.markLabel(ctx, tx, &found); err != nil {
			return err
		}
		if err := s.Audit.Append(ctx, tx, entry); err != nil {
			return err
		}
		return r.Also.Apply(ctx, tx, found)
	})
	if err != nil || s.Fraud == nil || r.Label == Unlabelled {
		return err
	}
	s.tellLabel(&found)
	return nil
}

// markLabel notes a check's label beside its decision.
func (s *Service) markLabel(ctx context.Context, tx *storage.Tx, found *Record) error {
	if s.Mark == nil || found.Score.Decision == "" {
		return nil
	}
	label := &fraud.Label{At: s.Clocks.Now(found.Realm), Fraud: found.Label == LabelFraud}
	if found.Label == Unlabelled {
		label = nil
	}
	return tx.Apply(ctx, []storage.Effect{s.Mark(found.Book, found.Score.Decision, label)})
}

// Judged returns the effect of noting what somebody found out about a decision beside the check
// that it is of, if that is kept: what Label does the other way round.
func (s *Service) Judged(e fraud.Event, decision string, label Label) storage.Effect {
	return labelDecided.With(string(e.Book), string(e.Realm), storage.Micros(e.At), decision, string(label))
}

// tellLabel tells the engine of a check's label. It knows the check by what is kept of it.
func (s *Service) tellLabel(found *Record) {
	address, _ := netip.ParseAddr(found.Address) // none is no address
	caller := Caller{Credential: found.Credential}
	s.Fraud.Label(fraud.Event{Kind: fraud.Ping, At: found.At, Realm: found.Realm, Book: found.Book, Caller: found.Credential,
		Public: caller.public(), Address: address, Network: found.Network, Card: found.card},
		fraud.Label{At: s.Clocks.Now(found.Realm), Fraud: found.Label == LabelFraud})
}

const (
	// forgetAfter is when what was counted of cards and callers is of no use any more.
	forgetAfter = 2 * time.Hour
	// visitorsOut is how long a portal's visitor stays suspended: others come from the same
	// address one day.
	visitorsOut = 24 * time.Hour
	// tombstones is how long what was removed stays for other processes to see.
	tombstones = 24 * time.Hour
)

// Purge deletes checks that are older than the operator keeps them, and what was counted
// and is over. It also lets a portal's visitors back a day after they
// were suspended, and callers who were slowed once they have not asked for two hours. What is
// left of whoever was let back is deleted two hours later, when other processes know.
func (s *Service) Purge(ctx context.Context) error {
	forget := max(forgetAfter, s.Policy.LockFor+lockWithin)
	for _, r := range realm.All() {
		now := s.Clocks.Now(r)
		if err := s.purge(ctx, purgePings, string(r), storage.Micros(now.Add(-s.Policy.Retention))); err != nil {
			return err
		}
		idle, machine := storage.Micros(now.Add(-forgetAfter)), s.now()
		known := storage.Micros(machine.Add(-forgetAfter))
		if err := s.purge(ctx, purgeCallers, string(r), idle, known); err != nil {
			return err
		}
		if err := s.purge(ctx, endSlowed, storage.Micros(machine), string(r), known, idle); err != nil {
			return err
		}
	}
	// Locks and notes are of both realms: what is old in the realm that is behind is old in both.
	now := s.now()
	if err := s.purge(ctx, purgeCards, storage.Micros(now.Add(-forget)), storage.Micros(now)); err != nil {
		return err
	}
	if err := s.purge(ctx, liftVisitors, storage.Micros(now), storage.Micros(now.Add(-visitorsOut))); err != nil {
		return err
	}
	if err := s.Probes.Purge(ctx, now.Add(-forgetAfter)); err != nil {
		return err
	}
	if err := s.purge(ctx, purgeHoney, storage.Micros(now.Add(-tombstones))); err != nil {
		return err
	}
	return nil
}

func (s *Service) purge(ctx context.Context, statement *storage.Statement, args ...any) error {
	if _, err := s.DB.Purge(ctx, statement, args...); err != nil {
		return fmt.Errorf("purge balance checks: %w", err)
	}
	return nil
}

func scanRecord(row storage.Row) (r Record, err error) {
	var (
		card               []byte
		currency, signals  string
		latency, known, at int64
		hundredths         int64
	)
	err = row.Scan((*string)(&r.Book), (*string)(&r.ID), (*string)(&r.Realm), &r.Network, &card, &r.Credential, &r.Address,
		(*string)(&r.Status), &r.Balance.Minor, &currency, &r.Expiry, &hundredths, &signals, &r.Score.Model, &r.Score.Decision, &latency, (*string)(&r.Label), &known, &at)
	if err != nil {
		return r, err
	}
	r.Score.Hundredths, r.Latency = int(hundredths), time.Duration(latency)*time.Microsecond
	r.AsOf, r.At, r.card = storage.Time(known), storage.Time(at), fraud.Hash(card)
	r.Card = cardID(r.card)
	if r.Score.Signals, err = readSignals(signals); err != nil {
		return r, fmt.Errorf("read balance check %s: the signals are damaged: %w", r.ID, err)
	}
	r.Balance.Currency, err = money.Parse(currency)
	return r, err
}

// The types of events.
const (
	eventCompleted = "ping.completed"
	eventHighRisk  = "fraud.high_risk"
	eventSuspended = "ping.caller_suspended"
)

// EventTypes returns the types of this package's events.
func EventTypes() []string {
	return []string{eventCompleted, eventHighRisk, eventSuspended, probe.EventType}
}

// events returns the rows that tell the caller's book of a check, as of when it is written down:
// a network may have taken longer than followers of events wait.
func (s *Service) events(a *attempt, r *Result) []storage.Effect {
	c := &a.check.Caller
	e := webhook.Event{Book: c.Book, Realm: c.Realm, Type: eventCompleted, Data: r.AppendJSON(make([]byte, 0, 256))}
	effects := s.Outbox.Effects(e)
	if r.Score.Hundredths < s.Policy.HighRisk {
		return effects
	}
	risk := webhook.Event{Book: c.Book, Realm: c.Realm, Type: eventHighRisk, Data: r.riskJSON(a.card)}
	return append(effects, s.Outbox.Effects(risk)...)
}

// AppendJSON appends the result as the contract writes it: an object with id, status,
// balance (a number in major units with all digits of the currency), currency, expiry,
// fraud_score, fraud_signals, ai_verified, network and latency_ms. There is no number, no
// PIN and no name of the card in it. An unknown expiry is null.
func (r *Result) AppendJSON(dst []byte) []byte {
	dst = quote.JSON(append(dst, `{"id":`...), string(r.ID))
	dst = quote.JSON(append(dst, `,"status":`...), string(r.Status))
	dst = r.Balance.Append(append(dst, `,"balance":`...))
	dst = quote.JSON(append(dst, `,"currency":`...), r.Balance.Currency.String())
	dst = append(dst, `,"expiry":`...)
	if r.Expiry == "" {
		dst = append(dst, "null"...)
	} else {
		dst = quote.JSON(dst, r.Expiry)
	}
	dst = appendScore(dst, r.Score)
	dst = strconv.AppendBool(append(dst, `,"ai_verified":`...), r.Score.Model != "")
	dst = quote.JSON(append(dst, `,"network":`...), r.Network)
	dst = strconv.AppendInt(append(dst, `,"latency_ms":`...), r.Latency.Milliseconds(), 10)
	return append(dst, '}')
}

// appendScore appends the score as a number with two decimals, from 0.00 to 1.00, and the
// names of its signals.
func appendScore(dst []byte, score fraud.Score) []byte {
	h := min(max(score.Hundredths, 0), 100)
	dst = append(dst, `,"fraud_score":`...)
	dst = append(dst, byte('0'+h/100), '.', byte('0'+h/10%10), byte('0'+h%10))
	dst = append(dst, `,"fraud_signals":[`...)
	for i, signal := range score.Signals {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = quote.JSON(dst, signal.Name)
	}
	return append(dst, ']')
}

// riskJSON is the data of fraud.high_risk: whose card, which check, and why.
func (r *Result) riskJSON(card fraud.Hash) []byte {
	dst := quote.JSON([]byte(`{"card_id":`), cardID(card))
	dst = quote.JSON(append(dst, `,"ping_id":`...), string(r.ID))
	dst = quote.JSON(append(dst, `,"network":`...), r.Network)
	dst = appendScore(dst, r.Score)
	dst = append(dst, `,"explanation":[`...)
	for i, signal := range r.Score.Signals {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = quote.JSON(append(dst, `{"signal":`...), signal.Name)
		dst = quote.JSON(append(dst, `,"of":`...), signal.Of)
		dst = strconv.AppendInt(append(dst, `,"value":`...), signal.Value, 10)
		dst = strconv.AppendInt(append(dst, `,"threshold":`...), signal.Threshold, 10)
		dst = strconv.AppendInt(append(dst, `,"window_seconds":`...), int64(signal.Window/time.Second), 10)
		dst = strconv.AppendInt(append(dst, `,"points":`...), int64(signal.Points), 10)
		dst = append(dst, '}')
	}
	return append(dst, `]}`...)
}

// suspendedEvent tells the caller's book and the operators that a caller was suspended. It
// names no card.
func (s *Service) suspendedEvent(a *attempt, c *caller) []storage.Effect {
	of, data := c.suspension(), &webhook.Data{}
	data.Text("book_id", string(of.Book)).Text("credential", of.Credential).Text("caller", of.Caller).Text("reason", of.Reason).
		Int("cards", of.Cards).Int("found", of.Found).Text("network", a.network.id)
	e := webhook.Event{Book: of.Book, Realm: of.Realm, Type: eventSuspended, Data: data.JSON()}
	return append(s.Outbox.Effects(e), s.Outbox.Operators(e)...)
}
