package check

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/scripcards/scrip/internal/cli/shell"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/ping"
	"github.com/scripcards/scrip/internal/server"
)

func (p *program) honey() *cobra.Command {
	cmd := &cobra.Command{Use: "honey", Short: "Honey numbers, whose checks suspend the caller: add, list, remove"}
	list := &cobra.Command{
		Use: "list", Short: "List honey numbers; never the numbers themselves", Args: cobra.NoArgs,
		Example: `  scrip honey list`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.WithExisting(cmd, func(ctx context.Context, app *server.App) error { return p.listHoney(ctx, cmd, app) })
		},
	}
	remove := &cobra.Command{
		Use: "remove HONEY", Short: "Make a honey number a number like any other", Args: cobra.ExactArgs(1), Example: "  scrip honey remove honey_01…",
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.WithExisting(cmd, func(ctx context.Context, app *server.App) error {
				if err := app.Pings.RemoveHoney(ctx, ping.HoneyRemoval{ID: ping.HoneyID(args[0]), Actor: shell.Actor()}); err != nil {
					return err
				}
				cmd.Println("removed", args[0])
				return nil
			})
		},
	}
	cmd.AddCommand(p.addHoney(), list, remove)
	return cmd
}

// mostHoney bounds the numbers of one command.
const mostHoney = 10_000

func (p *program) addHoney() *cobra.Command {
	var in, network, note, file string
	cmd := &cobra.Command{
		Use: "add", Short: "Add numbers that nobody should ask for, one a line", Args: cobra.NoArgs,
		Long: `Add reads numbers, one a line, from --file, or one number from standard input, where a
terminal is asked for it. They are kept as keyed hashes and never shown again. One
check of one suspends the caller, who is told what they are told of any number that
does not exist. Numbers of a file that are honey numbers already are passed over.`,
		Example: `  scrip honey add --realm live --network scrip --note 'in the export of 2024'
  scrip honey add --realm live --network acme_gift --file numbers.txt`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			r, err := realm.Parse(in)
			if err != nil {
				return err
			}
			numbers, err := readNumbers(cmd, file)
			if err != nil {
				return err
			}
			return p.With(cmd, func(ctx context.Context, app *server.App) error {
				l := shell.Listing{Columns: []string{"honey_id", "realm", "network_id", "last4", "note", "created_at"}}
				for i, number := range numbers {
					h, err := app.Pings.AddHoney(ctx, ping.NewHoney{Realm: r, Network: network, Number: number, Note: note, Actor: shell.Actor()})
					if file != "" && fault.CodeOf(err) == fault.AlreadyExists { // the file may be one that grew, or was broken off
						cmd.PrintErrf("line %d: the number is a honey number already\n", i+1)
						continue
					}
					if err != nil {
						err = fmt.Errorf("line %d: %w", i+1, err)
						if len(l.Rows) > 0 { // those before are added
							err = errors.Join(p.Print(cmd, l), err)
						}
						return err
					}
					l.Add(honeyRow(h)...)
				}
				return p.Print(cmd, l)
			})
		},
	}
	shell.RealmFlag(cmd, &in, realm.Test)
	cmd.Flags().StringVar(&network, "network", "scrip", "the network whose numbers they would be")
	shell.SettingFlag(cmd, "secrets")
	cmd.Flags().StringVar(&note, "note", "", "where they were put; no number")
	cmd.Flags().StringVar(&file, "file", "", "file of numbers, one a line; - is standard input")
	return cmd
}

// readNumbers reads a number a line from a file; without one a single number from
// standard input.
func readNumbers(cmd *cobra.Command, file string) ([]pan.Secret, error) {
	if file == "" {
		number, err := newAsker(cmd).secret("card number")
		return []pan.Secret{number}, err
	}
	source, err := shell.Open(cmd, file)
	if err != nil {
		return nil, err
	}
	defer func() { _ = source.Close() }() // only read
	var numbers []pan.Secret
	lines := bufio.NewScanner(source)
	for lines.Scan() {
		if numbers = append(numbers, pan.NewSecret(strings.TrimSpace(lines.Text()))); len(numbers) > mostHoney {
			return nil, fmt.Errorf("want at most %d numbers", mostHoney)
		}
	}
	return numbers, lines.Err()
}

func honeyRow(h ping.Honey) []any {
	return []any{h.ID, h.Realm, h.Network, h.Last4, h.Note, h.CreatedAt}
}

func (p *program) listHoney(ctx context.Context, cmd *cobra.Command, app *server.App) error {
	l := shell.Listing{Columns: []string{"honey_id", "realm", "network_id", "last4", "note", "created_at"}}
	for after := ping.HoneyID(""); ; {
		found, err := app.Pings.ListHoney(ctx, after, ping.MaxLimit)
		if err != nil {
			return err
		}
		for _, h := range found {
			l.Add(honeyRow(h)...)
		}
		if len(found) < ping.MaxLimit {
			return p.Print(cmd, l)
		}
		after = found[len(found)-1].ID
	}
}
