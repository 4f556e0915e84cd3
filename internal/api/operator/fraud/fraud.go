// Package fraud is the room of the operator API for the fraud engine: decisions and what
// they were made of, labels, models, and the operator's own rules.
//
// It translates, and holds no rule. It must never show a card number, nor the numbers of
// a card's neighbours: what it shows of an event is what operators see of a check.
package fraud

import (
	"cmp"
	"context"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/scripcards/scrip/internal/api/operator/desk"
	"github.com/scripcards/scrip/internal/api/wire"
	"github.com/scripcards/scrip/internal/fraud"
	"github.com/scripcards/scrip/internal/fraud/office"
	"github.com/scripcards/scrip/internal/fraud/rulebook"
	"github.com/scripcards/scrip/internal/fraud/sense"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/ping"
	"github.com/scripcards/scrip/internal/platform/storage"
)

type api struct {
	office *office.Service
	desk   *desk.Desk
	pings  *ping.Service
}

// Routes adds the room's calls to the operator API.
func Routes(s *desk.Surface, d *desk.Desk, engine *office.Service, pings *ping.Service) {
	a := &api{engine, d, pings}
	wire.Handle(s, desk.Get("decisions.list", "/decisions"), a.list)
	wire.Handle(s, desk.Get("decisions.get", "/decisions/{decision_id}"), a.get)
	wire.Handle(s, desk.Once(desk.Post("fraud.label", "/fraud/labels", desk.Assist)), a.label)
	wire.Handle(s, desk.Get("fraud.models.list", "/fraud/models"), a.models)
	wire.Handle(s, desk.Get("fraud.models.get", "/fraud/models/{model_id}"), a.model)
	wire.Handle(s, desk.Once(desk.Post("fraud.models.promote", "/fraud/models/{model_id}/promote", desk.Administer)), a.promote)
	wire.Handle(s, desk.Once(desk.Post("fraud.models.rollback", "/fraud/rollback", desk.Administer)), a.rollback)
	wire.Handle(s, desk.Get("fraud.rules.list", "/fraud/rules"), a.rules)
	wire.Handle(s, desk.Created(desk.Post("fraud.rules.create", "/fraud/rules", desk.Administer)), a.createRule)
	const one = "/fraud/rules/{rule_id}"
	wire.Handle(s, desk.Get("fraud.rules.get", one), a.rule)
	wire.Handle(s, desk.Created(desk.Post("fraud.rules.change", one+"/versions", desk.Administer)), a.changeRule)
	wire.Handle(s, desk.Once(desk.Post("fraud.rules.backtest", one+"/backtest", desk.Assist)), a.testRule)
	wire.Handle(s, desk.Once(desk.Post("fraud.rules.enable", one+"/enable", desk.Administer)), a.enableRule)
	wire.Handle(s, desk.Once(desk.Post("fraud.rules.disable", one+"/disable", desk.Administer)), a.disableRule)
}

// score is hundredths, of a score or an hour, as answers show them.
func score(n int) wire.Number { return wire.Number(fmt.Sprintf("%d.%02d", n/100, n%100)) }

// part is a score that may not be there.
func part(n int) wire.Number {
	if n < 0 {
		return ""
	}
	return score(n)
}

type reasonView struct {
	Signal        string      `json:"signal"`
	Of            string      `json:"of"`
	Value         int64       `json:"value"`
	Threshold     int64       `json:"threshold"`
	WindowSeconds int64       `json:"window_seconds"`
	Points        wire.Number `json:"points"`
	Withheld      bool        `json:"withheld"`
}

func viewReason(s fraud.Signal) reasonView {
	return reasonView{Signal: s.Name, Of: s.Of, Value: s.Value, Threshold: s.Threshold, WindowSeconds: int64(s.Window / time.Second), Points: score(s.Points),
		Withheld: s.Telling}
}

// lifeView is what was heard of a card before an event.
type lifeView struct {
	HoursSinceActivation wire.Number `json:"hours_since_activation,omitzero"`
	HoursSinceReload     wire.Number `json:"hours_since_reload,omitzero"`
	AsksSince            int64       `json:"asks_since"`
}

func viewLife(l sense.Life) *lifeView {
	hours := func(x float32) wire.Number {
		if !(x >= 0) {
			return ""
		}
		return score(int(100 * min(x, 1e6)))
	}
	return &lifeView{HoursSinceActivation: hours(l.SinceActivation), HoursSinceReload: hours(l.SinceReload), AsksSince: int64(l.Asks)}
}

type decisionView struct {
	DecisionID string `json:"decision_id"`
	BookID     string `json:"book_id"`
	Realm      string `json:"realm"`
	Kind       string `json:"kind"`
	NetworkID  string `json:"network_id,omitzero"`
	// Card is the beginning of the hash that stands for the card.
	Card        string          `json:"card,omitzero"`
	Credential  string          `json:"credential,omitzero"`
	Address     string          `json:"address,omitzero"`
	Score       wire.Number     `json:"score"`
	RulesScore  wire.Number     `json:"rules_score"`
	ModelScore  wire.Number     `json:"model_score,omitzero"`
	ShadowScore wire.Number     `json:"shadow_score,omitzero"`
	Model       string          `json:"model,omitzero"`
	Challenger  string          `json:"challenger,omitzero"`
	Rule        string          `json:"rule,omitzero"`
	Action      string          `json:"action,omitzero"`
	Reasons     []reasonView    `json:"reasons"`
	CardLife    *lifeView       `json:"card_life,omitzero"`
	Label       string          `json:"label,omitzero"`
	LabelledAt  wire.TimeMillis `json:"labelled_at,omitzero"`
	At          wire.TimeMillis `json:"at"`
}

func viewDecision(d office.Decision) decisionView {
	v := decisionView{DecisionID: string(d.ID), BookID: string(d.Book), Realm: string(d.Realm), Kind: string(d.Event.Kind), NetworkID: d.Event.Network,
		Credential: d.Event.Caller, Score: score(d.Score.Hundredths), RulesScore: score(d.Rules), ModelScore: part(d.Model), ShadowScore: part(d.Shadow),
		Model: d.Score.Model, Challenger: d.Challenger, Rule: d.Rule, Action: string(d.Action), Reasons: desk.Page(d.Score.Signals, viewReason).Data,
		Label: string(d.Label), At: desk.At(d.At)}
	if d.Event.Card != (fraud.Hash{}) {
		v.Card = hex.EncodeToString(d.Event.Card[:8])
	}
	if d.Event.Address.IsValid() {
		v.Address = d.Event.Address.String()
	}
	if life, ok := d.Life(); ok {
		v.CardLife = viewLife(life)
	}
	if !d.LabelAt.IsZero() {
		v.LabelledAt = desk.At(d.LabelAt)
	}
	return v
}

type decisionList struct {
	wire.CursorQuery
	Realm    string `query:"realm" json:"-"`
	BookID   string `query:"book_id" json:"-"`
	MinScore int    `query:"min_score" json:"-"`
}

func (a *api) list(ctx context.Context, _ *desk.Call, in decisionList) (wire.Listing[decisionView], error) {
	none := wire.Listing[decisionView]{}
	r, err := desk.RealmOrLive(in.Realm)
	if err != nil {
		return none, err
	}
	if in.MinScore < 0 || in.MinScore > rulebook.MaxScore {
		return none, desk.Invalid("min_score", "a score is 0 to %d hundredths", rulebook.MaxScore)
	}
	if in.BookID != "" {
		if _, err := a.desk.Owner(ctx, in.BookID); err != nil {
			return none, err
		}
	}
	s, err := a.desk.Span(in.CursorQuery, "decisions", string(r), in.BookID, fmt.Sprint(in.MinScore))
	if err != nil {
		return none, err
	}
	found, more, err := a.office.List(ctx, office.Filter{Realm: r, Book: ledger.BookID(in.BookID), From: in.MinScore, Before: office.DecisionID(s.After), Limit: s.Limit + 1})
	found, next := desk.Cut(found, s, func(d office.Decision) string { return string(d.ID) })
	list := desk.Page(found, viewDecision)
	list.NextCursor = a.desk.More(s, cmp.Or(next, string(more)))
	return list, err
}

type decisionPath struct {
	DecisionID string `path:"decision_id" json:"-"`
}

func (a *api) get(ctx context.Context, _ *desk.Call, in decisionPath) (decisionView, error) {
	d, err := a.office.Find(ctx, office.DecisionID(in.DecisionID))
	if err != nil {
		return decisionView{}, err
	}
	return viewDecision(d), nil
}

type labelling struct {
	DecisionID string `json:"decision_id" wire:"required"`
	Label      string `json:"label" wire:"required"`
}

// event notes a label beside the check that a decision is of; a payment has none.
func (a *api) event(d office.Decision) []storage.Effect {
	if d.Event.Kind != fraud.Ping {
		return nil
	}
	return []storage.Effect{a.pings.Judged(d.Event, string(d.ID), ping.Label(d.Label))}
}

func (a *api) label(ctx context.Context, c *desk.Call, in labelling) (decisionView, error) {
	d, err := a.office.Judge(ctx, office.Labelling{Decision: office.DecisionID(in.DecisionID), Verdict: office.Verdict(in.Label), Actor: desk.Actor(c),
		Event: a.event, Also: desk.Storing(a.desk, c, viewDecision)})
	if err != nil {
		return decisionView{}, a.desk.Raced(ctx, c, err)
	}
	return viewDecision(d), nil
}
