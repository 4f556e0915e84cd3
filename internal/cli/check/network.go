package check

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/scripcards/scrip/internal/cli/shell"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/ping"
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

func (n *networkFlags) flags(cmd *cobra.Command) {
	shell.RealmFlag(cmd, &n.realm, realm.Test)
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
	shell.SettingFlag(cmd, "secrets")
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
	if n.file == "" {
		return nil, nil
	}
	return shell.ReadInput(cmd, n.file, ping.MaxConfig)
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
			return p.With(cmd, func(ctx context.Context, app *server.App) error {
				made, err := app.Pings.AddNetwork(ctx, ping.Setup{Configured: to, Config: text, Actor: shell.Actor()})
				if err != nil {
					return err
				}
				return p.Show(cmd, networkFields(made))
			})
		},
	}
	n.flags(cmd)
	shell.Must(cmd.MarkFlagRequired("name"))
	shell.Must(cmd.MarkFlagRequired("file"))
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
			return p.WithExisting(cmd, func(ctx context.Context, app *server.App) error {
				changed, err := app.Pings.ChangeNetwork(ctx, ping.NetworkChange{Realm: r, ID: args[0],
					Edit: func(to *ping.Configured) error { return n.apply(cmd, to) }, Config: text, Actor: shell.Actor()})
				if err != nil {
					return err
				}
				return p.Show(cmd, networkFields(changed))
			})
		},
	}
	n.flags(cmd)
	return cmd
}

// networkFields leaves out the state, which is that of the process that asks.
func networkFields(n ping.Configured) []shell.Field {
	rules := &n.Rules
	return []shell.Field{{"network_id", n.ID}, {"realm", n.Realm}, {"name", n.Name}, {"type", n.Type}, {"kind", n.Kind},
		{"active", n.Active}, {"lengths", rules.Lengths}, {"prefixes", rules.Prefixes}, {"letters", rules.Letters}, {"pin required", rules.PINRequired},
		{"currencies", rules.Currencies}, {"timeout", shell.OrDefault(n.Timeout)},
		{"attempts", shell.OrDefault(n.Attempts)}, {"concurrency", shell.OrDefault(n.Concurrency)}, {"created_at", n.CreatedAt}, {"changed_at", n.ChangedAt}}
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
			return p.WithExisting(cmd, func(ctx context.Context, app *server.App) error {
				found, err := app.Pings.ListNetworks(ctx, r)
				if err != nil {
					return err
				}
				l := shell.Listing{Columns: []string{"network_id", "name", "type", "kind", "active", "changed_at"}}
				for _, n := range found {
					l.Add(n.ID, n.Name, n.Type, n.Kind, n.Active, n.ChangedAt)
				}
				return p.Print(cmd, l)
			})
		},
	}
	shell.RealmFlag(cmd, &in, realm.Test)
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
			return p.WithExisting(cmd, func(ctx context.Context, app *server.App) error {
				found, err := app.Pings.FindNetwork(ctx, r, args[0])
				if err != nil {
					return err
				}
				return p.Show(cmd, networkFields(found))
			})
		},
	}
	shell.RealmFlag(cmd, &in, realm.Test)
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
			return p.WithExisting(cmd, func(ctx context.Context, app *server.App) error {
				if err := app.Pings.RemoveNetwork(ctx, ping.NetworkRemoval{Realm: r, ID: args[0], Actor: shell.Actor()}); err != nil {
					return err
				}
				cmd.Println("removed", args[0])
				return nil
			})
		},
	}
	shell.RealmFlag(cmd, &in, realm.Test)
	return cmd
}
