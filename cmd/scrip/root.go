// Command scrip is a card platform in one program: it serves the APIs and manages
// an installation from the command line.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/scripcards/scrip/internal/platform/config"
	"github.com/scripcards/scrip/internal/platform/telemetry"
	"github.com/scripcards/scrip/internal/server"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := newRoot().ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "scrip:", err)
		os.Exit(1)
	}
}

// rootFlags are the settings that every command offers.
var rootFlags = []string{"data", "database", "log-level", "log-format"}

// program is what all commands share.
type program struct {
	file   string // of the configuration
	output string // table or json
}

func newRoot() *cobra.Command {
	p := &program{}
	root := &cobra.Command{
		Use:   "scrip",
		Short: "A card platform: gift cards, codes, balance checks, virtual cards, cash-out, one ledger",
		Long: `Scrip serves merchants' branded gift cards and four more published card APIs
on one double-entry ledger. Its data live in an embedded database, or in
PostgreSQL with --database.`,
		Example: `  scrip serve --demo                     try it: demo data, loopback only
  scrip serve --data /var/lib/scrip      run it on the embedded database
  scrip operator create --name Ada       make the first operator and its key
  scrip ping --network visa_gift         check the balance of a card on a running server
  scrip verify                           prove the books and the audit log`,
		SilenceUsage:  true,
		SilenceErrors: true,
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case p.output == formTable || p.output == formJSON:
				return nil
			case cmd.Name() == "ping" && cmd.Flags().Changed("file"):
				if p.output == formCSV {
					return nil
				}
				return fmt.Errorf("output %q: want table, json or csv", p.output)
			}
			return fmt.Errorf("output %q: want table or json", p.output)
		},
	}
	root.CompletionOptions.HiddenDefaultCmd = false
	flags := root.PersistentFlags()
	standard := config.Default()
	flags.StringVar(&p.file, "config", os.Getenv(config.Prefix+"CONFIG"), "configuration file (YAML)")
	flags.String("data", standard.Data, "directory of the master key and the embedded database")
	flags.String("database", "", "postgres:// URL instead of the embedded database")
	flags.String("log-level", standard.LogLevel, "debug, info, warn or error")
	flags.String("log-format", standard.LogFormat, "auto, text or json")
	flags.StringVarP(&p.output, "output", "o", formTable, "table or json")
	root.AddCommand(p.serve(), p.migrate(), p.verify(), p.customer(), p.key(), p.merchant(), p.signer(), p.operator(), p.template(), p.giftcard(),
		p.catalog(), p.stock(), p.ping(), p.check(), p.network(), p.portal(), p.honey(), p.suspension(),
		p.bench(), p.backup(), p.restore(), p.vault(), p.config(), p.version())
	for _, cmd := range root.Commands() {
		if cmd.HasSubCommands() {
			asGroup(cmd)
		}
	}
	return root
}

// asGroup has a command that only groups others show them, and refuse what is none of them.
func asGroup(cmd *cobra.Command) {
	cmd.Args = cobra.NoArgs
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
}

// settings puts the configuration together for a command.
func (p *program) settings(cmd *cobra.Command) (config.Config, map[string]string, error) {
	set := map[string]string{}
	for _, name := range config.Names() {
		if f := cmd.Flags().Lookup(strings.ReplaceAll(name, "_", "-")); f != nil && f.Changed {
			set[name] = f.Value.String()
		}
	}
	return config.Load(config.Sources{File: p.file, Environ: os.Environ(), Flags: set})
}

func options(c config.Config, logger *slog.Logger) server.Options {
	return server.Options{Data: c.Data, Database: c.Database, MasterKey: c.MasterKey.Reveal(), BaseURL: c.BaseURL,
		Secrets:              c.Secrets,
		AllowPrivateWebhooks: c.AllowPrivateWebhooks, DatabaseConnections: c.DatabaseConnections, Logger: logger}
}

func newLogger(c config.Config) (*slog.Logger, error) {
	return telemetry.NewLogger(os.Stderr, telemetry.LogOptions{Format: c.LogFormat, Level: c.LogLevel})
}

// with opens the installation for one command and closes it afterwards.
func (p *program) with(cmd *cobra.Command, do func(ctx context.Context, app *server.App) error) (err error) {
	c, _, err := p.settings(cmd)
	if err != nil {
		return err
	}
	logger, err := newLogger(c)
	if err != nil {
		return err
	}
	app, err := server.Open(cmd.Context(), options(c, logger))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, app.Close()) }()
	return do(cmd.Context(), app)
}

// withExisting is with for commands that make no sense on a new installation: a
// mistyped directory must not answer like an empty one.
func (p *program) withExisting(cmd *cobra.Command, do func(ctx context.Context, app *server.App) error) error {
	c, _, err := p.settings(cmd)
	if err != nil {
		return err
	}
	if !server.Exists(options(c, nil)) {
		return fmt.Errorf("there is no installation in %s: name its directory with --data, or its database with --database", c.Data)
	}
	return p.with(cmd, do)
}

// actor names who runs a command, for the audit log.
func actor() string {
	if user := os.Getenv("USER"); user != "" && len(user) <= 64 {
		return "cli/" + user
	}
	return "cli"
}
