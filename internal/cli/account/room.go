// Package account has the commands about who uses an installation: customers with
// their wallets, API keys, seeds, signing credentials and public keys, balance alerts, and
// operators.
package account

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/cli/shell"
)

// program is the shell with the commands of this room.
type program struct{ *shell.Shell }

// Commands returns the room's commands.
func Commands(s *shell.Shell) []*cobra.Command {
	p := &program{s}
	return []*cobra.Command{p.customer(), p.key(), p.seed(), p.merchant(), p.signer(), p.alert(), p.operator()}
}

// pageSize is how many of a list are read at a time.
const pageSize = 200

// all reads a list to its end.
func all[T any](ctx context.Context, read func(context.Context, account.Page) (account.List[T], error)) ([]T, error) {
	var items []T
	for page := (account.Page{Limit: pageSize}); ; {
		found, err := read(ctx, page)
		if err != nil {
			return nil, err
		}
		items = append(items, found.Items...)
		if page.After = found.Next; page.After == "" {
			return items, nil
		}
	}
}
