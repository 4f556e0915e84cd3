// Package shell is what all commands share: the settings, an installation that is
// open while a command runs, how results are shown, and how files are read.
//
// Every command opens the installation through With, WithExisting or WithBook, shows what it
// found through Print or Show, so that people get a table and programs get JSON, and
// writes to what cobra hands it. The package knows no command.
package shell

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/giftcard"
	"github.com/scripcards/scrip/internal/issuing/cardholder"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/ping"
	"github.com/scripcards/scrip/internal/platform/config"
	"github.com/scripcards/scrip/internal/platform/limit"
	"github.com/scripcards/scrip/internal/platform/telemetry"
	"github.com/scripcards/scrip/internal/server"
)

// shared are the settings that every command offers.
var shared = []string{"data", "database", "log-level", "log-format"}

// IsShared says whether every command offers a setting's flag.
func IsShared(flag string) bool { return slices.Contains(shared, flag) }

// Shell is one run of the program.
type Shell struct {
	file string // of the configuration
	// Output is one of the forms of output.
	Output string
}

// New returns a shell whose settings are flags of root and of all commands below it.
func New(root *cobra.Command) *Shell {
	s := &Shell{}
	flags, standard := root.PersistentFlags(), config.Default()
	flags.StringVar(&s.file, "config", os.Getenv(config.Prefix+"CONFIG"), "configuration file (YAML)")
	flags.String("data", standard.Data, "directory of the master key and the embedded database")
	flags.String("database", "", "postgres:// URL instead of the embedded database")
	flags.String("log-level", standard.LogLevel, "debug, info, warn or error")
	flags.String("log-format", standard.LogFormat, "auto, text or json")
	flags.StringVarP(&s.Output, "output", "o", Table, "table or json")
	complete(root, "output", Table, JSON)
	complete(root, "log-level", "debug", "info", "warn", "error")
	complete(root, "log-format", "auto", "text", "json")
	return s
}

// complete has shells offer what a flag may be, and no files.
func complete(cmd *cobra.Command, flag string, values ...string) {
	Must(cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)))
}

// OfferCSV says that a command can write CSV, too, where a flag of its is given.
func OfferCSV(cmd *cobra.Command, flag string) { cmd.Annotations = map[string]string{CSV: flag} }

// CheckOutput refuses a form that a command does not have.
func (s *Shell) CheckOutput(cmd *cobra.Command, _ []string) error {
	forms, want := []string{Table, JSON}, "table or json"
	if flag, offered := cmd.Annotations[CSV]; offered && cmd.Flags().Changed(flag) {
		forms, want = append(forms, CSV), "table, json or csv"
	}
	if !slices.Contains(forms, s.Output) {
		return fmt.Errorf("output %q: want %s", s.Output, want)
	}
	return nil
}

// Settings puts the configuration together for a command, and says of each setting
// where it comes from.
func (s *Shell) Settings(cmd *cobra.Command) (config.Config, map[string]string, error) {
	set := map[string]string{}
	for _, name := range config.Names() {
		if f := cmd.Flags().Lookup(strings.ReplaceAll(name, "_", "-")); f != nil && f.Changed {
			set[name] = f.Value.String()
		}
	}
	return config.Load(config.Sources{File: s.file, Environ: os.Environ(), Flags: set})
}

// Options are what the settings say about an installation.
func Options(c config.Config, logger *slog.Logger) server.Options {
	return server.Options{Data: c.Data, Database: c.Database, MasterKey: c.MasterKey.Reveal(), BaseURL: c.BaseURL,
		Secrets: c.Secrets, DNS: c.DNSServer, Deposits: c.Deposits, Issuing: issuing(c), Cashout: c.Cashout, Payouts: c.Payouts, Captcha: Captcha(c),
		Giftcards: giftcards(c), Pings: checks(c),
		AllowPrivateWebhooks: c.AllowPrivateWebhooks, DatabaseConnections: c.DatabaseConnections, Logger: logger}
}

// Captcha is what the settings say about telling people from machines.
func Captcha(c config.Config) server.Captcha {
	return server.Captcha{Kind: c.Captcha, SiteKey: c.CaptchaSiteKey, SecretFile: c.CaptchaSecretFile, Endpoint: c.CaptchaEndpoint}
}

// giftcards is what the settings say about gift cards.
func giftcards(c config.Config) *giftcard.Rules {
	rules := giftcard.DefaultRules()
	rules.Validity, rules.HoldFor = c.GiftcardValidity, c.GiftcardHold
	return &rules
}

// checks is what the settings say about balance checks.
func checks(c config.Config) *ping.Policy {
	policy, pace := ping.DefaultPolicy(), []limit.Window{{Limit: c.ChecksPerMinute, Per: time.Minute}}
	policy.HighRisk, policy.Credential, policy.Address = c.HighRisk, pace, pace
	return &policy
}

// issuing is what the settings say about virtual cards.
func issuing(c config.Config) server.Issuing {
	home, _ := c.Billing() // the settings were checked when they were read
	return server.Issuing{On: c.Issuing, Seeds: realm.Realm(c.SeedRealm), Known: c.RequireCardholder, LateCredit: c.DisputeCredit == config.CreditWon, HolderName: c.CardholderName,
		Billing: cardholder.Address{Line1: home.Street, City: home.City, State: home.State, Zip: home.Postcode, Country: home.Country}}
}

// NewLogger logs as the settings say, to the standard error of a command.
func NewLogger(cmd *cobra.Command, c config.Config) (*slog.Logger, error) {
	return telemetry.NewLogger(cmd.ErrOrStderr(), telemetry.LogOptions{Format: c.LogFormat, Level: c.LogLevel})
}

// With opens the installation for one command and closes it afterwards.
func (s *Shell) With(cmd *cobra.Command, do func(ctx context.Context, app *server.App) error) (err error) {
	c, _, err := s.Settings(cmd)
	if err != nil {
		return err
	}
	logger, err := NewLogger(cmd, c)
	if err != nil {
		return err
	}
	app, err := server.Open(cmd.Context(), Options(c, logger))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, app.Close()) }()
	return do(cmd.Context(), app)
}

// WithExisting is With for commands that make no sense on a new installation: a
// mistyped directory must not answer like an empty one.
func (s *Shell) WithExisting(cmd *cobra.Command, do func(ctx context.Context, app *server.App) error) error {
	c, _, err := s.Settings(cmd)
	if err != nil {
		return err
	}
	if !server.Exists(Options(c, nil)) {
		return fmt.Errorf("there is no installation in %s: name its directory with --data, or its database with --database", c.Data)
	}
	return s.With(cmd, do)
}

// WithBook is WithExisting, and finds the book of the owner that flags name.
func (s *Shell) WithBook(cmd *cobra.Command, owner *Owner, do func(ctx context.Context, app *server.App, book ledger.BookID) error) error {
	return s.WithExisting(cmd, func(ctx context.Context, app *server.App) error {
		book, _, err := owner.Book(ctx, app)
		if err != nil {
			return err
		}
		return do(ctx, app, book)
	})
}

// Actor names who runs a command, for the audit log.
func Actor() string {
	if user := os.Getenv("USER"); user != "" && len(user) <= 64 {
		return "cli/" + user
	}
	return "cli"
}

// Must is for what only a mistake in this program can break.
func Must(err error) {
	if err != nil {
		panic(err)
	}
}
