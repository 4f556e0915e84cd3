package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/scripcards/scrip/internal/ping"
	"github.com/scripcards/scrip/internal/portal"
	"github.com/scripcards/scrip/internal/server"
)

func (p *program) check() *cobra.Command {
	cmd := &cobra.Command{Use: "check", Short: "Balance checks that were made: list, label"}
	cmd.AddCommand(p.listChecks(), p.labelCheck())
	return cmd
}

// mostChecks bounds a list of checks.
const mostChecks = 10_000

func (p *program) listChecks() *cobra.Command {
	var owner owned
	var limit int
	cmd := &cobra.Command{
		Use: "list", Short: "List a customer's balance checks, newest first, with their whole scores", Args: cobra.NoArgs,
		Example: "  scrip check list --customer cus_01… --realm live --limit 20",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if limit < 1 || limit > mostChecks {
				return fmt.Errorf("limit %d: want 1 to %d", limit, mostChecks)
			}
			return p.withExisting(cmd, func(ctx context.Context, app *server.App) error {
				book, _, err := owner.book(ctx, app)
				if err != nil {
					return err
				}
				l := listing{columns: []string{"CHECK", "TIME", "NETWORK", "CARD", "STATUS", "BALANCE", "CURRENCY", "SCORE", "SIGNALS", "CREDENTIAL", "ADDRESS", "LABEL"}}
				for before := ping.ID(""); len(l.rows) < limit; {
					found, err := app.Pings.List(ctx, book, before, min(limit-len(l.rows), ping.MaxLimit))
					if err != nil {
						return err
					}
					if len(found) == 0 {
						break
					}
					for i := range found {
						l.add(checkRow(&found[i])...)
					}
					before = found[len(found)-1].ID
				}
				return p.print(cmd, l)
			})
		},
	}
	owner.flags(cmd)
	cmd.Flags().IntVar(&limit, "limit", ping.DefaultLimit, "how many at the most")
	return cmd
}

func checkRow(r *ping.Record) []string {
	var signals []string
	for _, s := range r.Score.Signals {
		signals = append(signals, s.Name)
	}
	return []string{string(r.ID), moment(r.At), r.Network, r.Card, string(r.Status), r.Balance.String(), r.Balance.Currency.String(),
		fmt.Sprintf("%d.%02d", r.Score.Hundredths/100, r.Score.Hundredths%100), strings.Join(signals, " "), r.Credential, r.Address, string(r.Label)}
}

func (p *program) labelCheck() *cobra.Command {
	var owner owned
	cmd := &cobra.Command{
		Use: "label CHECK fraud|genuine", Short: "Note what a check turned out to be", Args: cobra.ExactArgs(2),
		Long: `Label notes whether a check was fraud or genuine, for those who judge scores. A second
label replaces the first. A running server learns from labels that it is told
itself, over the operator API.`,
		Example: "  scrip check label ping_01… fraud --customer cus_01… --realm live",
		RunE: func(cmd *cobra.Command, args []string) error {
			if args[1] == "" { // the product would take a label back
				return fmt.Errorf("label %q: want fraud or genuine", args[1])
			}
			return p.withExisting(cmd, func(ctx context.Context, app *server.App) error {
				book, _, err := owner.book(ctx, app)
				if err != nil {
					return err
				}
				if err := app.Pings.Label(ctx, ping.LabelRequest{Book: book, Ping: ping.ID(args[0]), Label: ping.Label(args[1]), Actor: actor()}); err != nil {
					return err
				}
				cmd.Println("labelled", args[0], args[1])
				return nil
			})
		},
	}
	owner.flags(cmd)
	return cmd
}

func (p *program) suspension() *cobra.Command {
	cmd := &cobra.Command{Use: "suspension", Short: "Callers suspended for searching cards: list, lift"}
	list := &cobra.Command{
		Use: "list", Short: "List suspended callers of all customers", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.withExisting(cmd, func(ctx context.Context, app *server.App) error { return p.listSuspensions(ctx, cmd, app) })
		},
	}
	var owner owned
	var reason string
	lift := &cobra.Command{
		Use: "lift CALLER", Short: "Let a suspended caller back, with nothing held against it", Args: cobra.ExactArgs(1),
		Example: "  scrip suspension lift key_01… --customer cus_01… --realm live --reason 'a test of their own'",
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.withExisting(cmd, func(ctx context.Context, app *server.App) error {
				book, _, err := owner.book(ctx, app)
				if err != nil {
					return err
				}
				if err := app.Pings.Lift(ctx, ping.LiftRequest{Book: book, Caller: args[0], Reason: reason, Actor: actor()}); err != nil {
					return err
				}
				cmd.Println("lifted", args[0])
				return nil
			})
		},
	}
	owner.flags(lift)
	lift.Flags().StringVar(&reason, "reason", "", "why; it is kept in the audit log")
	must(lift.MarkFlagRequired("reason"))
	cmd.AddCommand(list, lift)
	return cmd
}

func (p *program) listSuspensions(ctx context.Context, cmd *cobra.Command, app *server.App) error {
	l := listing{columns: []string{"CALLER", "REALM", "BOOK", "REASON", "CARDS", "FOUND", "SINCE"}}
	for after := (ping.Suspension{}); ; {
		found, err := app.Pings.Suspensions(ctx, after, ping.MaxLimit)
		if err != nil {
			return err
		}
		for _, s := range found {
			l.add(s.Caller, string(s.Realm), string(s.Book), s.Reason, strconv.FormatInt(s.Cards, 10), strconv.FormatInt(s.Found, 10), moment(s.At))
		}
		if len(found) < ping.MaxLimit {
			return p.print(cmd, l)
		}
		after = found[len(found)-1]
	}
}

func (p *program) portal() *cobra.Command {
	cmd := &cobra.Command{Use: "portal", Short: "Customers' public pages for checking a balance: create, list, show, remove"}
	cmd.AddCommand(p.createPortal(), p.listPortals(), p.showPortal(), p.removePortal())
	return cmd
}

func (p *program) createPortal() *cobra.Command {
	var owner owned
	var n portal.NewPortal
	cmd := &cobra.Command{
		Use: "create", Short: "Make a portal, which is shown at once", Args: cobra.NoArgs,
		Example: `  scrip portal create --customer cus_01… --realm live --name 'Corner Bakery' --slug corner-bakery
  scrip portal create --customer cus_01… --realm live --name 'Corner Bakery' --slug corner-bakery --language fr --language en \
      --color '#7a1f3d' --logo https://bakery.example/logo.svg --domain cards.bakery.example --network scrip`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.with(cmd, func(ctx context.Context, app *server.App) error {
				book, r, err := owner.book(ctx, app)
				if err != nil {
					return err
				}
				n.Book, n.Realm, n.Actor = book, r, actor()
				made, err := app.Portals.Create(ctx, n)
				if err != nil {
					return err
				}
				return p.show(cmd, portalFields(made))
			})
		},
	}
	owner.flags(cmd)
	flags := cmd.Flags()
	flags.StringVar(&n.Name, "name", "", "what visitors are shown")
	flags.StringVar(&n.Slug, "slug", "", "the end of its address, /p/SLUG")
	flags.StringVar(&n.CustomDomain, "domain", "", "a host name of the customer's own")
	flags.StringVar(&n.Branding.PrimaryColor, "color", "", "#rrggbb; empty: the standard colour")
	flags.StringVar(&n.Branding.LogoURL, "logo", "", "https address of a picture")
	flags.StringVar(&n.Branding.Tagline, "tagline", "", "a sentence below the name")
	flags.StringVar(&n.Branding.SupportURL, "support", "", "https or mailto address of help")
	flags.StringVar(&n.Branding.PrivacyURL, "privacy", "", "https address of the privacy notice")
	flags.StringSliceVar(&n.Languages, "language", nil, "en, fr or es, the default first; none: en")
	flags.StringSliceVar(&n.Networks, "network", nil, "a network that visitors can choose; none: all")
	must(cmd.MarkFlagRequired("name"))
	must(cmd.MarkFlagRequired("slug"))
	return cmd
}

func portalState(p *portal.Portal) string {
	switch {
	case p.Disabled:
		return "disabled"
	case p.Active:
		return "active"
	}
	return "inactive"
}

func portalFields(p portal.Portal) []field {
	b := &p.Branding
	return []field{{"portal", string(p.ID)}, {"name", p.Name}, {"slug", p.Slug}, {"address", "/p/" + p.Slug}, {"domain", p.CustomDomain},
		{"state", portalState(&p)}, {"languages", strings.Join(p.Languages, " ")}, {"networks", strings.Join(p.Networks, " ")}, {"color", b.PrimaryColor},
		{"text color", b.TextColor}, {"logo", b.LogoURL}, {"tagline", b.Tagline}, {"support", b.SupportURL}, {"privacy", b.PrivacyURL}, {"created", moment(p.CreatedAt)}}
}

func (p *program) listPortals() *cobra.Command {
	var owner owned
	cmd := &cobra.Command{
		Use: "list", Short: "List a customer's portals, newest first", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.withExisting(cmd, func(ctx context.Context, app *server.App) error {
				book, _, err := owner.book(ctx, app)
				if err != nil {
					return err
				}
				found, err := app.Portals.List(ctx, book, "", portal.MaxPage) // a customer has no more
				if err != nil {
					return err
				}
				l := listing{columns: []string{"PORTAL", "NAME", "SLUG", "DOMAIN", "STATE", "CREATED"}}
				for i := range found {
					one := &found[i]
					l.add(string(one.ID), one.Name, one.Slug, one.CustomDomain, portalState(one), moment(one.CreatedAt))
				}
				return p.print(cmd, l)
			})
		},
	}
	owner.flags(cmd)
	return cmd
}

func (p *program) showPortal() *cobra.Command {
	var owner owned
	cmd := &cobra.Command{
		Use: "show PORTAL", Short: "Show a portal", Args: cobra.ExactArgs(1), Example: "  scrip portal show portal_01… --customer cus_01… --realm live",
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.withExisting(cmd, func(ctx context.Context, app *server.App) error {
				book, _, err := owner.book(ctx, app)
				if err != nil {
					return err
				}
				found, err := app.Portals.Find(ctx, book, portal.ID(args[0]))
				if err != nil {
					return err
				}
				return p.show(cmd, portalFields(found))
			})
		},
	}
	owner.flags(cmd)
	return cmd
}

func (p *program) removePortal() *cobra.Command {
	var owner owned
	cmd := &cobra.Command{
		Use: "remove PORTAL", Short: "Remove a portal; its slug stays reserved for the customer", Args: cobra.ExactArgs(1),
		Example: "  scrip portal remove portal_01… --customer cus_01… --realm live",
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.withExisting(cmd, func(ctx context.Context, app *server.App) error {
				book, _, err := owner.book(ctx, app)
				if err != nil {
					return err
				}
				if err := app.Portals.Delete(ctx, portal.Change{Book: book, Portal: portal.ID(args[0]), Actor: actor()}); err != nil {
					return err
				}
				cmd.Println("removed", args[0])
				return nil
			})
		},
	}
	owner.flags(cmd)
	return cmd
}
