package supplier

import (
	"context"
	"slices"

	"github.com/scripcards/scrip/internal/api/operator/desk"
	"github.com/scripcards/scrip/internal/api/wire"
	"github.com/scripcards/scrip/internal/catalog"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/order/supply"
)

// routeView is who delivers an item, and how. Without a priority, it is asked first.
type routeView struct {
	SupplierID   string `json:"supplier_id"`
	Kind         string `json:"kind"`
	Active       bool   `json:"active"`
	SupplierItem string `json:"supplier_item"`
	Priority     *int   `json:"priority,omitzero"`
	BelowCost    bool   `json:"below_cost"`
}

type itemPath struct {
	desk.InRealm
	ItemCode string `path:"item_code" json:"-"`
}

// listRoutes lists who delivers an item, in the order in which they are asked.
func (a *api) listRoutes(ctx context.Context, _ *call, in itemPath) (wire.Listing[routeView], error) {
	r, err := in.Realm()
	if err != nil {
		return wire.Listing[routeView]{}, err
	}
	return a.routesOf(ctx, r, catalog.ItemCode(in.ItemCode))
}

func (a *api) routesOf(ctx context.Context, r realm.Realm, item catalog.ItemCode) (wire.Listing[routeView], error) {
	none := wire.Listing[routeView]{}
	routes, err := a.Supply.Routes(ctx, r, item)
	if err != nil {
		return none, err
	}
	list := wire.Listing[routeView]{Data: make([]routeView, 0, len(routes)+1)}
	if !slices.ContainsFunc(routes, func(r supply.Route) bool { return r.Supplier == supply.Stock }) {
		list.Data = append(list.Data, routeView{SupplierID: supply.Stock, Kind: supply.Stock, Active: true, SupplierItem: string(item), BelowCost: true})
	}
	for _, route := range routes {
		to := supply.Configured{Kind: supply.Stock, Active: true}
		if route.Supplier != supply.Stock {
			to, err = a.Supply.Find(ctx, r, route.Supplier)
		}
		if fault.CodeOf(err) == fault.NotFound {
			continue // it was removed
		}
		if err != nil {
			return none, err
		}
		list.Data = append(list.Data, routeView{SupplierID: route.Supplier, Kind: to.Kind, Active: to.Active, SupplierItem: route.TheirItem(),
			Priority: &route.Priority, BelowCost: route.BelowCost})
	}
	return list, nil
}

type routePath struct {
	itemPath
	SupplierID string `path:"supplier_id" json:"-"`
}

func (in *routePath) route() (supply.Route, error) {
	r, err := in.Realm()
	return supply.Route{Realm: r, Item: catalog.ItemCode(in.ItemCode), Supplier: in.SupplierID}, err
}

type newRoute struct {
	routePath
	SupplierItem string `json:"supplier_item" wire:"max=64"`
	Priority     *int   `json:"priority"`
	BelowCost    bool   `json:"below_cost"`
}

// defaultPriority leaves room before and after.
const defaultPriority = 100

// putRoute has a supplier deliver an item, or changes how, and lists all who do.
func (a *api) putRoute(ctx context.Context, c *call, in newRoute) (wire.Listing[routeView], error) {
	to, err := in.route()
	if err != nil {
		return wire.Listing[routeView]{}, err
	}
	to.SupplierItem, to.Priority, to.BelowCost = in.SupplierItem, defaultPriority, in.BelowCost
	desk.Set(&to.Priority, in.Priority)
	if err := a.Supply.PutRoute(ctx, to, desk.Actor(c)); err != nil {
		return wire.Listing[routeView]{}, blamed(err)
	}
	return a.routesOf(ctx, to.Realm, to.Item)
}

func (a *api) deleteRoute(ctx context.Context, c *call, in routePath) (wire.None, error) {
	of, err := in.route()
	if err != nil {
		return wire.None{}, err
	}
	return wire.None{}, a.Supply.RemoveRoute(ctx, of, desk.Actor(c))
}
