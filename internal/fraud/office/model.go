package office

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/id"
	"github.com/scripcards/scrip/internal/core/plain"
	"github.com/scripcards/scrip/internal/fraud"
	"github.com/scripcards/scrip/internal/fraud/estimator"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// ModelID names a model that is kept ("mdl_…"); Builtin and BuiltinPayment name those in
// the program.
type ModelID string

// The models that ship with the program: of balance checks, and of payments.
const (
	Builtin        ModelID = "builtin"
	BuiltinPayment ModelID = "builtin_payment"
)

// builtinOf returns the model in the program for a kind of events.
func builtinOf(kind fraud.Kind) ModelID {
	if kind == fraud.Authorization {
		return BuiltinPayment
	}
	return Builtin
}

const modelPrefix = "mdl"

// ModelState is what a model is used for.
type ModelState string

// The states. The challenger scores too, and changes nothing.
const (
	Kept       ModelState = "kept"
	Challenger ModelState = "challenger"
	Champion   ModelState = "champion"
)

// Stored is a model that is kept.
type Stored struct {
	ID ModelID
	// Kind is the kind of events that it is for.
	Kind      fraud.Kind
	Info      estimator.Info
	Sum       string // SHA-256 of the file, in hexadecimal digits
	State     ModelState
	Before    ModelID // the champion that it took the place of; empty otherwise
	Actor     string
	CreatedAt time.Time
	ChangedAt time.Time
}

// mostModels bounds a list.
const mostModels = 100

func scanModel(r storage.Row) (m Stored, err error) {
	var (
		name             string
		info             []byte
		created, changed int64
	)
	if err = r.Scan(&m.ID, &m.Kind, &name, &m.Sum, &info, &m.State, &m.Before, &m.Actor, &created, &changed); err != nil {
		return m, err
	}
	m.CreatedAt, m.ChangedAt = storage.Time(created), storage.Time(changed)
	return m, json.Unmarshal(info, &m.Info)
}

// Models returns the newest models, those in use, and as the last ones those in the program.
func (s *Service) Models(ctx context.Context) ([]Stored, error) {
	all, err := storage.All(ctx, s.DB, scanModel, listModels, mostModels)
	if err != nil {
		return nil, err
	}
	for _, kind := range fraud.Kinds() {
		for _, state := range [...]ModelState{Champion, Challenger} {
			m, found, err := storage.One(ctx, s.DB, scanModel, findInUse, string(state), string(kind))
			if err != nil {
				return nil, err
			}
			listed := slices.ContainsFunc(all, func(other Stored) bool { return other.ID == m.ID })
			if found && !listed { // many were kept since
				all = append(all, m)
			}
		}
	}
	for _, kind := range fraud.Kinds() {
		own, err := s.own(ctx, s.DB, kind)
		if err != nil {
			return nil, err
		}
		all = append(all, own)
	}
	return all, nil
}

// own returns the model in the program for a kind of events.
func (s *Service) own(ctx context.Context, q storage.Queryer, kind fraud.Kind) (Stored, error) {
	own := Stored{ID: builtinOf(kind), Kind: kind, Info: s.shipped[kind].Info, Sum: s.shipped[kind].Sum, State: Champion}
	_, found, err := storage.One(ctx, q, scanModel, findInUse, string(Champion), string(kind))
	if found {
		own.State = Kept
	}
	return own, err
}

// FindModel returns a model, or not_found.
func (s *Service) FindModel(ctx context.Context, which ModelID) (Stored, error) {
	return s.findModel(ctx, s.DB, which)
}

func (s *Service) findModel(ctx context.Context, q storage.Queryer, which ModelID) (Stored, error) {
	for _, kind := range fraud.Kinds() {
		if which == builtinOf(kind) {
			return s.own(ctx, q, kind)
		}
	}
	m, found, err := storage.One(ctx, q, scanModel, findModel, string(which))
	if err == nil && !found {
		err = fault.New(fault.NotFound, "no such model")
	}
	return m, err
}

// Import keeps a model file. It returns invalid_request for one that this version cannot
// use or that has no plain name, and the same model for the same file.
func (s *Service) Import(ctx context.Context, file []byte, actor string) (Stored, error) {
	m, err := estimator.Read(file)
	if err != nil {
		return Stored{}, fault.New(fault.InvalidRequest, "%s", err).At("file")
	}
	if err := ModelName(m.Info.Name); err != nil {
		return Stored{}, err
	}
	info, err := json.Marshal(m.Info)
	if err != nil {
		return Stored{}, fmt.Errorf("import model: %w", err)
	}
	now := s.now()
	kept := Stored{ID: ModelID(id.New(modelPrefix)), Kind: m.Kind, Info: m.Info, Sum: m.Sum, State: Kept, Actor: actor, CreatedAt: now, ChangedAt: now}
	err = s.DB.Write(ctx, func(ctx context.Context, tx *storage.Tx) error {
		// Two of the same file wait for each other here.
		if _, err := tx.Exec(ctx, advanceChange); err != nil {
			return err
		}
		if known, found, err := storage.One(ctx, tx, scanModel, findModelSum, m.Sum); err != nil || found {
			kept = known
			return err
		}
		err := tx.Apply(ctx, []storage.Effect{insertModel.Row(string(kept.ID), string(m.Kind), m.Info.Name, m.Sum, info, file, string(Kept), "", actor,
			storage.Micros(now), storage.Micros(now))})
		if err != nil {
			return err
		}
		return s.record(ctx, tx, change{actor: actor, action: "fraud.import_model", subject: string(kept.ID), detail: map[string]string{"name": m.Info.Name}})
	})
	return kept, err
}

// ModelName returns invalid_request for what cannot be a model's name: each decision has it.
func ModelName(name string) error {
	if !plain.Line(name, 1, maxName) {
		return fault.New(fault.InvalidRequest, "a model's name has 1 to %d characters of plain text", maxName).At("name")
	}
	return nil
}

// change is what an operator did.
type change struct {
	actor, action, subject string
	detail                 map[string]string
}

// record audits a change of models or rules and has all processes look.
func (s *Service) record(ctx context.Context, tx *storage.Tx, c change) error {
	if _, err := tx.Exec(ctx, advanceChange); err != nil {
		return err
	}
	return s.Audit.Append(ctx, tx, audit.Record{Actor: c.actor, Action: c.action, Subject: c.subject, Detail: c.detail, At: s.now()})
}

// Promotion puts a model in use.
type Promotion struct {
	Model ModelID
	// As is Champion or Challenger; Kept takes a challenger out of use.
	As    ModelState
	Actor string
	Also  storage.Also[Stored]
}

// Promote puts a model in use in all processes. It returns not_found, invalid_request, or
// invalid_state for a champion that is to be anything less: Rollback is for that.
func (s *Service) Promote(ctx context.Context, p Promotion) (Stored, error) {
	if p.As != Champion && p.As != Challenger && p.As != Kept {
		return Stored{}, fault.New(fault.InvalidRequest, "want champion, challenger or kept").At("as")
	}
	return s.use(ctx, p, "fraud.promote_model", func(ctx context.Context, tx *storage.Tx) (Stored, error) {
		m, err := s.findModel(ctx, tx, p.Model)
		if err != nil {
			return Stored{}, err
		}
		if m.State == Champion && p.As != Champion || m.ID == builtinOf(m.Kind) && p.As == Challenger {
			return Stored{}, fault.New(fault.InvalidState, "the champion stays until another takes its place, and the model in the program challenges none")
		}
		return m, nil
	})
}

// Return has a model of before back.
type Return struct {
	// Kind is the kind of events.
	Kind  fraud.Kind
	Actor string
	Also  storage.Also[Stored]
}

// Rollback puts the champion of before back in use. It returns invalid_state where there
// was none, and invalid_request for a kind that there is none of.
func (s *Service) Rollback(ctx context.Context, r Return) (Stored, error) {
	if !slices.Contains(fraud.Kinds(), r.Kind) {
		return Stored{}, fault.New(fault.InvalidRequest, "want ping or authorization").At("kind")
	}
	return s.use(ctx, Promotion{As: Champion, Actor: r.Actor, Also: r.Also}, rollbackAction, func(ctx context.Context, tx *storage.Tx) (Stored, error) {
		now, found, err := storage.One(ctx, tx, scanModel, findInUse, string(Champion), string(r.Kind))
		if err != nil {
			return Stored{}, err
		}
		if !found {
			return Stored{}, fault.New(fault.InvalidState, "the model in the program is the first: there is none before it")
		}
		return s.findModel(ctx, tx, now.Before)
	})
}

const rollbackAction = "fraud.rollback_model"

// use changes what the model that which returns is for, in one transaction.
func (s *Service) use(ctx context.Context, p Promotion, action string, which func(context.Context, *storage.Tx) (Stored, error)) (Stored, error) {
	now := s.now()
	var m Stored
	err := s.DB.Write(ctx, func(ctx context.Context, tx *storage.Tx) (err error) {
		// Two changes wait for each other here: what is looked up below stays so.
		if _, err := tx.Exec(ctx, advanceChange); err != nil {
			return err
		}
		if m, err = which(ctx, tx); err != nil {
			return err
		}
		before := builtinOf(m.Kind)
		current, found, err := storage.One(ctx, tx, scanModel, findInUse, string(Champion), string(m.Kind))
		if err != nil {
			return err
		}
		if found {
			before = current.ID
		}
		if before == m.ID && p.As == Champion { // it is already
			return p.Also.Apply(ctx, tx, m)
		}
		if p.As == Kept {
			before = ""
		} else if _, err := tx.Exec(ctx, retire, string(p.As), string(m.Kind), storage.Micros(now)); err != nil {
			return err
		}
		if p.As == Challenger {
			before = ""
		}
		m.State, m.Before, m.ChangedAt = p.As, before, now
		if action == rollbackAction {
			m.Before = builtinOf(m.Kind) // not what was just found wanting
		}
		if m.ID != builtinOf(m.Kind) {
			if _, err := tx.Exec(ctx, putInUse, string(m.ID), string(m.State), string(m.Before), storage.Micros(now)); err != nil {
				return err
			}
		}
		if err := s.record(ctx, tx, change{p.Actor, action, string(m.ID), map[string]string{"as": string(p.As)}}); err != nil {
			return err
		}
		return p.Also.Apply(ctx, tx, m)
	})
	if err != nil {
		return Stored{}, err
	}
	return m, s.Refresh(ctx)
}

// Refresh takes up what changed of models and rules, here or in another process.
func (s *Service) Refresh(ctx context.Context) error {
	version, _, err := storage.One(ctx, s.DB, storage.Scalar[int64], findChange)
	if err != nil || version == s.change.Load() {
		return err
	}
	book, err := s.enabled(ctx)
	if err != nil {
		return err
	}
	for _, kind := range fraud.Kinds() {
		champion, err := s.load(ctx, Champion, kind)
		if err != nil {
			return err
		}
		challenger, err := s.load(ctx, Challenger, kind)
		if err != nil {
			return err
		}
		s.judge.Use(kind, cmp.Or(champion, s.shipped[kind]), challenger)
	}
	s.judge.UseBook(book)
	s.change.Store(version)
	return nil
}

// load reads the model of a kind of events in a state; nil where there is none, or none that this version
// can use: the one in the program serves then.
func (s *Service) load(ctx context.Context, state ModelState, kind fraud.Kind) (*estimator.Model, error) {
	m, found, err := storage.One(ctx, s.DB, scanModel, findInUse, string(state), string(kind))
	if err != nil || !found {
		return nil, err
	}
	file, _, err := storage.One(ctx, s.DB, storage.Scalar[[]byte], readModel, string(m.ID))
	if err != nil {
		return nil, err
	}
	read, err := estimator.Read(file)
	if err != nil {
		s.Logger.WarnContext(ctx, "model left out", "model", string(m.ID), "error", err)
		return nil, nil
	}
	return read, nil
}
