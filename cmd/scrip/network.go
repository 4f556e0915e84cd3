package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/ping"
	"github.com/scripcards/scrip/internal/platform/config"
	"github.com/scripcards/scrip/internal/server"
)

func (p *program) network() *cobra.Command {
	cmd := &cobra.Command{Use: "network", Short: "Networks whose balances can be checked: add, list, show, change, remove"}
	cmd.AddCommand(p.addNetwork(), p.listNetworks(), p.showNetwork(), p.changeNetwork(), p.removeNetwork())
	return cmd
}

// networkFlags are what a network is described with.
type networkFlags struct {
	realm, name, kind, network, file string
	lengths                          []int
	prefixes, currencies             []string
	letters, pin, inactive           bool
	timeout                          time.Duration
	attempts, concurrency            int
}

func realmFlag(cmd *cobra.Command, value *string) {
	cmd.Flags().StringVar(value, "realm", string(realm.Test), "live or test")
}

func (n *networkFlags) flags(cmd *cobra.Command) {
	realmFlag(cmd, &n.realm)
	flags := cmd.Flags()
	flags.StringVar(&n.name, "name", "", "what callers are shown")
	flags.StringVar(&n.network, "type", string(ping.ClosedLoop), "open_loop or closed_loop")
	flags.StringVar(&n.kind, "kind", "http", "how it is asked: http or iso8583")
	flags.StringVar(&n.file, "file", "", "its configuration, a JSON file; - is standard input")
	flags.IntSliceVar(&n.lengths, "length", nil, "allowed length of a number; may stand several times")
	flags.StringSliceVar(&n.prefixes, "prefix", nil, "how a number may begin; may stand several times")
	flags.BoolVar(&n.letters, "letters", false, "numbers may have letters")
	flags.BoolVar(&n.pin, "pin-required", false, "a check needs a PIN")
	flags.StringSliceVar(&n.currencies, "currency", nil, "ISO 4217 code that it knows; none: all")
	flags.DurationVar(&n.timeout, "timeout", 0, "longest time of a check; 0: the default")
	flags.IntVar(&n.attempts, "attempts", 0, "how often a check is tried; 0: the default")
	flags.IntVar(&n.concurrency, "concurrency", 0, "checks of one process at once; 0: the default")
	flags.BoolVar(&n.inactive, "inactive", false, "do not offer it")
	for _, s := range config.Default().Describe(nil) {
		if s.Name == "secrets" {
			flags.String("secrets", s.Default, s.About)
		}
	}
}

// apply puts the flags that were set into what a network is.
func (n *networkFlags) apply(cmd *cobra.Command, to *ping.Configured) error {
	set := func(name string, change func()) {
		if cmd.Flags().Changed(name) {
			change()
		}
	}
	set("name", func() { to.Name = n.name })
	set("type", func() { to.Type = ping.Type(n.network) })
	set("kind", func() { to.Kind = n.kind })
	set("length", func() { to.Rules.Lengths = n.lengths })
	set("prefix", func() { to.Rules.Prefixes = n.prefixes })
	set("letters", func() { to.Rules.Letters = n.letters })
	set("pin-required", func() { to.Rules.PINRequired = n.pin })
	set("timeout", func() { to.Timeout = n.timeout })
	set("attempts", func() { to.Attempts = n.attempts })
	set("concurrency", func() { to.Concurrency = n.concurrency })
	set("inactive", func() { to.Active = !n.inactive })
	if !cmd.Flags().Changed("currency") {
		return nil
	}
	to.Rules.Currencies = nil
	for _, code := range n.currencies {
		c, err := money.Parse(code)
		if err != nil {
			return fmt.Errorf("currency %q: %w", code, err)
		}
		to.Rules.Currencies = append(to.Rules.Currencies, c)
	}
	return nil
}

// description reads the configuration; none is empty.
func (n *networkFlags) description(cmd *cobra.Command) ([]byte, error) {
	switch n.file {
	case "":
		return nil, nil
	case "-":
		text, err := io.ReadAll(io.LimitReader(cmd.InOrStdin(), ping.MaxConfig+1))
		if err == nil && len(text) > ping.MaxConfig {
			err = fmt.Errorf("the configuration has more than %d bytes", ping.MaxConfig)
		}
		return text, err
	}
	return readBounded(n.file, ping.MaxConfig)
}

func (p *program) addNetwork() *cobra.Command {
	var n networkFlags
	cmd := &cobra.Command{
		Use: "add NETWORK", Short: "Configure a network, which every process offers within seconds", Args: cobra.ExactArgs(1),
		Long: `Add configures a network under an id of 2 to 32 letters, digits and underscores. What
the configuration of its kind looks like is told by docs/operate/networks.md; it is
opened once before it is stored, sealed, and never shown again. Files with secrets
that it names must be in the folder that the setting "secrets" names.`,
		Example: `  scrip network add acme_gift --realm live --name 'Acme Gift Card' --file acme.json --secrets /etc/scrip/secrets \
      --length 16 --prefix 6006 --pin-required --currency USD
  scrip network add bank --realm live --name 'Bank Gift' --type open_loop --kind iso8583 --timeout 8s --file - < bank.json`,
		RunE: func(cmd *cobra.Command, args []string) error {
			r, err := realm.Parse(n.realm)
			if err != nil {
				return err
			}
			text, err := n.description(cmd)
			if err != nil {
				return err
			}
			to := ping.Configured{Realm: r, ID: args[0], Type: ping.Type(n.network), Kind: n.kind, Active: true}
			if err := n.apply(cmd, &to); err != nil {
				return err
			}
			return p.with(cmd, func(ctx context.Context, app *server.App) error {
				made, err := app.Pings.AddNetwork(ctx, ping.Setup{Configured: to, Config: text, Actor: actor()})
				if err != nil {
					return err
				}
				return p.show(cmd, networkFields(made))
			})
		},
	}
	n.flags(cmd)
	must(cmd.MarkFlagRequired("name"))
	must(cmd.MarkFlagRequired("file"))
	return cmd
}

func (p *program) changeNetwork() *cobra.Command {
	var n networkFlags
	cmd := &cobra.Command{
		Use: "change NETWORK", Short: "Change what the flags name; checks under way are finished as before", Args: cobra.ExactArgs(1),
		Example: `  scrip network change acme_gift --realm live --inactive
  scrip network change acme_gift --realm live --inactive=false --file acme.json --secrets /etc/scrip/secrets`,
		RunE: func(cmd *cobra.Command, args []string) error {
			r, err := realm.Parse(n.realm)
			if err != nil {
				return err
			}
			text, err := n.description(cmd)
			if err != nil {
				return err
			}
			return p.withExisting(cmd, func(ctx context.Context, app *server.App) error {
				to, err := app.Pings.FindNetwork(ctx, r, args[0])
				if err != nil {
					return err
				}
				if err := n.apply(cmd, &to); err != nil {
					return err
				}
				changed, err := app.Pings.ChangeNetwork(ctx, ping.Setup{Configured: to, Config: text, Actor: actor()})
				if err != nil {
					return err
				}
				return p.show(cmd, networkFields(changed))
			})
		},
	}
	n.flags(cmd)
	return cmd
}

// networkFields leaves out the state, which is that of the process that asks.
func networkFields(n ping.Configured) []field {
	rules := &n.Rules
	var lengths, currencies []string
	for _, length := range rules.Lengths {
		lengths = append(lengths, strconv.Itoa(length))
	}
	for _, c := range rules.Currencies {
		currencies = append(currencies, c.String())
	}
	return []field{{"network", n.ID}, {"realm", string(n.Realm)}, {"name", n.Name}, {"type", string(n.Type)}, {"kind", n.Kind},
		{"active", strconv.FormatBool(n.Active)}, {"lengths", strings.Join(lengths, " ")}, {"prefixes", strings.Join(rules.Prefixes, " ")},
		{"letters", strconv.FormatBool(rules.Letters)}, {"pin required", strconv.FormatBool(rules.PINRequired)},
		{"currencies", strings.Join(currencies, " ")}, {"timeout", orDefault(n.Timeout != 0, n.Timeout.String())},
		{"attempts", orDefault(n.Attempts != 0, strconv.Itoa(n.Attempts))}, {"concurrency", orDefault(n.Concurrency != 0, strconv.Itoa(n.Concurrency))},
		{"created", moment(n.CreatedAt)}, {"changed", moment(n.ChangedAt)}}
}

func orDefault(set bool, text string) string {
	if !set {
		return "default"
	}
	return text
}

func (p *program) listNetworks() *cobra.Command {
	var in string
	cmd := &cobra.Command{
		Use: "list", Short: "List the configured networks of a realm", Args: cobra.NoArgs, Example: "  scrip network list --realm live",
		RunE: func(cmd *cobra.Command, _ []string) error {
			r, err := realm.Parse(in)
			if err != nil {
				return err
			}
			return p.withExisting(cmd, func(ctx context.Context, app *server.App) error {
				found, err := app.Pings.ListNetworks(ctx, r)
				if err != nil {
					return err
				}
				l := listing{columns: []string{"NETWORK", "NAME", "TYPE", "KIND", "ACTIVE", "CHANGED"}}
				for _, n := range found {
					l.add(n.ID, n.Name, string(n.Type), n.Kind, strconv.FormatBool(n.Active), moment(n.ChangedAt))
				}
				return p.print(cmd, l)
			})
		},
	}
	realmFlag(cmd, &in)
	return cmd
}

func (p *program) showNetwork() *cobra.Command {
	var in string
	cmd := &cobra.Command{
		Use: "show NETWORK", Short: "Show a network without its configuration", Args: cobra.ExactArgs(1), Example: "  scrip network show acme_gift --realm live",
		RunE: func(cmd *cobra.Command, args []string) error {
			r, err := realm.Parse(in)
			if err != nil {
				return err
			}
			return p.withExisting(cmd, func(ctx context.Context, app *server.App) error {
				found, err := app.Pings.FindNetwork(ctx, r, args[0])
				if err != nil {
					return err
				}
				return p.show(cmd, networkFields(found))
			})
		},
	}
	realmFlag(cmd, &in)
	return cmd
}

func (p *program) removeNetwork() *cobra.Command {
	var in string
	cmd := &cobra.Command{
		Use: "remove NETWORK", Short: "Remove a network; what was checked on it stays", Args: cobra.ExactArgs(1), Example: "  scrip network remove acme_gift --realm live",
		RunE: func(cmd *cobra.Command, args []string) error {
			r, err := realm.Parse(in)
			if err != nil {
				return err
			}
			return p.withExisting(cmd, func(ctx context.Context, app *server.App) error {
				if err := app.Pings.RemoveNetwork(ctx, ping.NetworkRemoval{Realm: r, ID: args[0], Actor: actor()}); err != nil {
					return err
				}
				cmd.Println("removed", args[0])
				return nil
			})
		},
	}
	realmFlag(cmd, &in)
	return cmd
}

func (p *program) honey() *cobra.Command {
	cmd := &cobra.Command{Use: "honey", Short: "Honey numbers, whose checks suspend the caller: add, list, remove"}
	list := &cobra.Command{
		Use: "list", Short: "List honey numbers; never the numbers themselves", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.withExisting(cmd, func(ctx context.Context, app *server.App) error { return p.listHoney(ctx, cmd, app) })
		},
	}
	remove := &cobra.Command{
		Use: "remove HONEY", Short: "Make a honey number a number like any other", Args: cobra.ExactArgs(1), Example: "  scrip honey remove honey_01…",
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.withExisting(cmd, func(ctx context.Context, app *server.App) error {
				if err := app.Pings.RemoveHoney(ctx, ping.HoneyRemoval{ID: ping.HoneyID(args[0]), Actor: actor()}); err != nil {
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
does not exist.`,
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
			return p.with(cmd, func(ctx context.Context, app *server.App) error {
				l := listing{columns: []string{"HONEY", "REALM", "NETWORK", "LAST4", "NOTE", "CREATED"}}
				for i, number := range numbers {
					h, err := app.Pings.AddHoney(ctx, ping.NewHoney{Realm: r, Network: network, Number: number, Note: note, Actor: actor()})
					if err != nil {
						err = fmt.Errorf("line %d: %w", i+1, err)
						if len(l.rows) > 0 { // those before are added
							err = errors.Join(p.print(cmd, l), err)
						}
						return err
					}
					l.add(honeyRow(h)...)
				}
				return p.print(cmd, l)
			})
		},
	}
	realmFlag(cmd, &in)
	cmd.Flags().StringVar(&network, "network", "scrip", "the network whose numbers they would be")
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
	source := cmd.InOrStdin()
	if file != "-" {
		opened, err := os.Open(file)
		if err != nil {
			return nil, err
		}
		defer func() { _ = opened.Close() }() // only read
		source = opened
	}
	var numbers []pan.Secret
	lines := bufio.NewScanner(source)
	for lines.Scan() {
		if numbers = append(numbers, pan.NewSecret(strings.TrimSpace(lines.Text()))); len(numbers) > mostHoney {
			return nil, fmt.Errorf("want at most %d numbers", mostHoney)
		}
	}
	return numbers, lines.Err()
}

func honeyRow(h ping.Honey) []string {
	return []string{string(h.ID), string(h.Realm), h.Network, h.Last4, h.Note, moment(h.CreatedAt)}
}

func (p *program) listHoney(ctx context.Context, cmd *cobra.Command, app *server.App) error {
	l := listing{columns: []string{"HONEY", "REALM", "NETWORK", "LAST4", "NOTE", "CREATED"}}
	for after := ping.HoneyID(""); ; {
		found, err := app.Pings.ListHoney(ctx, after, ping.MaxLimit)
		if err != nil {
			return err
		}
		for _, h := range found {
			l.add(honeyRow(h)...)
		}
		if len(found) < ping.MaxLimit {
			return p.print(cmd, l)
		}
		after = found[len(found)-1].ID
	}
}
