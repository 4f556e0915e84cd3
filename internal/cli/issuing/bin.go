package issuing

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/scripcards/scrip/internal/cli/shell"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/issuing"
	"github.com/scripcards/scrip/internal/server"
)

func (p *program) bin() *cobra.Command {
	cmd := &cobra.Command{Use: "bin", Short: "Ranges of card numbers: list, put"}
	list := &cobra.Command{
		Use: "list", Short: "List the BINs, those that ship among them", Args: cobra.NoArgs, Example: "  scrip bin list",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.WithExisting(cmd, func(ctx context.Context, app *server.App) error {
				all, err := app.Issuing.BINs(ctx)
				if err != nil {
					return err
				}
				l := shell.Listing{Columns: []string{"bin_id", "network", "type", "issuer_country", "currency", "max_transaction", "max_monthly", "acceptance_rate", "active"}}
				for _, b := range all {
					l.Add(b.ID, b.Network, b.Type, b.IssuerCountry, b.Currency, b.MaxTransaction, b.MaxMonthly, tenths(b.AcceptanceTenths), b.Active)
				}
				return p.Print(cmd, l)
			})
		},
	}
	cmd.AddCommand(list, p.putBIN())
	return cmd
}

// tenths is a percentage.
func tenths(n int) shell.Cell {
	number := fmt.Sprintf("%d.%d", n/10, n%10)
	return shell.Cell{Text: number + "%", Value: json.Number(number)}
}

// binFlags are a BIN as flags name it.
type binFlags struct {
	network, kind, country, currency, payment, month, accepted, bestFor string
	threeDS, applePay, googlePay, inactive                              bool
}

func (p *program) putBIN() *cobra.Command {
	var f binFlags
	cmd := &cobra.Command{
		Use: "put DIGITS", Short: "Add a BIN, or change the one with these digits", Args: cobra.ExactArgs(1),
		Long: `Put adds a BIN of 6 to 8 digits, or replaces the one that has them; what is not named
is as the flags' defaults say. Its network and currency stay what they are. One that is
--inactive gives out no new numbers; its cards go on. A running server knows it within
two seconds.`,
		Example: `  scrip bin put 45320012 --network visa --type travel --country DE --currency EUR --payment 2500 --month 20000
  scrip bin put 491653 --network visa --type advertising --country US --payment 5000 --month 50000 --inactive`,
		RunE: func(cmd *cobra.Command, args []string) error {
			b, err := f.read(args[0])
			if err != nil {
				return err
			}
			return p.With(cmd, func(ctx context.Context, app *server.App) error {
				put, err := app.Issuing.PutBIN(ctx, issuing.BINChange{BIN: b, Actor: shell.Actor()})
				if err != nil {
					return err
				}
				return p.Show(cmd, []shell.Field{{"bin_id", put.ID}, {"network", put.Network}, {"currency", put.Currency},
					{"max_transaction", put.MaxTransaction}, {"max_monthly", put.MaxMonthly}, {"active", put.Active}})
			})
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.network, "network", "", "visa or mastercard")
	flags.StringVar(&f.kind, "type", "", "what its cards are for, one word")
	flags.StringVar(&f.country, "country", "", "where the issuer is, ISO 3166-1")
	flags.StringVar(&f.currency, "currency", "USD", "ISO 4217 code of its cards")
	flags.StringVar(&f.payment, "payment", "", "the most that one payment may cost, such as 5000")
	flags.StringVar(&f.month, "month", "", "the most that a card may spend in a month")
	flags.StringVar(&f.accepted, "accepted", "95", "the share of payments that merchants take, in percent with one decimal")
	flags.StringVar(&f.bestFor, "best-for", "", "what it is best for, words with commas between them")
	flags.BoolVar(&f.threeDS, "3ds", true, "its cards are enrolled in 3-D Secure")
	flags.BoolVar(&f.applePay, "apple-pay", false, "its cards go into Apple Pay")
	flags.BoolVar(&f.googlePay, "google-pay", false, "its cards go into Google Pay")
	flags.BoolVar(&f.inactive, "inactive", false, "give out no new numbers")
	for _, name := range []string{"network", "type", "country", "payment", "month"} {
		shell.Must(cmd.MarkFlagRequired(name))
	}
	return cmd
}

func (f *binFlags) read(digits string) (issuing.BIN, error) {
	b := issuing.BIN{ID: digits, Network: pan.Network(f.network), Type: f.kind, IssuerCountry: f.country, ThreeDS: f.threeDS, ApplePay: f.applePay,
		GooglePay: f.googlePay, Active: !f.inactive}
	var err error
	if b.MaxTransaction, err = shell.ParseAmount(f.payment, f.currency); err != nil {
		return b, err
	}
	if b.MaxMonthly, err = shell.ParseAmount(f.month, f.currency); err != nil {
		return b, err
	}
	b.Currency = b.MaxMonthly.Currency
	whole, decimal, _ := strings.Cut(f.accepted, ".")
	accepted, err := money.ParseAmount(whole+(decimal + "0")[:1], money.JPY) // whole tenths
	if err != nil || len(decimal) > 1 {
		return b, fmt.Errorf("accepted %q: want 0 to 100 with at most one decimal", f.accepted)
	}
	b.AcceptanceTenths = int(accepted.Minor)
	if f.bestFor != "" {
		b.BestFor = strings.Split(f.bestFor, ",")
	}
	return b, nil
}
