package code

import (
	"context"
	"slices"

	"github.com/spf13/cobra"

	"github.com/scripcards/scrip/internal/catalog"
	"github.com/scripcards/scrip/internal/cli/shell"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/order/supply"
	"github.com/scripcards/scrip/internal/server"
)

func (p *program) route() *cobra.Command {
	var in string
	var r supply.Route
	cmd := &cobra.Command{
		Use: "route ITEM SUPPLIER", Short: "Have a supplier deliver an item, or change how", Args: cobra.ExactArgs(2),
		Long: `Route has a supplier deliver an item. Suppliers of an item are asked by priority, the
lowest first, and among equal ones the cheapest first. The operator's own stock is the
supplier "stock": it is asked before all others unless a route of its own says when. A
code is not sold for less than it costs unless --below-cost says so. What no flag names
stays as it is where the supplier delivers the item already.`,
		Example: `  scrip supplier route GOOGLE-5USD-KOXx acme --realm live --their-item GP-5-US --priority 10
  scrip supplier route GOOGLE-5USD-KOXx stock --realm live --priority 20`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.inRealm(cmd, in, func(ctx context.Context, app *server.App, of realm.Realm) error {
				r.Realm, r.Item, r.Supplier = of, catalog.ItemCode(args[0]), args[1]
				before, err := app.Supply.Routes(ctx, of, r.Item)
				if err != nil {
					return err
				}
				keepRoute(cmd, &r, before)
				if err := app.Supply.PutRoute(ctx, r, shell.Actor()); err != nil {
					return err
				}
				return p.showRoutes(ctx, cmd, app, r)
			})
		},
	}
	shell.RealmFlag(cmd, &in, realm.Test)
	flags := cmd.Flags()
	flags.StringVar(&r.SupplierItem, "their-item", "", "the supplier's item code; empty: the same")
	flags.IntVar(&r.Priority, "priority", 100, "0 to 1000; the lowest is asked first")
	flags.BoolVar(&r.BelowCost, "below-cost", false, "sell for less than it costs, too")
	return cmd
}

// keepRoute leaves what no flag names as it is in the route of r's supplier, if there is one.
func keepRoute(cmd *cobra.Command, r *supply.Route, before []supply.Route) {
	for _, old := range before {
		if old.Supplier != r.Supplier {
			continue
		}
		if !cmd.Flags().Changed("their-item") {
			r.SupplierItem = old.SupplierItem
		}
		if !cmd.Flags().Changed("priority") {
			r.Priority = old.Priority
		}
		if !cmd.Flags().Changed("below-cost") {
			r.BelowCost = old.BelowCost
		}
	}
}

func (p *program) unroute() *cobra.Command {
	var in string
	cmd := &cobra.Command{
		Use: "unroute ITEM SUPPLIER", Short: "Have a supplier not deliver an item any more", Args: cobra.ExactArgs(2),
		Example: "  scrip supplier unroute GOOGLE-5USD-KOXx acme --realm live",
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.inRealm(cmd, in, func(ctx context.Context, app *server.App, of realm.Realm) error {
				r := supply.Route{Realm: of, Item: catalog.ItemCode(args[0]), Supplier: args[1]}
				if err := app.Supply.RemoveRoute(ctx, r, shell.Actor()); err != nil {
					return err
				}
				return p.showRoutes(ctx, cmd, app, r)
			})
		},
	}
	shell.RealmFlag(cmd, &in, realm.Test)
	return cmd
}

func (p *program) listRoutes() *cobra.Command {
	var in string
	cmd := &cobra.Command{
		Use: "routes ITEM", Short: "List who delivers an item, in the order in which they are asked", Args: cobra.ExactArgs(1),
		Example: "  scrip supplier routes GOOGLE-5USD-KOXx --realm live",
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.inRealm(cmd, in, func(ctx context.Context, app *server.App, of realm.Realm) error {
				return p.showRoutes(ctx, cmd, app, supply.Route{Realm: of, Item: catalog.ItemCode(args[0])})
			})
		},
	}
	shell.RealmFlag(cmd, &in, realm.Test)
	return cmd
}

// showRoutes lists who delivers an item, in the order in which they are asked.
func (p *program) showRoutes(ctx context.Context, cmd *cobra.Command, app *server.App, of supply.Route) error {
	routes, err := app.Supply.Routes(ctx, of.Realm, of.Item)
	if err != nil {
		return err
	}
	l := shell.Listing{Columns: []string{"supplier_id", "kind", "active", "supplier_item", "priority", "below_cost"}}
	if !slices.ContainsFunc(routes, func(r supply.Route) bool { return r.Supplier == supply.Stock }) {
		l.Add(supply.Stock, supply.Stock, true, of.Item, shell.Cell{Text: "first"}, true)
	}
	for _, r := range routes {
		to := supply.Configured{Kind: supply.Stock, Active: true}
		if r.Supplier != supply.Stock {
			if to, err = app.Supply.Find(ctx, of.Realm, r.Supplier); fault.CodeOf(err) == fault.NotFound {
				continue // it was removed
			}
			if err != nil {
				return err
			}
		}
		l.Add(r.Supplier, to.Kind, to.Active, r.TheirItem(), r.Priority, r.BelowCost)
	}
	return p.Print(cmd, l)
}
