package payout

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/webhook"
)

// DifferenceKind is a way in which a node's list and the payouts differ.
type DifferenceKind string

// The kinds. Want is what is known here, Got what the node says.
const (
	UnknownPayment DifferenceKind = "unknown" // the node paid what nobody here asked for
	MissingPayment DifferenceKind = "missing" // the node does not know a payout that is settled
	AmountDiffers  DifferenceKind = "amount"
	FeeDiffers     DifferenceKind = "fee"
	StateDiffers   DifferenceKind = "state" // the node paid what is not settled here
)

// Difference is one place where a node's list and the payouts do not agree.
type Difference struct {
	Kind DifferenceKind
	// Subject is the transaction's id or the payment hash.
	Subject   string
	Want, Got string
}

// Reconciliation is one day of a realm held against its nodes' own lists.
type Reconciliation struct {
	Realm    realm.Realm
	Day      string // in UTC, such as 2026-11-27
	Payments int64  // on the nodes' lists
	// Found is how many differences there are, of which MaxDifferences are kept.
	Found       int64
	Differences []Difference
	MadeAt      time.Time
}

const (
	// MaxDifferences bounds the differences of one day that are kept.
	MaxDifferences = 1000
	// maxDays is for how many missed days a reconciliation is made up for.
	maxDays = 7
)

// ReconcileDue reconciles the days of a realm that are over and were not reconciled yet,
// the last week's at most, and none before the first but the last one. A day that somebody
// asked for before its turn keeps none of the days before it from being made up for.
func (s *Service) ReconcileDue(ctx context.Context, r realm.Realm) error {
	first, _, err := storage.One(ctx, s.DB, storage.Scalar[string], firstDay, string(r))
	if err != nil {
		return err
	}
	today := s.Clocks.Now(r).UTC()
	oldest := today.AddDate(0, 0, -maxDays).Format(time.DateOnly)
	made, err := storage.All(ctx, s.DB, storage.Scalar[string], daysSince, string(r), oldest)
	if err != nil {
		return err
	}
	for back := maxDays; back >= 1; back-- {
		day := today.AddDate(0, 0, -back).Format(time.DateOnly)
		if slices.Contains(made, day) || back > 1 && (first == "" || day < first) {
			continue
		}
		if _, err := s.Reconcile(ctx, r, day); err != nil {
			return err
		}
	}
	return nil
}

// ParseDay reads a day, or returns invalid_request.
func ParseDay(text string) (time.Time, error) {
	day, err := time.Parse(time.DateOnly, text)
	if err != nil || day.Format(time.DateOnly) != text {
		return time.Time{}, fault.New(fault.InvalidRequest, "want a day such as 2026-11-27").At("day")
	}
	return day, nil
}

// Reconcile holds a day of a realm against what its nodes say they have paid, keeps the
// result, and tells the operator of differences as payout.differs: by an event, in the audit
// log, and in the program's. It returns feature_disabled in a realm without nodes, invalid_request for what is no day, invalid_state for one that is
// not over, and unavailable when a node does not answer.
func (s *Service) Reconcile(ctx context.Context, r realm.Realm, day string) (Reconciliation, error) {
	if _, ok := s.Nodes[r]; !ok {
		return Reconciliation{}, fault.New(fault.FeatureDisabled, "there are no payouts in the %s realm", r)
	}
	from, err := ParseDay(day)
	if err != nil {
		return Reconciliation{}, err
	}
	now, until := s.Clocks.Now(r), from.AddDate(0, 0, 1)
	if now.Before(until) {
		return Reconciliation{}, fault.New(fault.InvalidState, "the day is not over")
	}
	c := comparison{s: s, result: Reconciliation{Realm: r, Day: day, MadeAt: now}, seen: map[string]bool{}}
	if err := c.lists(ctx, from, until); err != nil {
		return Reconciliation{}, fmt.Errorf("reconcile %s: %w", day, err)
	}
	if err := c.payouts(ctx, from, until); err != nil {
		return Reconciliation{}, fmt.Errorf("reconcile %s: %w", day, err)
	}
	return c.result, s.file(ctx, c.result)
}

// comparison is a reconciliation while it is made.
type comparison struct {
	s      *Service
	result Reconciliation
	seen   map[string]bool // what is on the lists
}

func (c *comparison) add(kind DifferenceKind, subject, want, got string) {
	c.result.Found++
	if len(c.result.Differences) < MaxDifferences {
		c.result.Differences = append(c.result.Differences, Difference{kind, subject, want, got})
	}
}

// compare adds a difference of a figure, if there is one.
func (c *comparison) compare(kind DifferenceKind, subject string, want, got int64) {
	if want != got {
		c.add(kind, subject, strconv.FormatInt(want, 10), strconv.FormatInt(got, 10))
	}
}

// lists looks every payment on the nodes' lists up here.
func (c *comparison) lists(ctx context.Context, from, until time.Time) error {
	nodes := c.s.Nodes[c.result.Realm]
	for _, list := range []struct {
		node interface {
			Payments(ctx context.Context, from, until time.Time) ([]Record, error)
		}
		is    bool
		check func(context.Context, Record) error
	}{{nodes.Wallet, nodes.Wallet != nil, c.onChain}, {nodes.Lightning, nodes.Lightning != nil, c.overLightning}} {
		if !list.is {
			continue
		}
		records, err := list.node.Payments(ctx, from, until)
		if err != nil {
			return err
		}
		c.result.Payments += int64(len(records))
		for _, record := range records {
			c.seen[record.ID] = true
			if err := list.check(ctx, record); err != nil {
				return err
			}
		}
	}
	return nil
}

// onChain looks up a transaction that the wallet says it has sent.
func (c *comparison) onChain(ctx context.Context, record Record) error {
	r := string(c.result.Realm)
	type found struct {
		batch string
		fee   int64
	}
	t, ok, err := storage.One(ctx, c.s.DB, func(row storage.Row) (f found, err error) {
		err = row.Scan(&f.batch, &f.fee)
		return f, err
	}, findTransaction, r, record.ID)
	if err != nil {
		return err
	}
	if !ok {
		c.add(UnknownPayment, record.ID, "", strconv.FormatInt(record.Satoshi, 10))
		return nil
	}
	paid, err := storage.All(ctx, c.s.DB, scanPayout, listBatched, r, t.batch)
	if err != nil {
		return err
	}
	if len(paid) == 0 {
		c.add(StateDiffers, record.ID, "given up", "paid")
		return nil
	}
	var sum int64
	for _, p := range paid {
		sum += p.Amount.Minor
	}
	c.compare(AmountDiffers, record.ID, sum, record.Satoshi)
	c.compare(FeeDiffers, record.ID, t.fee, record.Fee)
	return nil
}

// overLightning looks up a payment that the node says it has made.
func (c *comparison) overLightning(ctx context.Context, record Record) error {
	k, ok, err := storage.One(ctx, c.s.DB, scanKey, findHash, string(c.result.Realm), record.ID)
	if err != nil {
		return err
	}
	if !ok {
		c.add(UnknownPayment, record.ID, "", strconv.FormatInt(record.Satoshi, 10))
		return nil
	}
	p, err := c.s.Find(ctx, k.book, k.payout)
	if err != nil {
		return err
	}
	if p.State != Settled || p.Hash != record.ID {
		c.add(StateDiffers, record.ID, string(p.State), "paid")
		return nil
	}
	c.compare(AmountDiffers, record.ID, p.Amount.Minor, record.Satoshi)
	c.compare(FeeDiffers, record.ID, p.Fee.Minor, record.Fee)
	return nil
}

// payouts looks every payout that was settled in the day up at the nodes.
func (c *comparison) payouts(ctx context.Context, from, until time.Time) error {
	for after := ""; ; {
		some, err := storage.All(ctx, c.s.DB, scanPayout, listEnded, string(c.result.Realm), storage.Micros(from), storage.Micros(until), after, MaxLimit)
		if err != nil || len(some) == 0 {
			return err
		}
		for i := range some {
			after = string(some[i].ID)
			if err := c.settled(ctx, &some[i]); err != nil {
				return err
			}
		}
	}
}

// settled asks for a payout that is on no list of the day: it may be on another day's.
func (c *comparison) settled(ctx context.Context, p *Payout) error {
	nodes := c.s.Nodes[p.Realm]
	if p.TxID != "" && c.seen[p.TxID] || p.Hash != "" && c.seen[p.Hash] {
		return nil
	}
	if !p.To.Kind.IsLightning() {
		raw, ok, err := storage.One(ctx, c.s.DB, storage.Scalar[[]byte], findRaw, string(p.Realm), p.TxID)
		if err != nil || !ok {
			return err
		}
		seen, err := nodes.Chain.Look(ctx, [][]byte{raw})
		if err == nil && (len(seen) != 1 || !seen[0].Known) {
			c.add(MissingPayment, p.TxID, string(p.ID), "")
		}
		return err
	}
	hash, err := hashOf(p.Hash)
	if err != nil {
		return err
	}
	answer, err := nodes.Lightning.Track(ctx, hash)
	if err == nil && answer.Outcome != Succeeded {
		c.add(MissingPayment, p.Hash, string(p.ID), string(answer.Outcome))
	}
	return err
}

// file keeps a reconciliation in place of an earlier one of its day.
func (s *Service) file(ctx context.Context, r Reconciliation) error {
	key := []any{string(r.Realm), r.Day}
	err := s.DB.Write(ctx, func(ctx context.Context, tx *storage.Tx) error {
		if _, err := tx.Exec(ctx, clearDay, key...); err != nil {
			return err
		}
		if err := tx.ExecRows(ctx, upsertDay, [][]any{append(key, r.Payments, r.Found, storage.Micros(r.MadeAt))}); err != nil {
			return err
		}
		rows := make([][]any, len(r.Differences))
		for i, d := range r.Differences {
			rows[i] = []any{string(r.Realm), r.Day, i + 1, string(d.Kind), d.Subject, d.Want, d.Got}
		}
		if len(rows) == 0 {
			return nil
		}
		if err := tx.ExecRows(ctx, insertDifference, rows); err != nil {
			return err
		}
		first := r.Differences[0]
		data := (&webhook.Data{}).Text("day", r.Day).Int("differences", r.Found).Text("first", string(first.Kind)+" "+first.Subject)
		if err := tx.Apply(ctx, s.Outbox.Operators(webhook.Event{Realm: r.Realm, Type: eventDiffers, Data: data.JSON(), At: r.MadeAt})); err != nil {
			return err
		}
		return s.Audit.Append(ctx, tx, audit.Record{Actor: "system", Action: auditDiffers, Subject: string(r.Realm) + "/" + r.Day, At: r.MadeAt,
			Detail: map[string]string{"differences": strconv.FormatInt(r.Found, 10), "first": string(first.Kind) + " " + first.Subject}})
	})
	if err == nil && r.Found > 0 {
		s.ends.differences.Add(r.Found)
		s.Logger.ErrorContext(ctx, "payouts and the nodes' own lists differ", "realm", string(r.Realm), "day", r.Day, "differences", r.Found)
	}
	return err
}

// Reconciliations returns the newest days of a realm that were reconciled, without their
// differences: so many at the most.
func (s *Service) Reconciliations(ctx context.Context, r realm.Realm, limit int) ([]Reconciliation, error) {
	return storage.All(ctx, s.DB, func(row storage.Row) (d Reconciliation, err error) {
		var at int64
		err = row.Scan(&d.Day, &d.Payments, &d.Found, &at)
		d.Realm, d.MadeAt = r, storage.Time(at)
		return d, err
	}, listDays, string(r), limit)
}

// FindReconciliation returns the reconciliation of a day, or not_found.
func (s *Service) FindReconciliation(ctx context.Context, r realm.Realm, day string) (Reconciliation, error) {
	made, found, err := storage.One(ctx, s.DB, func(row storage.Row) (d Reconciliation, err error) {
		var at int64
		err = row.Scan(&d.Payments, &d.Found, &at)
		d.Realm, d.Day, d.MadeAt = r, day, storage.Time(at)
		return d, err
	}, findDay, string(r), day)
	if err == nil && !found {
		err = fault.New(fault.NotFound, "the day was not reconciled").At("day")
	}
	if err != nil {
		return Reconciliation{}, err
	}
	made.Differences, err = storage.All(ctx, s.DB, func(row storage.Row) (d Difference, err error) {
		err = row.Scan((*string)(&d.Kind), &d.Subject, &d.Want, &d.Got)
		return d, err
	}, listDifferences, string(r), day)
	return made, err
}
