package main

import (
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/catalog"
	"github.com/scripcards/scrip/internal/catalog/stock"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/server"
)

func (p *program) catalog() *cobra.Command {
	cmd := &cobra.Command{Use: "catalog", Short: "What resellers can buy: import, list, show, retire, prices, tiers"}
	cmd.AddCommand(p.importCatalog(), p.listCatalog(), p.showItem(), p.retireItem(), p.listPrices(), p.setPrice(), p.removePrice(), p.setTier())
	return cmd
}

// opened opens a file to read, or standard input for "-".
func opened(cmd *cobra.Command, path string) (io.ReadCloser, error) {
	if path == "-" {
		return io.NopCloser(cmd.InOrStdin()), nil
	}
	return os.Open(path)
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
			o := catalog.ImportOptions{Format: catalog.Format(format), DryRun: dry, Actor: actor()}
			if format == "" {
				if o.Format = catalog.CSV; filepath.Ext(args[0]) == ".json" {
					o.Format = catalog.JSON
				}
			}
			return p.with(cmd, func(ctx context.Context, app *server.App) error {
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
	file, err := opened(cmd, from.path)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }() // only read
	bar := newBar("import")
	o.Progress = func(rows int) { bar.set(int64(rows)) }
	report, err := app.Catalog.Import(ctx, file, o)
	bar.end()
	if err != nil {
		rows := make([][]string, len(report.Bad))
		for i, b := range report.Bad {
			rows[i] = []string{strconv.Itoa(b.Row), b.Field, b.Reason}
		}
		return errors.Join(writeBad(cmd.ErrOrStderr(), rows), err)
	}
	l := listing{columns: []string{"ROW", "ITEM_CODE", "OUTCOME"}}
	for _, row := range report.Rows {
		l.add(strconv.Itoa(row.Row), string(row.Code), string(row.Outcome))
	}
	if err := p.print(cmd, l); err != nil {
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
			return p.with(cmd, func(ctx context.Context, app *server.App) error { return p.runList(ctx, cmd, app, &l) })
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
	cmd.PrintErrf("page %d of %d, %d items\n", page.Page, page.LastPage(), page.Total)
	return p.printItems(cmd, page.Products)
}

// printItems shows products: to programs as an import reads them, to people in part.
func (p *program) printItems(cmd *cobra.Command, products []catalog.Product) error {
	l := listing{columns: []string{"ITEM", "NAME", "BRAND", "CATEGORY", "VALUE", "CURRENCY", "REGION", "DELIVERY", "STATE"}}
	if p.output == formJSON {
		l.columns = catalog.Columns()
	}
	for _, item := range products {
		if p.output == formJSON {
			l.add(item.ExportRow()...)
			continue
		}
		l.add(string(item.Code), item.Name, item.Brand, item.Category, values(item), item.Face.Currency.String(), item.Region, string(item.Delivery), string(item.State))
	}
	return p.print(cmd, l)
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
			return p.with(cmd, func(ctx context.Context, app *server.App) error {
				item, err := app.Catalog.Find(ctx, catalog.ItemCode(args[0]))
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
	item, price := q.Product, "none"
	charged, err := app.Catalog.Price(ctx, q)
	if err == nil {
		price = charged.String() + " " + charged.Currency.String()
	}
	fields := []field{{"price", price}}
	for _, r := range realm.All() {
		n, err := app.Stock.Count(ctx, r, item.Code)
		if err != nil {
			return err
		}
		fields = append(fields, field{string(r) + " stock", strconv.Itoa(n)})
	}
	row := item.ExportRow()
	shown := make([]field, len(row))
	for i, name := range catalog.Columns() {
		shown[i] = field{name, row[i]}
	}
	history, err := app.Catalog.History(ctx, item.Code)
	if err != nil {
		return err
	}
	return p.show(cmd, append(append(shown, fields...), field{"version", strconv.FormatInt(item.Version, 10)},
		field{"versions", strconv.Itoa(len(history))}, field{"changed by", history[0].Actor}, field{"created", moment(item.CreatedAt)},
		field{"updated", moment(item.UpdatedAt)}))
}

func (p *program) retireItem() *cobra.Command {
	return &cobra.Command{
		Use: "retire ITEM", Short: "End the sale of an item; orders of it stay", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.with(cmd, func(ctx context.Context, app *server.App) error {
				item, err := app.Catalog.Retire(ctx, catalog.ItemCode(args[0]), actor())
				if err != nil {
					return err
				}
				return p.show(cmd, []field{{"item", string(item.Code)}, {"state", string(item.State)}})
			})
		},
	}
}

func (p *program) listPrices() *cobra.Command {
	return &cobra.Command{
		Use: "prices", Short: "List the price rules", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.with(cmd, func(ctx context.Context, app *server.App) error {
				l := listing{columns: []string{"RULE", "CUSTOMER", "TIER", "ITEM", "BRAND", "BASIS", "PERCENT", "AMOUNT", "PRIORITY", "FROM", "UNTIL"}}
				for _, r := range app.Catalog.Prices(ctx) {
					l.add(ruleRow(&r)...)
				}
				return p.print(cmd, l)
			})
		},
	}
}

// ruleRow is a price rule as it is listed.
func ruleRow(r *catalog.Rule) []string {
	percent, amount := fmt.Sprintf("%d.%02d", r.Percent/100, r.Percent%100), ""
	if r.Basis == catalog.Fixed {
		percent, amount = "", r.Amount.String()+" "+r.Amount.Currency.String()
	}
	return []string{string(r.ID), string(r.Customer), r.Tier, string(r.Item), r.Brand, string(r.Basis), percent, amount,
		strconv.Itoa(r.Priority), moment(r.From), moment(r.Until)}
}

func (p *program) setPrice() *cobra.Command {
	var r catalog.Rule
	var percent, amount, currency, from, until string
	cmd := &cobra.Command{
		Use: "price", Short: "Add a price rule, or change the one that --rule names", Args: cobra.NoArgs,
		Long: `Price adds a rule for what is charged: a percentage of the face value or of the cost,
or a fixed amount for one item. A rule for a customer comes before one for a tier before
one for all; among these one for an item before one for a brand before one for all; then
the higher priority. Without any rule the face value is charged.`,
		Example: `  scrip catalog price --percent 98
  scrip catalog price --tier gold --brand 'Google Play' --percent 95.5 --until 2027-01-01T00:00:00Z
  scrip catalog price --item GOOGLE-5USD-KOXx --basis fixed --amount 4.75
  scrip catalog price --basis cost --percent 105`,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if percent != "" {
				if r.Percent, err = money.ParsePercent(percent); err != nil {
					return fmt.Errorf("percent %q: %w", percent, err)
				}
			}
			if amount != "" {
				parsed, err := parseAmount(amount, currency)
				if err != nil {
					return err
				}
				r.Amount = catalog.Charged{Amount: parsed}
			}
			if r.From, r.Until, err = parseSpan(from, until); err != nil {
				return err
			}
			return p.with(cmd, func(ctx context.Context, app *server.App) error {
				made, err := app.Catalog.PutPrice(ctx, r, actor())
				if err != nil {
					return err
				}
				return p.show(cmd, []field{{"rule", string(made.ID)}, {"revision", strconv.FormatInt(made.Revision, 10)}})
			})
		},
	}
	flags := cmd.Flags()
	flags.StringVar((*string)(&r.ID), "rule", "", "the rule to change; empty: a new one")
	flags.StringVar((*string)(&r.Customer), "customer", "", "for this customer")
	flags.StringVar(&r.Tier, "tier", "", "for customers of this tier")
	flags.StringVar((*string)(&r.Item), "item", "", "for this item")
	flags.StringVar(&r.Brand, "brand", "", "for items of this brand")
	flags.StringVar((*string)(&r.Basis), "basis", string(catalog.OfFace), "face, cost or fixed")
	flags.StringVar(&percent, "percent", "", "of the face value or the cost, such as 98 or 97.5")
	flags.StringVar(&amount, "amount", "", "the fixed price")
	flags.StringVar(&currency, "currency", "USD", "ISO 4217 code of the fixed price")
	flags.IntVar(&r.Priority, "priority", 0, "before others that are as near")
	flags.StringVar(&from, "from", "", "from when on it holds (RFC 3339)")
	flags.StringVar(&until, "until", "", "until when it holds (RFC 3339)")
	return cmd
}

// parseSpan reads two times, each of which may be empty.
func parseSpan(from, until string) (start, end time.Time, err error) {
	for text, target := range map[*string]*time.Time{&from: &start, &until: &end} {
		if *text == "" {
			continue
		}
		if *target, err = time.Parse(time.RFC3339, *text); err != nil {
			return start, end, fmt.Errorf("time %q: want the form 2027-01-01T00:00:00Z", *text)
		}
	}
	return start, end, nil
}

func (p *program) removePrice() *cobra.Command {
	return &cobra.Command{
		Use: "remove-price RULE", Short: "Remove a price rule", Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.with(cmd, func(ctx context.Context, app *server.App) error {
				return app.Catalog.RemovePrice(ctx, catalog.RuleID(args[0]), actor())
			})
		},
	}
}

func (p *program) setTier() *cobra.Command {
	return &cobra.Command{
		Use: "tier CUSTOMER [TIER]", Short: "Have a customer pay a tier's prices, or no tier's", Args: cobra.RangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.with(cmd, func(ctx context.Context, app *server.App) error {
				c, err := app.Accounts.FindCustomer(ctx, account.CustomerID(args[0]))
				if err != nil {
					return err
				}
				return app.Catalog.SetTier(ctx, c.ID, strings.Join(args[1:], ""), actor())
			})
		},
	}
}

func (p *program) stock() *cobra.Command {
	cmd := &cobra.Command{Use: "stock", Short: "Codes to sell: import, count, quarantine"}
	cmd.AddCommand(p.importStock(), p.countStock(), p.quarantineBatch())
	return cmd
}

func (p *program) importStock() *cobra.Command {
	var o stock.Options
	var item, cost, currency, name string
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
			if cost != "" {
				parsed, err := parseAmount(cost, currency)
				if err != nil {
					return err
				}
				o.Cost = catalog.Cost{Amount: parsed}
			}
			o.Item, o.Actor = catalog.ItemCode(item), actor()
			return p.with(cmd, func(ctx context.Context, app *server.App) error {
				return p.runStockImport(ctx, cmd, app, fromFile[stock.Options]{args[0], o})
			})
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&item, "item", "", "the item code")
	flags.StringVar(&name, "realm", string(realm.Test), "live or test")
	flags.StringVar(&o.Batch, "batch", "", "a name for the upload")
	flags.StringVar(&o.Supplier, "supplier", "", "where the codes come from")
	flags.StringVar(&cost, "cost", "", "what a code cost, where its row does not say")
	flags.StringVar(&currency, "currency", "USD", "ISO 4217 code of --cost")
	flags.BoolVar(&o.DryRun, "dry-run", false, "say what would happen; change nothing")
	must(cmd.MarkFlagRequired("item"))
	must(cmd.MarkFlagRequired("batch"))
	return cmd
}

func (p *program) runStockImport(ctx context.Context, cmd *cobra.Command, app *server.App, from fromFile[stock.Options]) error {
	o := from.options
	file, err := opened(cmd, from.path)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }() // only read
	bar, wrong := newBar("import"), csv.NewWriter(cmd.ErrOrStderr())
	o.Progress = func(rows int) {
		wrong.Flush()
		bar.set(int64(rows))
	}
	o.Rejected = func(b stock.BadRow) {
		_ = wrong.Write([]string{strconv.Itoa(b.Line), b.Field, b.Reason}) // its error stays until Error
	}
	report, err := app.Stock.Import(ctx, file, o)
	bar.end()
	wrong.Flush()
	if err = errors.Join(err, wrong.Error()); err != nil {
		return err
	}
	err = p.show(cmd, []field{{"batch", string(report.Batch)}, {"rows", strconv.Itoa(report.Rows)}, {"added", strconv.Itoa(report.Added)},
		{"known", strconv.Itoa(report.Known)}, {"wrong", strconv.Itoa(report.Wrong)}})
	if err == nil && report.Wrong > 0 {
		err = fmt.Errorf("%d rows are wrong", report.Wrong)
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
			return p.with(cmd, func(ctx context.Context, app *server.App) error {
				if len(args) == 1 {
					return p.countBatches(ctx, cmd, app, stock.BatchName{Realm: r, Item: catalog.ItemCode(args[0])})
				}
				return p.countItems(ctx, cmd, app, r)
			})
		},
	}
	cmd.Flags().StringVar(&name, "realm", string(realm.Test), "live or test")
	return cmd
}

// countItems shows the items that have codes, or should.
func (p *program) countItems(ctx context.Context, cmd *cobra.Command, app *server.App, r realm.Realm) error {
	l := listing{columns: []string{"ITEM", "CODES", "LOW"}}
	err := app.Catalog.Each(ctx, func(item catalog.Product) error {
		n, err := app.Stock.Count(ctx, r, item.Code)
		if err != nil || n == 0 && item.LowStock == 0 {
			return err
		}
		text := strconv.Itoa(n)
		if n == stock.MaxCount {
			text += "+"
		}
		l.add(string(item.Code), text, fmt.Sprint(n < item.LowStock))
		return nil
	})
	if err != nil {
		return err
	}
	return p.print(cmd, l)
}

func (p *program) countBatches(ctx context.Context, cmd *cobra.Command, app *server.App, n stock.BatchName) error {
	if _, err := app.Catalog.Find(ctx, n.Item); err != nil {
		return err
	}
	batches, err := app.Stock.List(ctx, n.Realm, n.Item)
	if err != nil {
		return err
	}
	l := listing{columns: []string{"BATCH", "STATE", "SUPPLIER", "AVAILABLE", "QUARANTINED", "SOLD", "CREATED", "REASON"}}
	for _, b := range batches {
		l.add(b.Name, string(b.State), b.Supplier, strconv.Itoa(b.Codes[stock.Available]), strconv.Itoa(b.Codes[stock.Quarantined]),
			strconv.Itoa(b.Codes[stock.Sold]), moment(b.CreatedAt), b.Reason)
	}
	return p.print(cmd, l)
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
			return p.with(cmd, func(ctx context.Context, app *server.App) error {
				var b stock.Batch
				if release {
					b, err = app.Stock.Release(ctx, n, actor())
				} else {
					b, err = app.Stock.Quarantine(ctx, n, reason, actor())
				}
				if err != nil {
					return err
				}
				return p.show(cmd, []field{{"batch", b.Name}, {"state", string(b.State)}})
			})
		},
	}
	cmd.Flags().StringVar(&name, "realm", string(realm.Test), "live or test")
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the audit log")
	cmd.Flags().BoolVar(&release, "release", false, "put it on sale again")
	cmd.MarkFlagsOneRequired("reason", "release")
	cmd.MarkFlagsMutuallyExclusive("reason", "release")
	return cmd
}
