package shell

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/server"
)

// Owner is a customer in a realm, as flags name it.
type Owner struct{ customer, realm string }

// Flags offers the flags that name the owner, who has to be named.
func (o *Owner) Flags(cmd *cobra.Command) {
	o.Optional(cmd)
	Must(cmd.MarkFlagRequired("customer"))
}

// Optional offers the same flags where the owner may be known by something else.
func (o *Owner) Optional(cmd *cobra.Command) {
	cmd.Flags().StringVar(&o.customer, "customer", "", "the customer's id")
	cmd.Flags().StringVar(&o.realm, "realm", string(realm.Test), "live or test")
}

// Book finds the owner's book.
func (o *Owner) Book(ctx context.Context, app *server.App) (ledger.BookID, realm.Realm, error) {
	r, err := realm.Parse(o.realm)
	if err != nil {
		return "", "", err
	}
	c, err := app.Accounts.FindCustomer(ctx, account.CustomerID(o.customer))
	return c.Book(r), r, err
}

// ParseAmount reads an amount, such as 250.00, of a currency, such as EUR.
func ParseAmount(text, code string) (money.Amount, error) {
	currency, err := money.Parse(code)
	if err != nil {
		return money.Amount{}, fmt.Errorf("currency %q: %w", code, err)
	}
	amount, err := money.ParseAmount(text, currency)
	if err != nil {
		return money.Amount{}, fmt.Errorf("amount %q: %w", text, err)
	}
	return amount, nil
}

// ReadBounded reads a file that must not be longer than most bytes.
func ReadBounded(path string, most int64) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Size() > most {
		return nil, fmt.Errorf("%s has %d bytes, the most is %d", path, info.Size(), most)
	}
	return os.ReadFile(path)
}

// Open opens a file to read, or standard input for "-".
func Open(cmd *cobra.Command, path string) (io.ReadCloser, error) {
	if path == "-" {
		return io.NopCloser(cmd.InOrStdin()), nil
	}
	return os.Open(path)
}
