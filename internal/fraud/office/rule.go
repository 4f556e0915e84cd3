package office

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/id"
	"github.com/scripcards/scrip/internal/core/plain"
	"github.com/scripcards/scrip/internal/fraud/judge"
	"github.com/scripcards/scrip/internal/fraud/rulebook"
	"github.com/scripcards/scrip/internal/fraud/sense"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// RuleID names a rule of the operator's ("frl_…").
type RuleID string

const rulePrefix = "frl"

// RuleState says whether a rule is in use.
type RuleState string

// The states. A draft was not enabled yet.
const (
	Draft    RuleState = "draft"
	Enabled  RuleState = "enabled"
	Disabled RuleState = "disabled"
)

// Rule is a rule of the operator's in its newest version.
type Rule struct {
	ID      RuleID
	Version int64
	rulebook.Rule
	State RuleState
	// Tested is what it does on history; nil before it was tried.
	Tested    *Backtest
	Actor     string
	CreatedAt time.Time
	ChangedAt time.Time
}

// Backtest is what a condition would have done to the decisions that are kept.
type Backtest struct {
	// Events is how many there were, Frauds and Genuine how many of them were labelled so.
	Events  int
	Frauds  int
	Genuine int
	// Flagged is for how many the condition holds, FlaggedFrauds and FlaggedGenuine for
	// how many of those that were labelled.
	Flagged        int
	FlaggedFrauds  int
	FlaggedGenuine int
	// Hurt is how many credentials with flagged events had none that was labelled fraud.
	Hurt int
	// Precision and Recall are those among labelled events; 0 where there are none.
	Precision float64
	Recall    float64
}

// Bounds of rules and of history.
const (
	mostRules   = 200
	maxName     = 100
	historyPage = 500
	mostHistory = 200_000
)

func scanRule(r storage.Row) (rule Rule, err error) {
	var (
		tested           []byte
		created, changed int64
	)
	err = r.Scan(&rule.ID, &rule.Version, &rule.Name, &rule.When, &rule.Action, &rule.AtLeast, &tested, &rule.State, &rule.Actor, &created, &changed)
	if err != nil {
		return rule, err
	}
	rule.CreatedAt, rule.ChangedAt = storage.Time(created), storage.Time(changed)
	if len(tested) > 0 {
		rule.Tested = &Backtest{}
		err = json.Unmarshal(tested, rule.Tested)
	}
	return rule, err
}

// Rules returns all rules in their newest versions.
func (s *Service) Rules(ctx context.Context) ([]Rule, error) {
	return storage.All(ctx, s.DB, scanRule, listRules, mostRules)
}

// FindRule returns a rule, or not_found.
func (s *Service) FindRule(ctx context.Context, which RuleID) (Rule, error) {
	return s.findRule(ctx, s.DB, which)
}

func (s *Service) findRule(ctx context.Context, q storage.Queryer, which RuleID) (Rule, error) {
	r, found, err := storage.One(ctx, q, scanRule, findRule, string(which))
	if err == nil && !found {
		err = fault.New(fault.NotFound, "no such rule")
	}
	return r, err
}

// Writing is a rule to be kept.
type Writing struct {
	// ID is whose next version it is; empty: a new rule's first.
	ID RuleID
	rulebook.Rule
	Actor string
	Also  storage.Also[Rule]
}

// WriteRule keeps a rule as a draft. The version before it stays in use no longer. It
// returns not_found, invalid_request, or quota_exceeded for a new rule where there are as
// many as there may be.
func (s *Service) WriteRule(ctx context.Context, w Writing) (Rule, error) {
	w.Name = strings.TrimSpace(w.Name)
	if !plain.Line(w.Name, 1, maxName) {
		return Rule{}, fault.New(fault.InvalidRequest, "a name has 1 to %d characters of plain text", maxName).At("name")
	}
	if _, err := rulebook.Compile(w.Rule); err != nil {
		return Rule{}, err
	}
	now := s.now()
	r := Rule{ID: w.ID, Version: 1, Rule: w.Rule, State: Draft, Actor: w.Actor, CreatedAt: now, ChangedAt: now}
	if r.ID == "" {
		r.ID = RuleID(id.New(rulePrefix))
	} else {
		before, err := s.FindRule(ctx, w.ID)
		if err != nil {
			return Rule{}, err
		}
		r.Version = before.Version + 1
	}
	err := s.DB.Write(ctx, func(ctx context.Context, tx *storage.Tx) error {
		if err := s.mayWrite(ctx, tx, &w); err != nil {
			return err
		}
		err := tx.Apply(ctx, []storage.Effect{insertRule.Row(string(r.ID), r.Version, r.Name, r.When, string(r.Action), r.AtLeast, []byte{}, string(Draft), r.Actor,
			storage.Micros(now), storage.Micros(now))})
		if storage.IsUnique(err) {
			return fault.New(fault.AlreadyExists, "somebody else changed the rule at the same time")
		}
		if err != nil {
			return err
		}
		if err := s.record(ctx, tx, change{w.Actor, "fraud.write_rule", string(r.ID), map[string]string{"version": fmt.Sprint(r.Version)}}); err != nil {
			return err
		}
		return w.Also.Apply(ctx, tx, r)
	})
	if err != nil {
		return Rule{}, err
	}
	return r, s.Refresh(ctx)
}

// mayWrite refuses a new rule where there are as many as are listed and can be in use. Two
// of these wait for each other.
func (s *Service) mayWrite(ctx context.Context, tx *storage.Tx, w *Writing) error {
	if w.ID != "" {
		return nil
	}
	if _, err := tx.Exec(ctx, advanceChange); err != nil {
		return err
	}
	count, _, err := storage.One(ctx, tx, storage.Scalar[int64], countRules)
	if err == nil && count >= mostRules {
		err = fault.New(fault.QuotaExceeded, "there are %d rules, the most is %d: write a new version of one that is not needed any more", count, mostRules)
	}
	return err
}

// TestRule tries a rule on history and keeps what came of it with the rule's version.
func (s *Service) TestRule(ctx context.Context, which RuleID) (Rule, error) {
	r, err := s.FindRule(ctx, which)
	if err != nil {
		return Rule{}, err
	}
	tested, err := s.Try(ctx, r.Rule)
	if err != nil {
		return Rule{}, err
	}
	text, err := json.Marshal(tested)
	if err != nil {
		return Rule{}, fmt.Errorf("test rule: %w", err)
	}
	r.Tested, r.ChangedAt = &tested, s.now()
	err = s.DB.Write(ctx, func(ctx context.Context, tx *storage.Tx) error {
		_, err := tx.Exec(ctx, setTest, string(r.ID), r.Version, text, storage.Micros(r.ChangedAt))
		return err
	})
	return r, err
}

// Switching turns a rule on or off.
type Switching struct {
	Rule  RuleID
	On    bool
	Actor string
	Also  storage.Also[Rule]
}

// SwitchRule turns a rule on or off in all processes. It returns not_found, or
// invalid_state for one that was not tried on history.
func (s *Service) SwitchRule(ctx context.Context, w Switching) (Rule, error) {
	now := s.now()
	var r Rule
	err := s.DB.Write(ctx, func(ctx context.Context, tx *storage.Tx) (err error) {
		// Who writes a new version waits here: what is switched is the newest.
		if _, err := tx.Exec(ctx, advanceChange); err != nil {
			return err
		}
		if r, err = s.findRule(ctx, tx, w.Rule); err != nil {
			return err
		}
		if w.On && r.Tested == nil {
			return fault.New(fault.InvalidState, "try the rule on history before it is enabled")
		}
		action := "fraud.disable_rule"
		r.State, r.ChangedAt = Disabled, now
		if w.On {
			r.State, action = Enabled, "fraud.enable_rule"
		}
		if _, err := tx.Exec(ctx, setState, string(r.ID), r.Version, string(r.State), storage.Micros(now)); err != nil {
			return err
		}
		if err := s.record(ctx, tx, change{w.Actor, action, string(r.ID), map[string]string{"version": fmt.Sprint(r.Version)}}); err != nil {
			return err
		}
		return w.Also.Apply(ctx, tx, r)
	})
	if err != nil {
		return Rule{}, err
	}
	return r, s.Refresh(ctx)
}

// enabled returns the rules in use. One that this version cannot read is left out.
func (s *Service) enabled(ctx context.Context) (*rulebook.Book, error) {
	all, err := s.Rules(ctx)
	if err != nil {
		return nil, err
	}
	book := &rulebook.Book{}
	for _, r := range all {
		if r.State != Enabled {
			continue
		}
		c, err := rulebook.Compile(r.Rule)
		if err != nil {
			s.Logger.WarnContext(ctx, "rule left out", "rule", string(r.ID), "error", err)
			continue
		}
		book.Rules = append(book.Rules, c)
	}
	return book, nil
}

// Try says what a rule would have done to the decisions that are kept, the newest
// mostHistory of them at most. It returns invalid_request for what is no rule.
func (s *Service) Try(ctx context.Context, r rulebook.Rule) (Backtest, error) {
	c, err := rulebook.Compile(r)
	if err != nil {
		return Backtest{}, err
	}
	var b Backtest
	callers := map[string]bool{} // flagged; true: with a fraud
	err = s.history(ctx, mostHistory, func(d *Decision, row *sense.Row) {
		e := rulebook.Event{Row: row, Score: judge.Unruled(d.Score.Signals), Rules: d.Rules, Model: max(d.Model, 0), Kind: string(d.Event.Kind), Network: d.Event.Network,
			Country: d.Event.Country, Amount: d.Event.Amount.Minor}
		b.count(d, c.Holds(&e), callers)
	})
	for _, thief := range callers {
		if !thief {
			b.Hurt++
		}
	}
	if n := b.FlaggedFrauds + b.FlaggedGenuine; n > 0 {
		b.Precision = float64(b.FlaggedFrauds) / float64(n)
	}
	if b.Frauds > 0 {
		b.Recall = float64(b.FlaggedFrauds) / float64(b.Frauds)
	}
	return b, err
}

func (b *Backtest) count(d *Decision, flagged bool, callers map[string]bool) {
	b.Events++
	isFraud, isGenuine := d.Label == Fraud, d.Label == Genuine
	add := func(n *int, so bool) {
		if so {
			*n++
		}
	}
	add(&b.Frauds, isFraud)
	add(&b.Genuine, isGenuine)
	add(&b.Flagged, flagged)
	add(&b.FlaggedFrauds, flagged && isFraud)
	add(&b.FlaggedGenuine, flagged && isGenuine)
	if flagged {
		who := string(d.Book) + "/" + d.Event.Caller
		callers[who] = callers[who] || isFraud
	}
}

// history gives the newest decisions that are kept, so many at most, the newest first; row
// is nil where there are no numbers of this version.
func (s *Service) history(ctx context.Context, most int, do func(d *Decision, row *sense.Row)) error {
	before, seen := afterAllIDs, 0
	var row sense.Row
	for seen < most {
		limit := min(historyPage, most-seen)
		page, err := storage.All(ctx, s.DB, scanHistory, listHistory, before, limit)
		if err != nil {
			return fmt.Errorf("read history: %w", err)
		}
		for i := range page {
			d := &page[i]
			if d.row(&row) {
				do(d, &row)
			} else {
				do(d, nil)
			}
			before = string(d.ID)
		}
		if seen += len(page); len(page) < limit {
			return nil
		}
	}
	return nil
}
