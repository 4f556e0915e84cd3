package code

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/catalog"
	"github.com/scripcards/scrip/internal/cli/shell"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/order"
	"github.com/scripcards/scrip/internal/server"
)

func (p *program) order() *cobra.Command {
	cmd := &cobra.Command{Use: "order", Short: "Orders of codes, without the codes: list, show"}
	cmd.AddCommand(p.listOrders(), p.showOrder())
	return cmd
}

// search are the flags of a search for orders.
type search struct {
	realm, customer, item, status, since, until string
	limit                                       int
}

func (p *program) listOrders() *cobra.Command {
	var s search
	cmd := &cobra.Command{
		Use: "list", Short: "List orders of all customers, newest first, or find them", Args: cobra.NoArgs,
		Example: `  scrip order list --realm live --limit 20
  scrip order list --realm live --customer cus_01… --status completed --since 2026-11-01 --until 2026-12-01
  scrip order list --realm live --item GOOGLE-5USD-KOXx -o json`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.WithExisting(cmd, func(ctx context.Context, app *server.App) error { return p.runOrders(ctx, cmd, app, &s) })
		},
	}
	flags := cmd.Flags()
	shell.RealmFlag(cmd, &s.realm, realm.Test)
	flags.StringVar(&s.customer, "customer", "", "whose orders; empty: all")
	flags.StringVar(&s.item, "item", "", "of which item; empty: all")
	flags.StringVar(&s.status, "status", "", "with which status, one of "+statusNames()+"; empty: all")
	flags.StringVar(&s.since, "since", "", "placed on this day or later, such as 2026-11-01, in UTC")
	flags.StringVar(&s.until, "until", "", "placed before this day")
	flags.IntVar(&s.limit, "limit", 50, "how many, 1000 at most")
	return cmd
}

func statusNames() string {
	var names []string
	for _, status := range order.Statuses() {
		names = append(names, string(status))
	}
	return strings.Join(names, ", ")
}

func (s *search) query(ctx context.Context, app *server.App) (q order.Query, err error) {
	q = order.Query{Item: catalog.ItemCode(s.item), Status: order.Status(s.status), Limit: s.limit}
	if q.Realm, err = realm.Parse(s.realm); err != nil {
		return q, err
	}
	if q.Limit < 1 || q.Limit > order.MaxFound {
		return q, fmt.Errorf("limit %d: want 1 to %d", q.Limit, order.MaxFound)
	}
	if q.Status != "" && !slices.Contains(order.Statuses(), q.Status) {
		return q, fmt.Errorf("status %q: want one of %s", s.status, statusNames())
	}
	for text, target := range map[*string]*time.Time{&s.since: &q.From, &s.until: &q.To} {
		if *text == "" {
			continue
		}
		if *target, err = time.Parse(time.DateOnly, *text); err != nil {
			return q, fmt.Errorf("day %q: want one such as 2026-11-01", *text)
		}
	}
	if s.customer != "" {
		customer, err := app.Accounts.FindCustomer(ctx, account.CustomerID(s.customer))
		if err != nil {
			return q, err
		}
		q.Book = customer.Book(q.Realm)
	}
	return q, nil
}

// runOrders goes on searching until there are as many as were asked for.
func (p *program) runOrders(ctx context.Context, cmd *cobra.Command, app *server.App, s *search) error {
	q, err := s.query(ctx, app)
	if err != nil {
		return err
	}
	l := shell.Listing{Columns: []string{"order_no", "book_id", "status", "item_code", "quantity", "amount", "currency", "created_at"}}
	for q.Limit > 0 {
		found, next, err := app.Orders.Search(ctx, q)
		if err != nil {
			return err
		}
		for i := range found {
			o := &found[i]
			l.Add(o.Name(), o.Book, o.Status, o.Item, o.Quantity, o.Amount, o.Amount.Currency, o.CreatedAt)
		}
		q.Limit, q.Before = q.Limit-len(found), next
		if next == nil {
			break
		}
	}
	return p.Print(cmd, l)
}

func (p *program) showOrder() *cobra.Command {
	var owner shell.Owner
	var name string
	cmd := &cobra.Command{
		Use: "show NUMBER", Short: "Show an order, where its codes came from, who saw them, and its postings", Args: cobra.ExactArgs(1),
		Long:    "Show never shows a code: of long ones the last four characters. The order is its customer's\nin a realm, or in a book as the list names it.",
		Example: "  scrip order show 17 --customer cus_01… --realm live\n  scrip order show 17 --book bk_01…",
		RunE: func(cmd *cobra.Command, args []string) error {
			number, err := orderNumber(args[0])
			if err != nil {
				return err
			}
			return p.WithExisting(cmd, func(ctx context.Context, app *server.App) error {
				book := ledger.BookID(name)
				if book == "" {
					if book, _, err = owner.Book(ctx, app); err != nil {
						return err
					}
				}
				found, err := app.Orders.Find(ctx, book, number)
				if err != nil {
					return err
				}
				return p.describeOrder(ctx, cmd, app, &found)
			})
		},
	}
	owner.Optional(cmd)
	cmd.Flags().StringVar(&name, "book", "", "the book, instead of customer and realm")
	cmd.MarkFlagsOneRequired("customer", "book")
	cmd.MarkFlagsMutuallyExclusive("customer", "book")
	return cmd
}

// orderNumber reads the number of an order, which counts those of its book.
func orderNumber(text string) (order.Number, error) {
	number, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("order %q: want its number, such as 17", text)
	}
	return order.Number(number), nil
}

func (p *program) describeOrder(ctx context.Context, cmd *cobra.Command, app *server.App, o *order.Order) error {
	fields := []shell.Field{{"order_no", o.Name()}, {"book_id", o.Book}, {"status", o.Status}, {"item_code", o.Item}, {"product_name", o.Product},
		{"quantity", o.Quantity}, {"price", o.Price},
		{"amount", o.Amount}, {"currency", o.Amount.Currency}, {"value", o.Face}, {"value_currency", o.Face.Currency}, {"email", o.Email},
		{"transaction_id", o.Transaction}, {"key_id", o.Credential}, {"created_at", o.CreatedAt}, {"changed_at", o.ChangedAt}}
	codes, err := orderCodes(ctx, app, o)
	if err != nil {
		return err
	}
	looks, err := orderLooks(ctx, app, o)
	if err != nil {
		return err
	}
	postings, err := orderPostings(ctx, app, o)
	if err != nil {
		return err
	}
	if p.Output == shell.JSON {
		return shell.WriteJSON(cmd.OutOrStdout(), struct {
			Order    shell.Object   `json:"order"`
			Codes    []shell.Object `json:"codes"`
			Looks    []shell.Object `json:"looks"`
			Postings []shell.Object `json:"postings"`
		}{fields, codes.Objects(), looks.Objects(), postings.Objects()})
	}
	if err := p.Show(cmd, fields); err != nil {
		return err
	}
	for _, l := range []shell.Listing{codes, looks, postings} {
		if len(l.Rows) == 0 {
			continue
		}
		if _, err := fmt.Fprintln(cmd.OutOrStdout()); err != nil {
			return err
		}
		if err := p.Print(cmd, l); err != nil {
			return err
		}
	}
	return nil
}

// orderCodes are the codes of an order, masked, dead ones too.
func orderCodes(ctx context.Context, app *server.App, o *order.Order) (shell.Listing, error) {
	l := shell.Listing{Columns: []string{"number", "ending", "state", "batch", "supplier", "sold_at"}}
	found, err := app.Orders.Masked(ctx, o.Book, o.Number)
	for _, m := range found {
		var ending any
		if m.Ending != "" {
			ending = shell.Cell{Text: "…" + m.Ending, Value: m.Ending}
		}
		l.Add(m.Place, ending, m.State, m.BatchName, m.Supplier, m.SoldAt)
	}
	return l, err
}

// orderLooks are who saw the codes of an order.
func orderLooks(ctx context.Context, app *server.App, o *order.Order) (shell.Listing, error) {
	l := shell.Listing{Columns: []string{"look", "by"}}
	found, err := app.Orders.Looks(ctx, o.Book, o.Number)
	for _, look := range found {
		l.Add(look.At, look.Actor)
	}
	return l, err
}

// orderPostings are what the books did for an order.
func orderPostings(ctx context.Context, app *server.App, o *order.Order) (shell.Listing, error) {
	l := shell.Listing{Columns: []string{"at", "transaction_id", "kind", "debit", "credit", "posted", "held", "currency"}}
	found, err := app.Orders.Postings(ctx, o.Book, o.Number)
	for i := range found {
		t := &found[i]
		for _, m := range t.Moves {
			held := money.New(m.Held, m.Posted.Currency)
			l.Add(t.At, t.Transaction, t.Kind, m.Debit, m.Credit, m.Posted, held, m.Posted.Currency)
		}
		if len(t.Moves) == 0 {
			l.Add(t.At, t.Transaction, t.Kind, nil, nil, nil, nil, nil)
		}
	}
	return l, err
}
