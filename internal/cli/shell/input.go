package shell

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/config"
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
	RealmFlag(cmd, &o.realm, realm.Test)
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

// RealmFlag offers the flag that names a realm, which is standard where it is not given.
func RealmFlag(cmd *cobra.Command, value *string, standard realm.Realm) {
	cmd.Flags().StringVar(value, "realm", string(standard), "live or test")
	complete(cmd, "realm", string(realm.Live), string(realm.Test))
}

// SettingFlag offers a setting that a command needs beside those that every command has.
func SettingFlag(cmd *cobra.Command, name string) {
	for _, s := range config.Default().Describe(nil) {
		if s.Name == name {
			cmd.Flags().String(name, s.Default, s.About)
		}
	}
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
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	return readAll(file, path, most)
}

// ReadInput is ReadBounded, and reads standard input for "-".
func ReadInput(cmd *cobra.Command, path string, most int64) ([]byte, error) {
	in, err := Open(cmd, path)
	if err != nil {
		return nil, err
	}
	return readAll(in, path, most)
}

func readAll(in io.ReadCloser, name string, most int64) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(in, most+1))
	err = errors.Join(err, in.Close())
	if err == nil && int64(len(text)) > most {
		err = fmt.Errorf("%s has more than %d bytes", name, most)
	}
	return text, err
}

// Open opens a file to read, or standard input for "-".
func Open(cmd *cobra.Command, path string) (io.ReadCloser, error) {
	if path == "-" {
		return io.NopCloser(cmd.InOrStdin()), nil
	}
	return os.Open(path)
}
