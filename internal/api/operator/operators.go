package operator

import (
	"context"
	"net/http"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/api/wire"
	"github.com/scripcards/scrip/internal/core/fault"
)

func (a *api) operatorRoutes(s *surface) {
	const one, keys = "/operators/{operator_id}", "/operators/{operator_id}/keys"
	wire.Handle(s, created(post("operators.create", "/operators", administer)), a.createOperator)
	wire.Handle(s, get("operators.list", "/operators"), a.listOperators)
	wire.Handle(s, get("operators.get", one), a.getOperator)
	wire.Handle(s, patch("operators.change", one, administer), a.changeOperator)
	wire.Handle(s, post("operators.enable", one+"/enable", administer), a.enableOperator)
	wire.Handle(s, post("operators.disable", one+"/disable", administer), a.disableOperator)
	wire.Handle(s, created(post("operator_keys.create", keys, administer)), a.createOperatorKey)
	wire.Handle(s, get("operator_keys.list", keys), a.listOperatorKeys)
	revoke := post("operator_keys.revoke", keys+"/{key_id}/revoke", administer)
	revoke.Status = http.StatusNoContent
	wire.Handle(s, revoke, a.revokeOperatorKey)
}

type operatorPath struct {
	OperatorID string `path:"operator_id" json:"-"`
}

func (in operatorPath) id() (account.OperatorID, error) {
	return account.OperatorID(in.OperatorID), known("operator", "opr", in.OperatorID)
}

type operatorView struct {
	OperatorID string          `json:"operator_id"`
	Name       string          `json:"name"`
	Role       string          `json:"role"`
	State      string          `json:"state"`
	CreatedAt  wire.TimeMillis `json:"created_at"`
	ChangedAt  wire.TimeMillis `json:"changed_at"`
}

func viewOperator(o account.Operator) operatorView {
	return operatorView{OperatorID: string(o.ID), Name: o.Name, Role: string(o.Role), State: string(o.State),
		CreatedAt: at(o.CreatedAt), ChangedAt: at(o.ChangedAt)}
}

type newOperator struct {
	Name string `json:"name" wire:"required,max=128"`
	Role string `json:"role" wire:"required"`
}

func (a *api) createOperator(ctx context.Context, c *call, in newOperator) (operatorView, error) {
	made, err := a.Accounts.CreateOperator(ctx, actor(c), account.NewOperator{Name: in.Name, Role: account.Role(in.Role), Also: storing(a, c, viewOperator)})
	return viewOperator(made), a.raced(ctx, c, err)
}

func (a *api) listOperators(ctx context.Context, _ *call, in struct{ wire.CursorQuery }) (wire.Listing[operatorView], error) {
	s, err := a.span(in.CursorQuery, "operators")
	if err != nil {
		return wire.Listing[operatorView]{}, err
	}
	found, err := a.Accounts.ListOperators(ctx, account.Page{After: s.after, Limit: s.limit})
	list := page(found.Items, viewOperator)
	list.NextCursor = a.more(s, found.Next)
	return list, err
}

func (a *api) operator(ctx context.Context, in operatorPath) (account.Operator, error) {
	id, err := in.id()
	if err != nil {
		return account.Operator{}, err
	}
	return a.Accounts.FindOperator(ctx, id)
}

func (a *api) getOperator(ctx context.Context, _ *call, in operatorPath) (operatorView, error) {
	found, err := a.operator(ctx, in)
	return viewOperator(found), err
}

type operatorChange struct {
	operatorPath
	Name *string `json:"name"`
	Role *string `json:"role"`
}

func (a *api) changeOperator(ctx context.Context, c *call, in operatorChange) (operatorView, error) {
	now, err := a.operator(ctx, in.operatorPath)
	if err != nil {
		return operatorView{}, err
	}
	to := account.NewOperator{Name: now.Name, Role: now.Role}
	if in.Name != nil {
		to.Name = *in.Name
	}
	if in.Role != nil {
		to.Role = account.Role(*in.Role)
	}
	if to.Role != now.Role {
		if err := notSelf(c, now.ID, "change your own role"); err != nil {
			return operatorView{}, err
		}
	}
	changed, err := a.Accounts.ChangeOperator(ctx, actor(c), now.ID, to)
	return viewOperator(changed), err
}

// notSelf keeps operators from locking themselves, and so perhaps everybody, out.
func notSelf(c *call, operator account.OperatorID, what string) error {
	if operator == c.Principal.ID {
		return fault.New(fault.InvalidState, "you cannot %s: have another administrator do it", what)
	}
	return nil
}

func (a *api) enableOperator(ctx context.Context, c *call, in operatorPath) (operatorView, error) {
	return a.setOperator(ctx, c, in, account.OperatorActive)
}

func (a *api) disableOperator(ctx context.Context, c *call, in operatorPath) (operatorView, error) {
	if err := notSelf(c, account.OperatorID(in.OperatorID), "disable yourself"); err != nil {
		return operatorView{}, err
	}
	return a.setOperator(ctx, c, in, account.OperatorDisabled)
}

func (a *api) setOperator(ctx context.Context, c *call, in operatorPath, to account.OperatorState) (operatorView, error) {
	id, err := in.id()
	if err != nil {
		return operatorView{}, err
	}
	changed, err := a.Accounts.SetOperatorState(ctx, actor(c), id, to)
	return viewOperator(changed), err
}

type operatorKeyView struct {
	KeyID      string   `json:"key_id"`
	OperatorID string   `json:"operator_id"`
	Name       string   `json:"name"`
	Networks   []string `json:"networks"`
	Last4      string   `json:"last4"`
	life
}

type issuedOperatorKey struct {
	operatorKeyView
	Secret string `json:"secret"`
}

func (a *api) viewOperatorKey(k account.OperatorKey) operatorKeyView {
	return operatorKeyView{KeyID: string(k.ID), OperatorID: string(k.Operator), Name: k.Name, Networks: k.Networks.Texts(), Last4: k.Last4,
		life: a.viewLife(k.Life)}
}

func (a *api) viewIssuedOperatorKey(k account.IssuedOperatorKey) issuedOperatorKey {
	return issuedOperatorKey{operatorKeyView: a.viewOperatorKey(k.OperatorKey), Secret: k.Secret.Reveal()}
}

type newOperatorKey struct {
	operatorPath
	Name      string     `json:"name" wire:"required,max=128"`
	Networks  []string   `json:"networks"`
	ExpiresAt wire.Since `json:"expires_at"`
}

func (a *api) createOperatorKey(ctx context.Context, c *call, in newOperatorKey) (issuedOperatorKey, error) {
	owner, err := a.operator(ctx, in.operatorPath)
	if err != nil {
		return issuedOperatorKey{}, err
	}
	networks, err := networksOf(in.Networks)
	if err != nil {
		return issuedOperatorKey{}, err
	}
	made, err := a.Accounts.CreateOperatorKey(ctx, actor(c), account.NewOperatorKey{Operator: owner.ID, Name: in.Name, Networks: networks,
		ExpiresAt: in.ExpiresAt.Time(), Also: storing(a, c, a.viewIssuedOperatorKey)})
	return a.viewIssuedOperatorKey(made), a.raced(ctx, c, err)
}

type operatorKeyList struct {
	operatorPath
	wire.CursorQuery
}

func (a *api) listOperatorKeys(ctx context.Context, _ *call, in operatorKeyList) (wire.Listing[operatorKeyView], error) {
	none := wire.Listing[operatorKeyView]{}
	owner, err := a.operator(ctx, in.operatorPath)
	if err != nil {
		return none, err
	}
	s, err := a.span(in.CursorQuery, "operator_keys", in.OperatorID)
	if err != nil {
		return none, err
	}
	found, err := a.Accounts.ListOperatorKeys(ctx, owner.ID, account.Page{After: s.after, Limit: s.limit})
	list := page(found.Items, a.viewOperatorKey)
	list.NextCursor = a.more(s, found.Next)
	return list, err
}

type operatorKeyPath struct {
	operatorPath
	KeyID string `path:"key_id" json:"-"`
}

func (a *api) revokeOperatorKey(ctx context.Context, c *call, in operatorKeyPath) (wire.None, error) {
	owner, err := in.id()
	if err == nil {
		err = known("key", "key", in.KeyID)
	}
	if err != nil {
		return wire.None{}, err
	}
	return wire.None{}, a.Accounts.RevokeOperatorKey(ctx, actor(c), account.OperatorKeyRef{Operator: owner, ID: account.KeyID(in.KeyID)})
}
