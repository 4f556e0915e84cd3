package code

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/catalog"
	"github.com/scripcards/scrip/internal/cli/shell"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/plain"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/server"
)

func (p *program) catalog() *cobra.Command {
	cmd := &cobra.Command{Use: "catalog", Short: "What resellers can buy: import, list, show, hide, retire, pictures, prices, tiers"}
	cmd.AddCommand(p.importCatalog(), p.listCatalog(), p.showItem(), p.retireItem(), p.setState(), p.setImage(), p.listPrices(), p.setPrice(), p.removePrice(), p.setTier())
	return cmd
}

// fromFile is an import of a file.
type fromFile[O any] struct {
	path    string
	options O
}

func (p *program) importCatalog() *cobra.Command {
	var format string
	var dry bool
	cmd := &cobra.Command{
		Use: "import FILE", Short: "Add and change the items that a CSV or JSON file lists, all or none", Args: cobra.ExactArgs(1),
		Long: `Import reads CSV whose first line names its columns, or JSON: an array of objects, or
one after another. "-" is standard input. Columns are ` + strings.Join(catalog.Columns(), ", ") + `;
item_code, name, brand, currency and value are required. What a file has no column for
stays as it is, and so do items that are not in it.

When a row is wrong nothing is changed, and everything that is wrong is listed on
standard error. The result is a line per row: added, changed or same.`,
		Example: "  scrip catalog import items.csv --dry-run\n  scrip catalog import items.json",
		RunE: func(cmd *cobra.Command, args []string) error {
			o := catalog.ImportOptions{Format: catalog.Format(format), DryRun: dry, Actor: shell.Actor()}
			if format == "" {
				if o.Format = catalog.CSV; filepath.Ext(args[0]) == ".json" {
					o.Format = catalog.JSON
				}
			}
			return p.With(cmd, func(ctx context.Context, app *server.App) error {
				return p.runCatalogImport(ctx, cmd, app, fromFile[catalog.ImportOptions]{args[0], o})
			})
		},
	}
	cmd.Flags().StringVar(&format, "format", "", "csv or json; empty: json for a file named so, csv otherwise")
	cmd.Flags().BoolVar(&dry, "dry-run", false, "say what would happen; change nothing")
	return cmd
}

func (p *program) runCatalogImport(ctx context.Context, cmd *cobra.Command, app *server.App, from fromFile[catalog.ImportOptions]) error {
	o := from.options
	file, err := shell.Open(cmd, from.path)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }() // only read
	bar := shell.NewBar(cmd, "import")
	o.Progress = func(rows int) { bar.Set(int64(rows)) }
	report, err := app.Catalog.Import(ctx, file, o)
	bar.End()
	if err != nil {
		rows := make([][]string, len(report.Bad))
		for i, b := range report.Bad {
			rows[i] = []string{strconv.Itoa(b.Row), b.Field, b.Reason}
		}
		return errors.Join(writeBad(cmd.ErrOrStderr(), rows), err)
	}
	l := shell.Listing{Columns: []string{"row", "item_code", "outcome"}}
	for _, row := range report.Rows {
		l.Add(row.Row, row.Code, row.Outcome)
	}
	if err := p.Print(cmd, l); err != nil {
		return err
	}
	verb := "import"
	if o.DryRun {
		verb = "dry run"
	}
	cmd.PrintErrf("%s: %d added, %d changed, %d the same\n", verb, report.Count(catalog.Added), report.Count(catalog.Changed), report.Count(catalog.Same))
	return nil
}

// writeBad writes what is wrong with rows as CSV, if anything is.
func writeBad(w io.Writer, rows [][]string) error {
	if len(rows) == 0 {
		return nil
	}
	return csv.NewWriter(w).WriteAll(append([][]string{{"row", "field", "reason"}}, rows...))
}

// listed are the flags of a search.
type listed struct {
	f                                            catalog.Filter
	sort, delivery, currency, valueMin, valueMax string
	all                                          bool
}

func (p *program) listCatalog() *cobra.Command {
	var l listed
	cmd := &cobra.Command{
		Use: "list", Short: "List the items on sale, a page at a time, or all items", Args: cobra.NoArgs,
		Long: `List finds items as resellers do. --all lists every item, hidden and retired ones, too,
without pages; with -o json in the form that import reads.`,
		Example: "  scrip catalog list --search 'google play' --sort value\n  scrip catalog list --all -o json > items.json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := l.parse(); err != nil {
				return err
			}
			return p.WithExisting(cmd, func(ctx context.Context, app *server.App) error { return p.runList(ctx, cmd, app, &l) })
		},
	}
	flags := cmd.Flags()
	flags.BoolVar(&l.all, "all", false, "every item in every state")
	flags.StringVar(&l.f.Query, "search", "", "how words of the name, the brand or the item code begin")
	flags.StringVar(&l.f.Brand, "brand", "", "the brand")
	flags.StringVar(&l.f.Category, "category", "", "the category")
	flags.StringVar(&l.f.Region, "region", "", "the region")
	flags.StringVar(&l.f.Country, "country", "", "where it can be redeemed, ISO 3166-1")
	flags.StringVar(&l.currency, "currency", "", "the face value's, ISO 4217")
	flags.StringVar(&l.delivery, "delivery", "", "PHYSICAL, DIGITAL or BOTH")
	flags.StringVar(&l.valueMin, "value-min", "", "the least face value")
	flags.StringVar(&l.valueMax, "value-max", "", "the greatest face value")
	flags.StringVar(&l.sort, "sort", "", "brand, value or category; empty: by item code")
	flags.BoolVar(&l.f.Descending, "descending", false, "the other way round")
	flags.IntVar(&l.f.Page, "page", 1, "the page")
	flags.IntVar(&l.f.PerPage, "per-page", 50, "items a page, 100 at most")
	return cmd
}

// parse reads the flags that are more than texts.
func (l *listed) parse() (err error) {
	l.f.Sort, l.f.Delivery = catalog.Sort(l.sort), catalog.Delivery(l.delivery)
	if l.currency != "" {
		if l.f.Currency, err = money.Parse(l.currency); err != nil {
			return fmt.Errorf("currency %q: %w", l.currency, err)
		}
	}
	for text, target := range map[*string]**catalog.Value{&l.valueMin: &l.f.ValueMin, &l.valueMax: &l.f.ValueMax} {
		if *text == "" {
			continue
		}
		value, err := catalog.ParseValue(*text)
		if err != nil {
			return fmt.Errorf("value %q: %w", *text, err)
		}
		*target = &value
	}
	return nil
}

func (p *program) runList(ctx context.Context, cmd *cobra.Command, app *server.App, l *listed) error {
	var products []catalog.Product
	if l.all {
		_ = app.Catalog.Each(ctx, func(item catalog.Product) error { // it returns what the function does
			products = append(products, item)
			return nil
		})
		return p.printItems(cmd, products)
	}
	page, err := app.Catalog.Search(ctx, l.f)
	if err != nil {
		return err
	}
	cmd.PrintErrf("page %d of %d, %s\n", page.Page, page.LastPage(), plain.Count(page.Total, "item", "items"))
	return p.printItems(cmd, page.Products)
}

// printItems shows products: to programs as an import reads them, to people in part.
func (p *program) printItems(cmd *cobra.Command, products []catalog.Product) error {
	l := shell.Listing{Columns: []string{"item", "name", "brand", "category", "value", "currency", "region", "delivery", "state"}}
	if p.Output == shell.JSON {
		l.Columns = catalog.Columns()
	}
	for _, item := range products {
		if p.Output == shell.JSON {
			l.Add(exported(&item)...)
			continue
		}
		l.Add(item.Code, item.Name, item.Brand, item.Category, values(item), item.Face.Currency, item.Region, item.Delivery, item.State)
	}
	return p.Print(cmd, l)
}

// exported is a product as an import reads it.
func exported(item *catalog.Product) []any {
	columns := catalog.Columns()
	row := make([]any, len(columns))
	for i, text := range item.ExportRow() {
		switch columns[i] {
		case "countries":
			row[i] = item.Countries
		case "low_stock":
			row[i] = item.LowStock
		default:
			row[i] = text
		}
	}
	return row
}

// values is a product's denomination, or its range.
func values(item catalog.Product) string {
	if item.IsRange() {
		return item.Face.String() + "-" + item.FaceMax.String()
	}
	return item.Face.String()
}

func (p *program) showItem() *cobra.Command {
	var customer string
	cmd := &cobra.Command{
		Use: "show ITEM", Short: "Show an item, its price and how many codes there are", Args: cobra.ExactArgs(1),
		Example: "  scrip catalog show GOOGLE-5USD-KOXx\n  scrip catalog show GOOGLE-5USD-KOXx --customer cus_01…",
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.WithExisting(cmd, func(ctx context.Context, app *server.App) error {
				item, err := app.Catalog.Find(ctx, catalog.ItemCode(args[0]))
				if err == nil {
					err = known(ctx, app, account.CustomerID(customer))
				}
				if err != nil {
					return err
				}
				at := app.Clocks.Now(realm.Live)
				return p.describeItem(ctx, cmd, app, catalog.PriceQuery{Customer: account.CustomerID(customer), Product: item, At: at})
			})
		},
	}
	cmd.Flags().StringVar(&customer, "customer", "", "whose price; empty: what anybody pays")
	return cmd
}

func (p *program) describeItem(ctx context.Context, cmd *cobra.Command, app *server.App, q catalog.PriceQuery) error {
	item := q.Product
	var price, currency any = shell.Cell{Text: "none"}, nil
	charged, err := app.Catalog.Price(ctx, q)
	if err == nil {
		price, currency = charged, charged.Currency
	}
	fields := []shell.Field{{"price", price}, {"price_currency", currency}}
	for _, r := range realm.All() {
		n, err := app.Stock.Count(ctx, r, item.Code)
		if err != nil {
			return err
		}
		fields = append(fields, shell.Field{string(r) + " stock", counted(n)})
	}
	row := exported(&item)
	shown := make([]shell.Field, len(row))
	for i, name := range catalog.Columns() {
		shown[i] = shell.Field{name, row[i]}
	}
	history, err := app.Catalog.History(ctx, item.Code)
	if err != nil {
		return err
	}
	return p.Show(cmd, append(append(shown, fields...), shell.Field{"version", item.Version},
		shell.Field{"versions", len(history)}, shell.Field{"changed by", history[0].Actor}, shell.Field{"created_at", item.CreatedAt},
		shell.Field{"changed_at", item.UpdatedAt}))
}

func (p *program) retireItem() *cobra.Command {
	return &cobra.Command{
		Use: "retire ITEM", Short: "End the sale of an item; orders of it stay", Args: cobra.ExactArgs(1),
		Example: `  scrip catalog retire GOOGLE-5USD-KOXx`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.WithExisting(cmd, func(ctx context.Context, app *server.App) error {
				item, err := app.Catalog.Retire(ctx, catalog.ItemCode(args[0]), shell.Actor())
				if err != nil {
					return err
				}
				return p.Show(cmd, []shell.Field{{"item_code", item.Code}, {"state", item.State}})
			})
		},
	}
}
