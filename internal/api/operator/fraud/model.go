package fraud

import (
	"context"
	"strconv"

	"github.com/scripcards/scrip/internal/api/operator/desk"
	"github.com/scripcards/scrip/internal/api/wire"
	"github.com/scripcards/scrip/internal/fraud"
	"github.com/scripcards/scrip/internal/fraud/office"
	"github.com/scripcards/scrip/internal/fraud/rulebook"
)

type modelView struct {
	ModelID   string          `json:"model_id"`
	Kind      string          `json:"kind"`
	Name      string          `json:"name"`
	SHA256    string          `json:"sha256"`
	State     string          `json:"state"`
	Data      string          `json:"data"`
	Rows      int             `json:"rows"`
	Attacks   int             `json:"attacks"`
	BeforeID  string          `json:"before_id,omitzero"`
	Actor     string          `json:"actor,omitzero"`
	CreatedAt wire.TimeMillis `json:"created_at,omitzero"`
	ChangedAt wire.TimeMillis `json:"changed_at,omitzero"`
}

func viewModel(m office.Stored) modelView {
	v := modelView{ModelID: string(m.ID), Kind: string(m.Kind), Name: m.Info.Name, SHA256: m.Sum, State: string(m.State), Data: m.Info.Data, Rows: m.Info.Rows,
		Attacks: m.Info.Attacks, BeforeID: string(m.Before), Actor: m.Actor}
	if !m.CreatedAt.IsZero() {
		v.CreatedAt, v.ChangedAt = desk.At(m.CreatedAt), desk.At(m.ChangedAt)
	}
	return v
}

func (a *api) models(ctx context.Context, _ *desk.Call, _ struct{}) (wire.Listing[modelView], error) {
	found, err := a.office.Models(ctx)
	return desk.Page(found, viewModel), err
}

type modelPath struct {
	ModelID string `path:"model_id" json:"-"`
}

func (a *api) model(ctx context.Context, _ *desk.Call, in modelPath) (modelView, error) {
	m, err := a.office.FindModel(ctx, office.ModelID(in.ModelID))
	return viewModel(m), err
}

type promotion struct {
	modelPath
	As string `json:"as" wire:"required"`
}

func (a *api) promote(ctx context.Context, c *desk.Call, in promotion) (modelView, error) {
	m, err := a.office.Promote(ctx, office.Promotion{Model: office.ModelID(in.ModelID), As: office.ModelState(in.As), Actor: desk.Actor(c),
		Also: desk.Storing(a.desk, c, viewModel)})
	return viewModel(m), a.desk.Raced(ctx, c, err)
}

type rollback struct {
	Kind string `json:"kind" wire:"required"`
}

func (a *api) rollback(ctx context.Context, c *desk.Call, in rollback) (modelView, error) {
	m, err := a.office.Rollback(ctx, office.Return{Kind: fraud.Kind(in.Kind), Actor: desk.Actor(c), Also: desk.Storing(a.desk, c, viewModel)})
	return viewModel(m), a.desk.Raced(ctx, c, err)
}

type backtestView struct {
	Events         int         `json:"events"`
	Frauds         int         `json:"frauds"`
	Genuine        int         `json:"genuine"`
	Flagged        int         `json:"flagged"`
	FlaggedFrauds  int         `json:"flagged_frauds"`
	FlaggedGenuine int         `json:"flagged_genuine"`
	CustomersHurt  int         `json:"customers_hurt"`
	Precision      wire.Number `json:"precision"`
	Recall         wire.Number `json:"recall"`
}

type ruleView struct {
	RuleID    string          `json:"rule_id"`
	Version   int64           `json:"version"`
	Name      string          `json:"name"`
	When      string          `json:"when"`
	Action    string          `json:"action"`
	AtLeast   int             `json:"at_least_hundredths"`
	State     string          `json:"state"`
	Backtest  *backtestView   `json:"backtest,omitzero"`
	Actor     string          `json:"actor"`
	CreatedAt wire.TimeMillis `json:"created_at"`
	ChangedAt wire.TimeMillis `json:"changed_at"`
}

// share is a part of a whole as answers show it.
func share(x float64) wire.Number { return wire.Number(strconv.FormatFloat(x, 'f', 4, 64)) }

func viewRule(r office.Rule) ruleView {
	v := ruleView{RuleID: string(r.ID), Version: r.Version, Name: r.Name, When: r.When, Action: string(r.Action), AtLeast: r.AtLeast, State: string(r.State),
		Actor: r.Actor, CreatedAt: desk.At(r.CreatedAt), ChangedAt: desk.At(r.ChangedAt)}
	if b := r.Tested; b != nil {
		v.Backtest = &backtestView{b.Events, b.Frauds, b.Genuine, b.Flagged, b.FlaggedFrauds, b.FlaggedGenuine, b.Hurt, share(b.Precision), share(b.Recall)}
	}
	return v
}

func (a *api) rules(ctx context.Context, _ *desk.Call, _ struct{}) (wire.Listing[ruleView], error) {
	found, err := a.office.Rules(ctx)
	return desk.Page(found, viewRule), err
}

type rulePath struct {
	RuleID string `path:"rule_id" json:"-"`
}

func (a *api) rule(ctx context.Context, _ *desk.Call, in rulePath) (ruleView, error) {
	r, err := a.office.FindRule(ctx, office.RuleID(in.RuleID))
	if err != nil {
		return ruleView{}, err
	}
	return viewRule(r), nil
}

type ruleBody struct {
	Name    string `json:"name" wire:"required,max=100"`
	When    string `json:"when" wire:"required,max=2000"`
	Action  string `json:"action" wire:"required"`
	AtLeast int    `json:"at_least_hundredths"`
}

type newVersion struct {
	rulePath
	ruleBody
}

func (a *api) createRule(ctx context.Context, c *desk.Call, in ruleBody) (ruleView, error) {
	return a.write(ctx, c, "", in)
}

func (a *api) changeRule(ctx context.Context, c *desk.Call, in newVersion) (ruleView, error) {
	if err := desk.Known("rule", "frl", in.RuleID); err != nil {
		return ruleView{}, err
	}
	return a.write(ctx, c, office.RuleID(in.RuleID), in.ruleBody)
}

func (a *api) write(ctx context.Context, c *desk.Call, which office.RuleID, in ruleBody) (ruleView, error) {
	r, err := a.office.WriteRule(ctx, office.Writing{ID: which, Actor: desk.Actor(c), Also: desk.Storing(a.desk, c, viewRule),
		Rule: rulebook.Rule{Name: in.Name, When: in.When, Action: rulebook.Action(in.Action), AtLeast: in.AtLeast}})
	if err != nil {
		return ruleView{}, a.desk.Raced(ctx, c, err)
	}
	return viewRule(r), nil
}

func (a *api) testRule(ctx context.Context, _ *desk.Call, in rulePath) (ruleView, error) {
	r, err := a.office.TestRule(ctx, office.RuleID(in.RuleID))
	if err != nil {
		return ruleView{}, err
	}
	return viewRule(r), nil
}

func (a *api) enableRule(ctx context.Context, c *desk.Call, in rulePath) (ruleView, error) {
	return a.turn(ctx, c, in, true)
}

func (a *api) disableRule(ctx context.Context, c *desk.Call, in rulePath) (ruleView, error) {
	return a.turn(ctx, c, in, false)
}

func (a *api) turn(ctx context.Context, c *desk.Call, in rulePath, on bool) (ruleView, error) {
	r, err := a.office.SwitchRule(ctx, office.Switching{Rule: office.RuleID(in.RuleID), On: on, Actor: desk.Actor(c), Also: desk.Storing(a.desk, c, viewRule)})
	if err != nil {
		return ruleView{}, a.desk.Raced(ctx, c, err)
	}
	return viewRule(r), nil
}
