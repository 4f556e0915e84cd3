package operator

import (
	"context"
	"strings"

	"github.com/scripcards/scrip/internal/api/operator/desk"
	"github.com/scripcards/scrip/internal/api/wire"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/ping"
)

func (a *api) networkRoutes(s *surface) {
	const networks, network = "/networks", "/networks/{realm}/{network_id}"
	add := created(post("networks.create", networks, administer))
	change := once(patch("networks.change", network, administer))
	add.MaxBody, change.MaxBody = ping.MaxConfig+maxBody, ping.MaxConfig+maxBody
	wire.Handle(s, add, a.createNetwork)
	wire.Handle(s, get("networks.list", networks), a.listNetworks)
	wire.Handle(s, get("networks.get", network), a.getNetwork)
	wire.Handle(s, change, a.changeNetwork)
	wire.Handle(s, once(remove("networks.delete", network)), a.deleteNetwork)
	wire.Handle(s, created(post("honey.create", "/honey", administer)), a.createHoney)
	wire.Handle(s, get("honey.list", "/honey"), a.listHoney)
	wire.Handle(s, once(remove("honey.delete", "/honey/{honey_id}")), a.deleteHoney)
}

func remove(name, path string) wire.Spec { return desk.Remove(name, path) }

// nothing is the answer to what was removed.
func nothing[T any](T) wire.None { return wire.None{} }

// networkView is a configured network. What it is configured with is never shown.
type networkView struct {
	NetworkID   string          `json:"network_id"`
	Realm       string          `json:"realm"`
	Name        string          `json:"name"`
	Type        string          `json:"type"`
	Kind        string          `json:"kind"`
	Rules       rulesView       `json:"rules"`
	Timeout     duration        `json:"timeout,omitzero"`
	Attempts    int             `json:"attempts,omitzero"`
	Concurrency int             `json:"concurrency,omitzero"`
	Active      bool            `json:"active"`
	State       string          `json:"state"`
	CreatedAt   wire.TimeMillis `json:"created_at"`
	ChangedAt   wire.TimeMillis `json:"changed_at"`
}

type rulesView struct {
	Lengths     []int    `json:"lengths"`
	Prefixes    []string `json:"prefixes"`
	Letters     bool     `json:"letters"`
	PINRequired bool     `json:"pin_required"`
	Currencies  []string `json:"currencies"`
}

func viewNetwork(n ping.Configured) networkView {
	rules := rulesView{Lengths: listed(n.Rules.Lengths), Prefixes: listed(n.Rules.Prefixes), Letters: n.Rules.Letters, PINRequired: n.Rules.PINRequired,
		Currencies: []string{}}
	for _, c := range n.Rules.Currencies {
		rules.Currencies = append(rules.Currencies, c.String())
	}
	return networkView{NetworkID: n.ID, Realm: string(n.Realm), Name: n.Name, Type: string(n.Type), Kind: n.Kind, Rules: rules, Timeout: duration(n.Timeout),
		Attempts: n.Attempts, Concurrency: n.Concurrency, Active: n.Active, State: string(n.State), CreatedAt: at(n.CreatedAt), ChangedAt: at(n.ChangedAt)}
}

func listed[T any](all []T) []T { return desk.Listed(all) }

type networkRules struct {
	Lengths     []int    `json:"lengths"`
	Prefixes    []string `json:"prefixes"`
	Letters     *bool    `json:"letters"`
	PINRequired *bool    `json:"pin_required"`
	Currencies  []string `json:"currencies"`
}

// rules reads what can be said of numbers without asking.
func (in *networkRules) rules() (ping.Rules, error) {
	if in == nil {
		return ping.Rules{}, nil
	}
	out := ping.Rules{Lengths: in.Lengths, Prefixes: in.Prefixes, Letters: in.Letters != nil && *in.Letters, PINRequired: in.PINRequired != nil && *in.PINRequired}
	for _, code := range in.Currencies {
		c, err := money.Parse(code)
		if err != nil {
			return out, fault.New(fault.UnknownCurrency, "want ISO 4217 codes").At("rules.currencies")
		}
		out.Currencies = append(out.Currencies, c)
	}
	return out, nil
}

type newNetwork struct {
	Realm     string        `json:"realm" wire:"required"`
	NetworkID string        `json:"network_id" wire:"required,max=32"`
	Name      string        `json:"name" wire:"required,max=100"`
	Type      string        `json:"type" wire:"required"`
	Kind      string        `json:"kind" wire:"required,max=32"`
	Config    wire.Raw      `json:"config" wire:"required"`
	Rules     *networkRules `json:"rules"`
	networkBounds
}

// networkBounds are what a network may be without, and what its changes may name.
type networkBounds struct {
	Timeout     *duration `json:"timeout"`
	Attempts    *int      `json:"attempts"`
	Concurrency *int      `json:"concurrency"`
	Active      *bool     `json:"active"`
}

func (in *networkBounds) apply(to *ping.Configured) {
	to.Timeout = in.Timeout.Or(to.Timeout)
	desk.Set(&to.Attempts, in.Attempts)
	desk.Set(&to.Concurrency, in.Concurrency)
	desk.Set(&to.Active, in.Active)
}

func (a *api) createNetwork(ctx context.Context, c *call, in newNetwork) (networkView, error) {
	r, err := realmOf(in.Realm)
	if err != nil {
		return networkView{}, err
	}
	rules, err := in.Rules.rules()
	if err != nil {
		return networkView{}, err
	}
	n := ping.Configured{Realm: r, ID: in.NetworkID, Name: in.Name, Type: ping.Type(in.Type), Kind: in.Kind, Rules: rules, Active: true}
	in.apply(&n)
	made, err := a.Pings.AddNetwork(ctx, ping.Setup{Configured: n, Config: in.Config, Actor: actor(c), Also: storing(a, c, viewNetwork)})
	return viewNetwork(made), a.raced(ctx, c, networkFault(err))
}

// networkFault blames the member of the request where the product blames its own.
func networkFault(err error) error {
	if err != nil && fault.From(err).Field == "id" {
		return fault.From(err).At("network_id")
	}
	return err
}

type networkList struct {
	Realm string `query:"realm" json:"-" wire:"required"`
}

func (a *api) listNetworks(ctx context.Context, _ *call, in networkList) (wire.Listing[networkView], error) {
	r, err := realmOf(in.Realm)
	if err != nil {
		return wire.Listing[networkView]{}, err
	}
	found, err := a.Pings.ListNetworks(ctx, r)
	return page(found, viewNetwork), err
}

type networkPath struct {
	desk.InRealm
	NetworkID string `path:"network_id" json:"-"`
}

func (a *api) network(ctx context.Context, in networkPath) (ping.Configured, error) {
	r, err := in.Realm()
	if err != nil {
		return ping.Configured{}, err
	}
	return a.Pings.FindNetwork(ctx, r, in.NetworkID)
}

func (a *api) getNetwork(ctx context.Context, _ *call, in networkPath) (networkView, error) {
	found, err := a.network(ctx, in)
	return viewNetwork(found), err
}

type networkChange struct {
	networkPath
	Name   *string       `json:"name"`
	Type   *string       `json:"type"`
	Kind   *string       `json:"kind"`
	Config wire.Raw      `json:"config"`
	Rules  *networkRules `json:"rules"`
	networkBounds
}

func (a *api) changeNetwork(ctx context.Context, c *call, in networkChange) (networkView, error) {
	r, err := in.Realm()
	if err != nil {
		return networkView{}, err
	}
	changed, err := a.Pings.ChangeNetwork(ctx, ping.NetworkChange{Realm: r, ID: in.NetworkID, Edit: in.edit, Config: in.Config, Actor: actor(c),
		Also: storing(a, c, viewNetwork)})
	return viewNetwork(changed), a.raced(ctx, c, err)
}

// edit makes of a network what the request says.
func (in *networkChange) edit(to *ping.Configured) (err error) {
	desk.Set(&to.Name, in.Name)
	desk.Set((*string)(&to.Type), in.Type)
	desk.Set(&to.Kind, in.Kind)
	if in.Rules != nil {
		to.Rules, err = in.Rules.rules()
	}
	in.apply(to)
	return err
}

func (a *api) deleteNetwork(ctx context.Context, c *call, in networkPath) (wire.None, error) {
	r, err := in.Realm()
	if err != nil {
		return wire.None{}, err
	}
	err = a.Pings.RemoveNetwork(ctx, ping.NetworkRemoval{Realm: r, ID: in.NetworkID, Actor: actor(c), Also: storing(a, c, nothing[ping.Configured])})
	return wire.None{}, a.raced(ctx, c, err)
}

// honeyView is a honey number without the number.
type honeyView struct {
	HoneyID   string          `json:"honey_id"`
	Realm     string          `json:"realm"`
	NetworkID string          `json:"network_id"`
	Last4     string          `json:"last4"`
	Note      string          `json:"note,omitzero"`
	CreatedAt wire.TimeMillis `json:"created_at"`
}

func viewHoney(h ping.Honey) honeyView {
	return honeyView{HoneyID: string(h.ID), Realm: string(h.Realm), NetworkID: h.Network, Last4: h.Last4, Note: h.Note, CreatedAt: at(h.CreatedAt)}
}

type newHoney struct {
	Realm     string     `json:"realm" wire:"required"`
	NetworkID string     `json:"network_id" wire:"required,max=64"`
	Number    pan.Secret `json:"number" wire:"required"`
	Note      string     `json:"note" wire:"max=200"`
}

func (a *api) createHoney(ctx context.Context, c *call, in newHoney) (honeyView, error) {
	r, err := realmOf(in.Realm)
	if err != nil {
		return honeyView{}, err
	}
	if strings.TrimSpace(in.Note) != "" {
		if in.Note, err = written("note", in.Note); err != nil {
			return honeyView{}, err
		}
	}
	made, err := a.Pings.AddHoney(ctx, ping.NewHoney{Realm: r, Network: in.NetworkID, Number: in.Number, Note: in.Note, Actor: actor(c),
		Also: storing(a, c, viewHoney)})
	return viewHoney(made), a.raced(ctx, c, blamed(err))
}

// blamed is a refusal that blames the network under the name that it has here.
func blamed(err error) error {
	if f := fault.From(err); err != nil && f.Field == "network" {
		return f.At("network_id")
	}
	return err
}

func (a *api) listHoney(ctx context.Context, _ *call, in struct{ wire.CursorQuery }) (wire.Listing[honeyView], error) {
	s, err := a.span(in.CursorQuery, "honey")
	if err != nil {
		return wire.Listing[honeyView]{}, err
	}
	found, err := a.Pings.ListHoney(ctx, ping.HoneyID(s.after), s.limit+1)
	found, next := cut(found, s, func(h ping.Honey) string { return string(h.ID) })
	list := page(found, viewHoney)
	list.NextCursor = a.more(s, next)
	return list, err
}

type honeyPath struct {
	HoneyID string `path:"honey_id" json:"-"`
}

func (a *api) deleteHoney(ctx context.Context, c *call, in honeyPath) (wire.None, error) {
	if err := known("honey number", "honey", in.HoneyID); err != nil {
		return wire.None{}, err
	}
	err := a.Pings.RemoveHoney(ctx, ping.HoneyRemoval{ID: ping.HoneyID(in.HoneyID), Actor: actor(c), Also: storing(a, c, nothing[ping.Honey])})
	return wire.None{}, a.raced(ctx, c, err)
}
