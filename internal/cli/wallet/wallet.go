package wallet

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/scripcards/scrip/internal/cli/shell"
	"github.com/scripcards/scrip/internal/core/asset"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/server"
	"github.com/scripcards/scrip/internal/wallet/address"
)

func (p *program) wallet() *cobra.Command {
	cmd := &cobra.Command{Use: "wallet", Short: "Wallets and their addresses: show, address, preview, import, pool, skip"}
	cmd.AddCommand(p.showWallet(), p.giveAddress(), p.preview(), p.importAddresses(), p.pool(), p.skip())
	return cmd
}

func (p *program) showWallet() *cobra.Command {
	var owner shell.Owner
	cmd := &cobra.Command{
		Use: "show", Short: "Show a customer's wallet: what is in it, came in and went out, and its addresses", Args: cobra.NoArgs,
		Long: `Show tells of a customer's wallet in dollars, which deposits are credited in, then what is
in it of other currencies, and its addresses.`,
		Example: "  scrip wallet show --customer cus_01… --realm live",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.WithBook(cmd, &owner, func(ctx context.Context, app *server.App, book ledger.BookID) error {
				t, err := app.Deposits.Totals(ctx, book)
				if err != nil {
					return err
				}
				given, err := app.Addresses.List(ctx, book)
				if err != nil {
					return err
				}
				fields := []shell.Field{{"balance", t.Balance}, {"currency", t.Balance.Currency}, {"pending deposits", t.Pending},
					{"total deposited", t.Deposited}, {"total spent", t.Spent}}
				for _, other := range t.Others {
					fields = append(fields, shell.Field{"balance " + other.Currency.String(), other})
				}
				for _, g := range given {
					fields = append(fields, shell.Field{string(g.Chain), g.Address})
				}
				return p.Show(cmd, fields)
			})
		},
	}
	owner.Flags(cmd)
	return cmd
}

func (p *program) giveAddress() *cobra.Command {
	var owner shell.Owner
	cmd := &cobra.Command{
		Use: "address ASSET", Short: "Show where a customer deposits an asset; the first time, give them the address", Args: cobra.ExactArgs(1),
		Long: `Address shows the address of a customer's wallet for BTC, ETH, USDT-ERC20, USDT-SOL,
SOL or XMR. A wallet keeps its address for ever; assets of one chain share it.`,
		Example: "  scrip wallet address BTC --customer cus_01… --realm test",
		RunE: func(cmd *cobra.Command, args []string) error {
			a, err := asset.Parse(args[0])
			if err != nil {
				return err
			}
			return p.WithExisting(cmd, func(ctx context.Context, app *server.App) error {
				book, r, err := owner.Book(ctx, app)
				if err != nil {
					return err
				}
				text, err := app.Deposits.Address(ctx, address.Wallet{Book: book, Realm: r}, a)
				if err != nil {
					return err
				}
				return p.Show(cmd, []shell.Field{{"asset", a}, {"network", a.Chain()}, {"address", text}, {"minimum", app.Deposits.Minimum(a)}})
			})
		},
	}
	owner.Flags(cmd)
	shell.SettingFlag(cmd, "deposits")
	return cmd
}

func (p *program) preview() *cobra.Command {
	var in string
	var count int
	cmd := &cobra.Command{
		Use: "preview CHAIN", Short: "Show the first addresses that a configured key makes", Args: cobra.ExactArgs(1),
		Long: `Preview shows the addresses at the first positions of the key of bitcoin, ethereum or
monero, given or not. Compare them with what your own wallet shows before anybody
pays to them.`,
		Example: "  scrip wallet preview bitcoin --count 3",
		RunE: func(cmd *cobra.Command, args []string) error {
			place, err := placeOf(args[0], in)
			if err != nil {
				return err
			}
			return p.WithExisting(cmd, func(ctx context.Context, app *server.App) error {
				all, err := app.Addresses.Preview(ctx, place, count)
				if err != nil {
					return err
				}
				l := shell.Listing{Columns: []string{"position", "address"}}
				for i, text := range all {
					l.Add(i, text)
				}
				return p.Print(cmd, l)
			})
		},
	}
	shell.RealmFlag(cmd, &in, realm.Live)
	cmd.Flags().IntVar(&count, "count", 5, "how many")
	shell.SettingFlag(cmd, "deposits")
	return cmd
}

// maxLine bounds a line of a file of addresses, in bytes.
const maxLine = 256

func (p *program) importAddresses() *cobra.Command {
	var file, in string
	cmd := &cobra.Command{
		Use: "import", Short: "Add addresses of Solana to the list that wallets are given from", Args: cobra.NoArgs,
		Long: `Import reads addresses, one a line, which were made where their private keys are.
Empty lines and those that begin with a # do not count, and an address that is known
is not added again. One that cannot be an address refuses the whole file. The test
realm has a list too, for when a node watches its chain.`,
		Example: "  scrip wallet import --file addresses.txt\n  scrip wallet import --realm test --file - < addresses.txt",
		RunE: func(cmd *cobra.Command, _ []string) error {
			r, err := realm.Parse(in)
			if err != nil {
				return err
			}
			all, err := readAddresses(cmd, file)
			if err != nil {
				return err
			}
			return p.WithExisting(cmd, func(ctx context.Context, app *server.App) error {
				place := address.Place{Realm: r, Chain: asset.Solana}
				n, err := app.Addresses.Import(ctx, address.Import{Place: place, Addresses: all, Actor: shell.Actor()})
				if err != nil {
					return err
				}
				return p.Show(cmd, []shell.Field{{"read", len(all)}, {"added", n}})
			})
		},
	}
	cmd.Flags().StringVar(&file, "file", "", "file of addresses, one a line; - for standard input")
	shell.RealmFlag(cmd, &in, realm.Live)
	shell.Must(cmd.MarkFlagRequired("file"))
	return cmd
}

func (p *program) skip() *cobra.Command {
	var in string
	var count int
	cmd := &cobra.Command{
		Use: "skip CHAIN", Short: "Give the next addresses to nobody, after a restore", Args: cobra.ExactArgs(1),
		Long: `Skip passes over the next addresses of a chain. What was restored from a backup does
not know those that wallets were given since, and would give them to others, with
whatever is still paid to them. Rather pass over too many: your own wallet sees what
is paid to them, and has to look for so many more.`,
		Example: "  scrip wallet skip bitcoin --count 50",
		RunE: func(cmd *cobra.Command, args []string) error {
			place, err := placeOf(args[0], in)
			if err != nil {
				return err
			}
			return p.WithExisting(cmd, func(ctx context.Context, app *server.App) error {
				given, err := app.Addresses.Skip(ctx, address.Skip{Place: place, Count: count, Actor: shell.Actor()})
				if err != nil {
					return err
				}
				return p.Show(cmd, []shell.Field{{"skipped", count}, {"next position", given}})
			})
		},
	}
	shell.RealmFlag(cmd, &in, realm.Live)
	cmd.Flags().IntVar(&count, "count", 0, "how many")
	shell.Must(cmd.MarkFlagRequired("count"))
	shell.SettingFlag(cmd, "deposits")
	return cmd
}

// placeOf is where a command's addresses are.
func placeOf(chain, in string) (address.Place, error) {
	c, err := asset.ParseChain(chain)
	if err != nil {
		return address.Place{}, err
	}
	r, err := realm.Parse(in)
	return address.Place{Realm: r, Chain: c}, err
}

func readAddresses(cmd *cobra.Command, path string) (all []string, err error) {
	in, err := shell.Open(cmd, path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	lines := bufio.NewScanner(in)
	lines.Buffer(make([]byte, maxLine), maxLine)
	read := 0
	for ; lines.Scan(); read++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if all = append(all, line); len(all) > address.MaxImport {
			break // the product says how many there may be
		}
	}
	if errors.Is(lines.Err(), bufio.ErrTooLong) {
		return nil, fmt.Errorf("an address after line %d has more than %d bytes", read, maxLine)
	}
	return all, lines.Err()
}

func (p *program) pool() *cobra.Command {
	cmd := &cobra.Command{
		Use: "pool", Short: "Show how many imported addresses are left", Args: cobra.NoArgs, Example: "  scrip wallet pool",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.WithExisting(cmd, func(ctx context.Context, app *server.App) error {
				levels, err := app.Addresses.Levels(ctx)
				if err != nil {
					return err
				}
				l := shell.Listing{Columns: []string{"realm", "chain", "given", "left", "low"}}
				for _, level := range levels {
					l.Add(level.Realm, level.Chain, level.Given, level.Left, level.Low)
				}
				return p.Print(cmd, l)
			})
		},
	}
	shell.SettingFlag(cmd, "deposits")
	return cmd
}
