package check

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/scripcards/scrip/internal/cli/shell"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/ping"
	"github.com/scripcards/scrip/internal/server"
)

func (p *program) unlockCard() *cobra.Command {
	var in, network, reason string
	cmd := &cobra.Command{
		Use: "unlock", Short: "End the lock of a card whose PIN was wrong too often", Args: cobra.NoArgs,
		Long: `Unlock reads a card's number from standard input, where a terminal is asked for it, and
ends its lock before its time: five wrong PINs in an hour lock a card for a day. The
wrong PINs are forgotten. A card that is not locked is not found, be there one or not.`,
		Example: `  scrip check unlock --realm live --network scrip --reason 'the owner called, and mistyped'`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			r, err := realm.Parse(in)
			if err != nil {
				return err
			}
			number, err := newAsker(cmd).secret("card number")
			if err != nil {
				return err
			}
			return p.WithExisting(cmd, func(ctx context.Context, app *server.App) error {
				u, err := app.Pings.Unlock(ctx, ping.Unlocking{Realm: r, Network: network, Number: number, Reason: reason, Actor: shell.Actor()})
				if err != nil {
					return err
				}
				return p.Show(cmd, []shell.Field{{"card_id", u.Card}, {"network_id", u.Network}, {"was locked until", u.Until}})
			})
		},
	}
	shell.RealmFlag(cmd, &in, realm.Test)
	cmd.Flags().StringVar(&network, "network", "scrip", "the network whose card it is")
	shell.SettingFlag(cmd, "secrets")
	cmd.Flags().StringVar(&reason, "reason", "", "why; it is kept in the audit log")
	shell.Must(cmd.MarkFlagRequired("reason"))
	return cmd
}
