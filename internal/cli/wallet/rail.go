package wallet

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/scripcards/scrip/internal/cli/shell"
	"github.com/scripcards/scrip/internal/core/asset"
	"github.com/scripcards/scrip/internal/core/plain"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/server"
	"github.com/scripcards/scrip/internal/wallet/address"
	"github.com/scripcards/scrip/internal/wallet/deposit"
)

func (p *program) rail() *cobra.Command {
	cmd := &cobra.Command{Use: "rail", Short: "The chains that are watched: status, scan, rescan, audit, dismiss"}
	cmd.AddCommand(p.railStatus(), p.railScan(), p.railRescan(), p.railAudit(), p.railDismiss())
	return cmd
}

// railPlace reads the chain that a command is about, in the realm of its flag.
func railPlace(chain, in string) (at address.Place, err error) {
	if at.Chain, err = asset.ParseChain(chain); err != nil {
		return at, err
	}
	at.Realm, err = realm.Parse(in)
	return at, err
}

func (p *program) railStatus() *cobra.Command {
	cmd := &cobra.Command{
		Use: "status", Short: "Show how far each chain was read, where it ends, and since when one does not answer", Args: cobra.NoArgs,
		Long: `Status asks every chain that is watched where it ends. HEIGHT was read, TIP is the end,
and LAG is what is still to be read: blocks, or changes of a simulated chain. A chain is
healthy while it answers; PROBLEM says why it does not.`,
		Example: "  scrip rail status\n  scrip rail status -o json",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.WithExisting(cmd, func(ctx context.Context, app *server.App) error {
				all, err := app.Deposits.Surveys(ctx)
				if err != nil {
					return err
				}
				l := shell.Listing{Columns: []string{"realm", "chain", "height", "tip", "lag", "healthy", "looked_at", "failing_since", "problem"}}
				for i := range all {
					s := &all[i]
					l.Add(s.Realm, s.Chain, known(s.Height), known(s.Tip), known(s.Lag()), s.IsHealthy(), s.LookedAt, s.FailingSince, s.Problem)
				}
				return p.Print(cmd, l)
			})
		},
	}
	shell.SettingFlag(cmd, "deposits")
	return cmd
}

// known is a height, and nothing where it is not known.
func known(height int64) any {
	if height < 0 {
		return nil
	}
	return height
}

func (p *program) railScan() *cobra.Command {
	var in string
	cmd := &cobra.Command{
		Use: "scan CHAIN", Short: "Look at a chain now", Args: cobra.ExactArgs(1),
		Long: `Scan does at once what the server does every few seconds: it reads what is new on the
chain and looks after the deposits that are not settled.`,
		Example: "  scrip rail scan bitcoin\n  scrip rail scan ethereum --realm test",
		RunE: func(cmd *cobra.Command, args []string) error {
			at, err := railPlace(args[0], in)
			if err != nil {
				return err
			}
			return p.WithExisting(cmd, func(ctx context.Context, app *server.App) error {
				if err := app.Deposits.ScanChain(ctx, at); err != nil {
					return err
				}
				return p.showRail(ctx, cmd, app, at)
			})
		},
	}
	shell.RealmFlag(cmd, &in, realm.Live)
	shell.SettingFlag(cmd, "deposits")
	return cmd
}

// showRail shows how far one chain was read.
func (p *program) showRail(ctx context.Context, cmd *cobra.Command, app *server.App, at address.Place) error {
	s, err := app.Deposits.Survey(ctx, at)
	if err != nil {
		return err
	}
	return p.Show(cmd, []shell.Field{{"realm", s.Realm}, {"chain", s.Chain}, {"height", known(s.Height)}, {"tip", known(s.Tip)},
		{"lag", known(s.Lag())}})
}

func (p *program) railRescan() *cobra.Command {
	var in string
	var from int64
	cmd := &cobra.Command{
		Use: "rescan CHAIN", Short: "Have a chain read again from a height on", Args: cobra.ExactArgs(1),
		Long: `Rescan has the next scan, the server's or that of "scrip rail scan", read the chain again
from a height on. It is harmless: what was credited is not credited again. Use it when
addresses were given before their chain was watched, or after a node was wrong.

Give it the setting "deposits" that the server has. Without a node the test realm's chain
is a simulated one, and a server with a node cannot go on from a place of that: it says "no
place of this chain" until you rescan once more, with the setting.`,
		Example: "  scrip rail rescan bitcoin --from 880000\n  scrip rail rescan ethereum --from 1 --realm test",
		RunE: func(cmd *cobra.Command, args []string) error {
			at, err := railPlace(args[0], in)
			if err != nil {
				return err
			}
			return p.WithExisting(cmd, func(ctx context.Context, app *server.App) error {
				if err := app.Deposits.Rescan(ctx, deposit.Rescan{Place: at, From: from, Actor: shell.Actor()}); err != nil {
					return err
				}
				return p.showRail(ctx, cmd, app, at)
			})
		},
	}
	shell.RealmFlag(cmd, &in, realm.Live)
	cmd.Flags().Int64Var(&from, "from", 0, "the first height to be read again")
	shell.Must(cmd.MarkFlagRequired("from"))
	shell.SettingFlag(cmd, "deposits")
	return cmd
}

func (p *program) railAudit() *cobra.Command {
	var in string
	cmd := &cobra.Command{
		Use: "audit CHAIN", Short: "Hold a chain's own account against what was credited", Args: cobra.ExactArgs(1),
		Long: `Audit asks the chain what every address has, and whether every credited deposit is still
there, and holds the books against the deposits. It changes nothing. Differences are
listed by address, and the command fails when there are any:

  unseen  the address has more than all deposits to it come to
  gone    a deposit is credited, and the chain does not have it
  booked  the customer's books have another sum than the credited deposits
  untold  payments in some blocks may have been missed, and the node does not tell

An address that has less than was paid to it was emptied: that is no difference. How to
look after what is untold is in "scrip rail dismiss --help".`,
		Example: "  scrip rail audit bitcoin\n  scrip rail audit ethereum --realm test -o json",
		RunE: func(cmd *cobra.Command, args []string) error {
			at, err := railPlace(args[0], in)
			if err != nil {
				return err
			}
			return p.WithExisting(cmd, func(ctx context.Context, app *server.App) error {
				found, err := app.Deposits.Audit(ctx, at)
				if err != nil {
					return err
				}
				l := shell.Listing{Columns: []string{"what", "asset", "address", "book_id", "deposits", "found", "worth_usd"}}
				for _, s := range found.Sums {
					l.Add(fmt.Sprintf("%d of %d credited", s.Credited, s.Deposits), s.Asset, "", "", deposit.Whole(s.Paid, s.Asset), deposit.Whole(s.Held, s.Asset), s.Worth)
				}
				for _, d := range found.Differences {
					l.Add(d.Kind, d.Asset, d.Address, d.Book, d.Deposits, d.Found, nil)
				}
				if err := p.Print(cmd, l); err != nil {
					return err
				}
				if n := len(found.Differences); n > 0 {
					return fmt.Errorf("%s on %s", plain.Count(n, "difference", "differences"), plain.Count(found.Addresses, "address", "addresses"))
				}
				return nil
			})
		},
	}
	shell.RealmFlag(cmd, &in, realm.Live)
	shell.SettingFlag(cmd, "deposits")
	return cmd
}

func (p *program) railDismiss() *cobra.Command {
	var in string
	d := deposit.Dismissal{}
	cmd := &cobra.Command{
		Use: "dismiss CHAIN", Short: "Take what may have been missed at an address off the audit", Args: cobra.ExactArgs(1),
		Long: `Dismiss says that you have looked after the blocks that an audit calls untold: payments by
contracts to an address that was emptied before, which no node of yours remembers. Look
the address up elsewhere, load the customer's wallet with what is missing, and dismiss it,
in this order. It is for good: what is found in these blocks later is not credited. With a
node that keeps old state "scrip rail rescan" finds the payments instead.

The reason is in the audit log.`,
		Example: `  scrip rail audit ethereum
  scrip customer load --customer cus_01… --realm live --amount 955.50 --reference 'ETH missed in block 21000123'
  scrip rail dismiss ethereum --address 0x9858EfFD232B4033E47d90003D41EC34EcaEda94 --reason 'loaded by hand'`,
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if d.Place, err = railPlace(args[0], in); err != nil {
				return err
			}
			d.Actor = shell.Actor()
			return p.WithExisting(cmd, func(ctx context.Context, app *server.App) error {
				done, err := app.Deposits.Dismiss(ctx, d)
				if err != nil {
					return err
				}
				l := shell.Listing{Columns: []string{"realm", "chain", "address", "book_id", "asset", "from_height", "to_height"}}
				for _, g := range done.Gaps {
					l.Add(done.Realm, done.Chain, done.Address, done.Book, g.Asset, g.From, g.To)
				}
				return p.Print(cmd, l)
			})
		},
	}
	shell.RealmFlag(cmd, &in, realm.Live)
	cmd.Flags().StringVar(&d.Address, "address", "", "the address that the audit names")
	cmd.Flags().StringVar(&d.Reason, "reason", "", "what you did about it")
	for _, name := range []string{"address", "reason"} {
		shell.Must(cmd.MarkFlagRequired(name))
	}
	shell.SettingFlag(cmd, "deposits")
	return cmd
}
