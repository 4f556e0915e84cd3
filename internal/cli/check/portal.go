package check

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/scripcards/scrip/internal/cli/shell"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/portal"
	"github.com/scripcards/scrip/internal/server"
)

func (p *program) portal() *cobra.Command {
	cmd := &cobra.Command{Use: "portal", Short: "Customers' public pages for checking a balance: create, list, show, change, verify, disable, enable, remove"}
	cmd.AddCommand(p.createPortal(), p.listPortals(), p.showPortal(), p.changePortal(), p.verifyPortal(), p.setPortal(true), p.setPortal(false), p.removePortal())
	return cmd
}

// portalFlags are what a portal is described with.
type portalFlags struct {
	name, slug, domain  string
	branding            portal.Branding
	languages, networks []string
	inactive            bool
}

func (f *portalFlags) flags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.name, "name", "", "what visitors are shown")
	flags.StringVar(&f.slug, "slug", "", "the end of its address, /p/SLUG")
	flags.StringVar(&f.domain, "domain", "", "a host name of the customer's own; empty: none")
	flags.StringVar(&f.branding.PrimaryColor, "color", "", "#rrggbb; empty: the standard colour")
	flags.StringVar(&f.branding.TextColor, "text-color", "", "#rrggbb of what stands on the colour; empty: black or white")
	flags.StringVar(&f.branding.LogoURL, "logo", "", "https address of a picture")
	flags.StringVar(&f.branding.Tagline, "tagline", "", "a sentence below the name")
	flags.StringVar(&f.branding.SupportURL, "support", "", "https or mailto address of help")
	flags.StringVar(&f.branding.PrivacyURL, "privacy", "", "https address of the privacy notice")
	flags.StringSliceVar(&f.languages, "language", nil, "en, fr or es, the default first; none: en")
	flags.StringSliceVar(&f.networks, "network", nil, "a network that visitors can choose; none: all")
	shell.SettingFlag(cmd, "secrets")
}

func (p *program) createPortal() *cobra.Command {
	var owner shell.Owner
	var f portalFlags
	cmd := &cobra.Command{
		Use: "create", Short: "Make a portal, which is shown at once", Args: cobra.NoArgs,
		Long: `Create makes a page at /p/SLUG. A domain of the customer's own leads to it once the TXT
record that the answer names is in DNS: see "scrip portal verify".`,
		Example: `  scrip portal create --customer cus_01… --realm live --name 'Corner Bakery' --slug corner-bakery
  scrip portal create --customer cus_01… --realm live --name 'La Boulangerie' --slug la-boulangerie --language fr --language en \
      --color '#7a1f3d' --logo https://boulangerie.example/logo.svg --domain cards.boulangerie.example --network scrip`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.WithExisting(cmd, func(ctx context.Context, app *server.App) error {
				book, r, err := owner.Book(ctx, app)
				if err != nil {
					return err
				}
				made, err := app.Portals.Create(ctx, portal.NewPortal{Book: book, Realm: r, Name: f.name, Slug: f.slug, CustomDomain: f.domain,
					Branding: f.branding, Languages: f.languages, Networks: f.networks, Actor: shell.Actor()})
				if err != nil {
					return err
				}
				return p.Show(cmd, portalFields(made))
			})
		},
	}
	owner.Flags(cmd)
	f.flags(cmd)
	shell.Must(cmd.MarkFlagRequired("name"))
	shell.Must(cmd.MarkFlagRequired("slug"))
	return cmd
}

func (p *program) changePortal() *cobra.Command {
	var owner shell.Owner
	var f portalFlags
	cmd := &cobra.Command{
		Use: "change PORTAL", Short: "Change what the flags name, at once", Args: cobra.ExactArgs(1),
		Long: `Change changes what the flags name and leaves the rest. An empty value takes a thing
away: --logo '' the picture, --network '' the choice of networks, so that all are
offered. A slug that is given up stays reserved for the customer; a new domain needs
a TXT record of its own.`,
		Example: `  scrip portal change portal_01… --customer cus_01… --realm live --color '#1f5c4d' --text-color '#ffffff' --logo ''
  scrip portal change portal_01… --customer cus_01… --realm live --domain cards.bakery.example
  scrip portal change portal_01… --customer cus_01… --realm live --inactive`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.withPortal(cmd, &owner, args[0], func(ctx context.Context, app *server.App, now portal.Portal) (portal.Portal, error) {
				return app.Portals.Change(ctx, f.change(cmd, now))
			})
		},
	}
	owner.Flags(cmd)
	f.flags(cmd)
	cmd.Flags().BoolVar(&f.inactive, "inactive", false, "do not show it; --inactive=false shows it again")
	return cmd
}

// change is what the flags that were set make of a portal.
func (f *portalFlags) change(cmd *cobra.Command, now portal.Portal) portal.Change {
	c := portal.Change{Book: now.Book, Portal: now.ID, Operator: true, Actor: shell.Actor()}
	look, active := now.Branding, !f.inactive
	for name, set := range map[string]func(){
		"name": func() { c.Name = &f.name }, "slug": func() { c.Slug = &f.slug }, "domain": func() { c.CustomDomain = &f.domain },
		"language": func() { c.Languages = &f.languages }, "network": func() { c.Networks = &f.networks }, "inactive": func() { c.Active = &active },
		"color": func() { look.PrimaryColor = f.branding.PrimaryColor }, "text-color": func() { look.TextColor = f.branding.TextColor },
		"logo": func() { look.LogoURL = f.branding.LogoURL }, "tagline": func() { look.Tagline = f.branding.Tagline },
		"support": func() { look.SupportURL = f.branding.SupportURL }, "privacy": func() { look.PrivacyURL = f.branding.PrivacyURL },
	} {
		if cmd.Flags().Changed(name) {
			set()
		}
	}
	if look != now.Branding {
		c.Branding = &look
	}
	return c
}

// withPortal lets do change a portal and shows it after that.
func (p *program) withPortal(cmd *cobra.Command, owner *shell.Owner, which string,
	do func(ctx context.Context, app *server.App, now portal.Portal) (portal.Portal, error)) error {
	return p.WithBook(cmd, owner, func(ctx context.Context, app *server.App, book ledger.BookID) error {
		now, err := app.Portals.Find(ctx, book, portal.ID(which))
		if err != nil {
			return err
		}
		after, err := do(ctx, app, now)
		if err != nil {
			return err
		}
		return p.Show(cmd, portalFields(after))
	})
}

func (p *program) verifyPortal() *cobra.Command {
	var owner shell.Owner
	cmd := &cobra.Command{
		Use: "verify PORTAL", Short: "Look now for the DNS record that shows whose the portal's domain is", Args: cobra.ExactArgs(1),
		Long: `Verify asks DNS for the TXT record that "scrip portal show" names, and shows the portal
after it. A running server looks by itself: after a minute, then more and more seldom
for two weeks. Once the record was seen the domain leads to the portal and gets
certificates; when it is missing for three days it does so no more. It exits with 1
where the domain is not verified.`,
		Example: "  scrip portal verify portal_01… --customer cus_01… --realm live",
		RunE: func(cmd *cobra.Command, args []string) error {
			var missing error
			err := p.withPortal(cmd, &owner, args[0], func(ctx context.Context, app *server.App, now portal.Portal) (portal.Portal, error) {
				after, err := app.Portals.VerifyDomain(ctx, portal.Change{Book: now.Book, Portal: now.ID, Actor: shell.Actor()})
				if err == nil && !after.Proof.Verified {
					name, text := after.Record()
					missing = fmt.Errorf("not verified: DNS has no TXT record %q at %s", text, name)
				}
				return after, err
			})
			return errors.Join(err, missing)
		},
	}
	owner.Flags(cmd)
	return cmd
}

// setPortal is disable, or enable.
func (p *program) setPortal(disabled bool) *cobra.Command {
	var owner shell.Owner
	var reason string
	use, about := "enable", "Show a portal again, whoever took it off"
	if disabled {
		use, about = "disable", "Take a portal off; its owner can change how it looks and cannot put it on again, move or remove it"
	}
	cmd := &cobra.Command{
		Use: use + " PORTAL", Short: about, Args: cobra.ExactArgs(1),
		Example: "  scrip portal " + use + " portal_01… --customer cus_01… --realm live --reason phishing",
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.withPortal(cmd, &owner, args[0], func(ctx context.Context, app *server.App, now portal.Portal) (portal.Portal, error) {
				return app.Portals.Change(ctx, portal.Change{Book: now.Book, Portal: now.ID, Disabled: &disabled, Reason: reason, Actor: shell.Actor()})
			})
		},
	}
	owner.Flags(cmd)
	cmd.Flags().StringVar(&reason, "reason", "", "why; it is kept in the audit log")
	shell.Must(cmd.MarkFlagRequired("reason"))
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

func portalFields(p portal.Portal) []shell.Field {
	b := &p.Branding
	record, text := p.Record()
	return []shell.Field{{"portal_id", p.ID}, {"name", p.Name}, {"slug", p.Slug}, {"address", "/p/" + p.Slug}, {"domain", p.CustomDomain},
		{"domain state", p.DomainState()}, {"domain record", record}, {"domain text", text}, {"domain checked", p.Proof.CheckedAt},
		{"state", portalState(&p)}, {"languages", p.Languages}, {"networks", p.Networks}, {"color", b.PrimaryColor},
		{"text color", b.TextColor}, {"logo", b.LogoURL}, {"tagline", b.Tagline}, {"support", b.SupportURL}, {"privacy", b.PrivacyURL}, {"created_at", p.CreatedAt}}
}

func (p *program) listPortals() *cobra.Command {
	var owner shell.Owner
	cmd := &cobra.Command{
		Use: "list", Short: "List a customer's portals, newest first", Args: cobra.NoArgs,
		Example: `  scrip portal list --customer cus_01… --realm live`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.WithBook(cmd, &owner, func(ctx context.Context, app *server.App, book ledger.BookID) error {
				found, err := app.Portals.List(ctx, book, "", portal.MaxPage) // a customer has no more
				if err != nil {
					return err
				}
				l := shell.Listing{Columns: []string{"portal_id", "name", "slug", "domain", "domain state", "state", "created_at"}}
				for i := range found {
					one := &found[i]
					l.Add(one.ID, one.Name, one.Slug, one.CustomDomain, one.DomainState(), portalState(one), one.CreatedAt)
				}
				return p.Print(cmd, l)
			})
		},
	}
	owner.Flags(cmd)
	return cmd
}

func (p *program) showPortal() *cobra.Command {
	var owner shell.Owner
	cmd := &cobra.Command{
		Use: "show PORTAL", Short: "Show a portal", Args: cobra.ExactArgs(1), Example: "  scrip portal show portal_01… --customer cus_01… --realm live",
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.WithBook(cmd, &owner, func(ctx context.Context, app *server.App, book ledger.BookID) error {
				found, err := app.Portals.Find(ctx, book, portal.ID(args[0]))
				if err != nil {
					return err
				}
				return p.Show(cmd, portalFields(found))
			})
		},
	}
	owner.Flags(cmd)
	return cmd
}

func (p *program) removePortal() *cobra.Command {
	var owner shell.Owner
	cmd := &cobra.Command{
		Use: "remove PORTAL", Short: "Remove a portal; its slug stays reserved for the customer", Args: cobra.ExactArgs(1),
		Example: "  scrip portal remove portal_01… --customer cus_01… --realm live",
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.WithBook(cmd, &owner, func(ctx context.Context, app *server.App, book ledger.BookID) error {
				if err := app.Portals.Delete(ctx, portal.Change{Book: book, Portal: portal.ID(args[0]), Operator: true, Actor: shell.Actor()}); err != nil {
					return err
				}
				cmd.Println("removed", args[0])
				return nil
			})
		},
	}
	owner.Flags(cmd)
	return cmd
}
