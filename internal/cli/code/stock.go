package code

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/scripcards/scrip/internal/catalog"
	"github.com/scripcards/scrip/internal/catalog/stock"
	"github.com/scripcards/scrip/internal/cli/shell"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/plain"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/server"
)

func (p *program) stock() *cobra.Command {
	cmd := &cobra.Command{Use: "stock", Short: "Codes to sell: import, count, quarantine"}
	cmd.AddCommand(p.importStock(), p.countStock(), p.quarantineBatch())
	return cmd
}

func (p *program) importStock() *cobra.Command {
	var o stock.Options
	var costs costs
	var item, name string
	cmd := &cobra.Command{
		Use: "import FILE", Short: "Put the codes of a CSV file on sale", Args: cobra.ExactArgs(1),
		Long: `Import reads a CSV file whose first line names the columns code and perhaps pin,
expires (the last day, such as 2027-12-31) and cost; "-" is standard input. A code that
is in stock already is refused, spaces and dashes apart. Rows that are wrong are listed
on standard error as they are found, and keep no other row out. An import that breaks
off is sent again under the same batch name.`,
		Example: `  scrip stock import codes.csv --item GOOGLE-5USD-KOXx --realm live --batch 2026-11 --supplier Acme --cost 4.60 --dry-run`,
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if o.Realm, err = realm.Parse(name); err != nil {
				return err
			}
			o.Item, o.Actor = catalog.ItemCode(item), shell.Actor()
			return p.WithExisting(cmd, func(ctx context.Context, app *server.App) error {
				if err := costs.read(ctx, app, &o); err != nil {
					return err
				}
				return p.runStockImport(ctx, cmd, app, fromFile[stock.Options]{args[0], o})
			})
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&item, "item", "", "the item code")
	shell.RealmFlag(cmd, &name, realm.Test)
	flags.StringVar(&o.Batch, "batch", "", "a name for the upload")
	flags.StringVar(&o.Supplier, "supplier", "", "where the codes come from")
	flags.StringVar(&costs.each, "cost", "", "what a code cost, where its row does not say")
	flags.StringVar(&costs.currency, "currency", "", "ISO 4217 code of --cost and of costs in the file; empty: the item's")
	flags.BoolVar(&o.DryRun, "dry-run", false, "say what would happen; change nothing")
	shell.Must(cmd.MarkFlagRequired("item"))
	shell.Must(cmd.MarkFlagRequired("batch"))
	return cmd
}

// costs are what codes cost, as flags say it.
type costs struct{ each, currency string }

// read sets them in o, in the item's currency unless one is named.
func (c *costs) read(ctx context.Context, app *server.App, o *stock.Options) (err error) {
	currency := c.currency
	if currency == "" {
		item, err := app.Catalog.Find(ctx, o.Item)
		if err != nil {
			return err
		}
		currency = item.Face.Currency.String()
	}
	if o.Currency, err = money.Parse(currency); err != nil {
		return fmt.Errorf("currency %q: %w", currency, err)
	}
	if c.each != "" {
		o.Cost.Amount, err = shell.ParseAmount(c.each, currency)
	}
	return err
}

func (p *program) runStockImport(ctx context.Context, cmd *cobra.Command, app *server.App, from fromFile[stock.Options]) error {
	o := from.options
	file, err := shell.Open(cmd, from.path)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }() // only read
	bar, wrong := shell.NewBar(cmd, "import"), csv.NewWriter(cmd.ErrOrStderr())
	o.Progress = func(rows int) {
		wrong.Flush()
		bar.Set(int64(rows))
	}
	o.Rejected = func(b stock.BadRow) {
		_ = wrong.Write([]string{strconv.Itoa(b.Line), b.Field, b.Reason}) // its error stays until Error
	}
	report, err := app.Stock.Import(ctx, file, o)
	bar.End()
	wrong.Flush()
	if err = errors.Join(err, wrong.Error()); err != nil {
		return err
	}
	err = p.Show(cmd, []shell.Field{{"batch", report.Batch}, {"rows", report.Rows}, {"added", report.Added}, {"known", report.Known}, {"wrong", report.Wrong}})
	if err == nil && report.Wrong > 0 {
		err = errors.New(plain.Count(report.Wrong, "row is wrong", "rows are wrong"))
	}
	return err
}

func (p *program) countStock() *cobra.Command {
	var name string
	cmd := &cobra.Command{
		Use: "count [ITEM]", Short: "Count the codes of all items, or of the batches of one", Args: cobra.MaximumNArgs(1),
		Example: "  scrip stock count --realm live\n  scrip stock count GOOGLE-5USD-KOXx --realm live",
		RunE: func(cmd *cobra.Command, args []string) error {
			r, err := realm.Parse(name)
			if err != nil {
				return err
			}
			return p.WithExisting(cmd, func(ctx context.Context, app *server.App) error {
				if len(args) == 1 {
					return p.countBatches(ctx, cmd, app, stock.BatchName{Realm: r, Item: catalog.ItemCode(args[0])})
				}
				return p.countItems(ctx, cmd, app, r)
			})
		},
	}
	shell.RealmFlag(cmd, &name, realm.Test)
	return cmd
}

// counted is a number of codes, which are not counted on for ever.
func counted(n int) any {
	if n == stock.MaxCount {
		return shell.Cell{Text: strconv.Itoa(n) + "+", Value: n}
	}
	return n
}

// countItems shows the items that have codes, or should.
func (p *program) countItems(ctx context.Context, cmd *cobra.Command, app *server.App, r realm.Realm) error {
	l := shell.Listing{Columns: []string{"item_code", "codes", "low_stock"}}
	err := app.Catalog.Each(ctx, func(item catalog.Product) error {
		n, low, err := app.Stock.CountOf(ctx, r, &item)
		if err != nil || n == 0 && item.LowStock == 0 {
			return err
		}
		l.Add(item.Code, counted(n), low)
		return nil
	})
	if err != nil {
		return err
	}
	return p.Print(cmd, l)
}

func (p *program) countBatches(ctx context.Context, cmd *cobra.Command, app *server.App, n stock.BatchName) error {
	if _, err := app.Catalog.Find(ctx, n.Item); err != nil {
		return err
	}
	batches, err := app.Stock.List(ctx, n.Realm, n.Item)
	if err != nil {
		return err
	}
	l := shell.Listing{Columns: []string{"batch", "state", "supplier", "available", "quarantined", "sold", "dead", "created_at", "reason"}}
	for i := range batches {
		b := &batches[i]
		sold, dead := b.Sold()
		l.Add(b.Name, b.State, b.Supplier, b.Codes[stock.Available], b.Codes[stock.Quarantined], sold, dead, b.CreatedAt, b.Reason)
	}
	return p.Print(cmd, l)
}

func (p *program) quarantineBatch() *cobra.Command {
	var name, reason string
	var release bool
	cmd := &cobra.Command{
		Use: "quarantine ITEM BATCH", Short: "Take a batch off sale at once, or put it back", Args: cobra.ExactArgs(2),
		Example: "  scrip stock quarantine GOOGLE-5USD-KOXx 2026-11 --realm live --reason 'three complaints'\n" +
			"  scrip stock quarantine GOOGLE-5USD-KOXx 2026-11 --realm live --release",
		RunE: func(cmd *cobra.Command, args []string) error {
			r, err := realm.Parse(name)
			if err != nil {
				return err
			}
			n := stock.BatchName{Realm: r, Item: catalog.ItemCode(args[0]), Name: args[1]}
			return p.WithExisting(cmd, func(ctx context.Context, app *server.App) error {
				var b stock.Batch
				if release {
					b, err = app.Stock.Release(ctx, n, shell.Actor())
				} else {
					b, err = app.Stock.Quarantine(ctx, n, reason, shell.Actor())
				}
				if err != nil {
					return err
				}
				return p.Show(cmd, []shell.Field{{"batch", b.Name}, {"state", b.State}})
			})
		},
	}
	shell.RealmFlag(cmd, &name, realm.Test)
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the audit log")
	cmd.Flags().BoolVar(&release, "release", false, "put it on sale again")
	cmd.MarkFlagsOneRequired("reason", "release")
	cmd.MarkFlagsMutuallyExclusive("reason", "release")
	return cmd
}
