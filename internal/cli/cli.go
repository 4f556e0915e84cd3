// Package cli is the command line. A package below it has the commands of one room:
// system runs and keeps an installation, account has customers and credentials,
// giftcard, issuing, code, check, fraud, wallet and cashout have the products'; shell is
// what they share.
//
// A command reads its flags, calls one method of a product and shows what came back.
// Rules about money, cards or orders are the products'.
package cli

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/scripcards/scrip/internal/cli/account"
	"github.com/scripcards/scrip/internal/cli/cashout"
	"github.com/scripcards/scrip/internal/cli/check"
	"github.com/scripcards/scrip/internal/cli/code"
	"github.com/scripcards/scrip/internal/cli/fraud"
	"github.com/scripcards/scrip/internal/cli/giftcard"
	"github.com/scripcards/scrip/internal/cli/issuing"
	"github.com/scripcards/scrip/internal/cli/shell"
	"github.com/scripcards/scrip/internal/cli/system"
	"github.com/scripcards/scrip/internal/cli/wallet"
	"github.com/scripcards/scrip/internal/server"
)

// New returns the program with all its commands.
func New() *cobra.Command {
	root := &cobra.Command{
		Use:   "scrip",
		Short: "A card platform: gift cards, codes, balance checks, virtual cards, cash-out, one ledger",
		Long: `Scrip serves merchants' branded gift cards and four more published card APIs
on one double-entry ledger. Its data live in an embedded database, or in
PostgreSQL with --database.`,
		Example: `  scrip serve --demo                     # try it: demo data, loopback only
  scrip serve --data /var/lib/scrip      # run it on the embedded database
  scrip operator create --name Ada       # make the first operator and its key
  scrip ping --network visa_gift         # check the balance of a card on a running server
  scrip verify                           # prove the books and the audit log`,
		Version:       server.Version(),
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	s := shell.New(root)
	root.PersistentPreRunE = s.CheckOutput
	root.AddCommand(slices.Concat(system.Commands(s), account.Commands(s), giftcard.Commands(s), issuing.Commands(s), code.Commands(s), check.Commands(s), fraud.Commands(s), wallet.Commands(s), cashout.Commands(s))...)
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	asGroup(root)
	for _, cmd := range root.Commands() {
		if cmd.Name() == "help" {
			cmd.Args = topic
		}
	}
	root.SetFlagErrorFunc(wrongFlag)
	teach(root)
	return root
}

// teach has a command, and those below it, say with wrong arguments, and without a flag that
// it needs, how it is called.
func teach(cmd *cobra.Command) {
	if check := cmd.Args; check != nil {
		cmd.Args = func(cmd *cobra.Command, args []string) error { return taught(cmd, check(cmd, args)) }
	}
	cmd.PreRunE = func(cmd *cobra.Command, _ []string) error {
		return taught(cmd, cmp.Or(cmd.ValidateRequiredFlags(), cmd.ValidateFlagGroups()))
	}
	for _, below := range cmd.Commands() {
		teach(below)
	}
}

// wrongFlag says what is wrong with a flag. A group has none of its own: what stands before one
// is a command that it does not have, and says more.
func wrongFlag(cmd *cobra.Command, mistake error) error {
	if cmd.HasSubCommands() {
		if unknown := known(cmd, cmd.Flags().Args()); unknown != nil {
			mistake = unknown
		}
	}
	var number *strconv.NumError
	if errors.As(mistake, &number) { // speaks of functions of Go
		said, _, _ := strings.Cut(mistake.Error(), ": strconv.")
		if number.Func == "ParseBool" {
			mistake = fmt.Errorf("%s: neither true nor false", said)
		} else {
			mistake = fmt.Errorf("%s: no number, or too large", said)
		}
	}
	return taught(cmd, mistake)
}

// taught adds to a mistake in a command line how the command is called.
func taught(cmd *cobra.Command, mistake error) error {
	if mistake == nil {
		return nil
	}
	if cmd.HasSubCommands() {
		return fmt.Errorf("%w: see %s --help", mistake, cmd.CommandPath())
	}
	return fmt.Errorf("%w: want %s, see %s --help", mistake, cmd.UseLine(), cmd.CommandPath())
}

// asGroup has commands that only group others show them, and refuse what is none of them.
func asGroup(cmd *cobra.Command) {
	if !cmd.HasSubCommands() {
		return
	}
	cmd.Args = known
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	for _, below := range cmd.Commands() {
		asGroup(below)
	}
}

// topic refuses help about what is no command.
func topic(help *cobra.Command, args []string) error {
	cmd, rest, err := help.Root().Find(args)
	if err != nil || !cmd.HasSubCommands() {
		return err
	}
	return known(cmd, rest)
}

// known refuses what is none of a group's commands, and names those that are written
// nearly so.
func known(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	mistake := fmt.Errorf("unknown command %q for %q", args[0], cmd.CommandPath())
	cmd.SuggestionsMinimumDistance = 2 // letters
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		return fmt.Errorf("%w (did you mean %s?)", mistake, strings.Join(near, " or "))
	}
	return mistake
}
