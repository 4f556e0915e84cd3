package check

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/scripcards/scrip/internal/cli/shell"
	"github.com/scripcards/scrip/internal/portal"
	"github.com/scripcards/scrip/internal/server"
)

func (p *program) portal() *cobra.Command {
	cmd := &cobra.Command{Use: "portal", Short: "Customers' public pages for checking a balance: create, list, show, remove"}
	cmd.AddCommand(p.createPortal(), p.listPortals(), p.showPortal(), p.removePortal())
	return cmd
}

func (p *program) createPortal() *cobra.Command {
	var owner shell.Owner
	var n portal.NewPortal
	cmd := &cobra.Command{
		Use: "create", Short: "Make a portal, which is shown at once", Args: cobra.NoArgs,
		Example: `  scrip portal create --customer cus_01… --realm live --name 'Corner Bakery' --slug corner-bakery
  scrip portal create --customer cus_01… --realm live --name 'Corner Bakery' --slug corner-bakery --language fr --language en \
      --color '#7a1f3d' --logo https://bakery.example/logo.svg --domain cards.bakery.example --network scrip`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.With(cmd, func(ctx context.Context, app *server.App) error {
				book, r, err := owner.Book(ctx, app)
				if err != nil {
					return err
				}
				n.Book, n.Realm, n.Actor = book, r, shell.Actor()
				made, err := app.Portals.Create(ctx, n)
				if err != nil {
					return err
				}
				return p.Show(cmd, portalFields(made))
			})
		},
	}
	owner.Flags(cmd)
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
	shell.Must(cmd.MarkFlagRequired("name"))
	shell.Must(cmd.MarkFlagRequired("slug"))
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
	return []shell.Field{{"portal", string(p.ID)}, {"name", p.Name}, {"slug", p.Slug}, {"address", "/p/" + p.Slug}, {"domain", p.CustomDomain},
		{"state", portalState(&p)}, {"languages", strings.Join(p.Languages, " ")}, {"networks", strings.Join(p.Networks, " ")}, {"color", b.PrimaryColor},
		{"text color", b.TextColor}, {"logo", b.LogoURL}, {"tagline", b.Tagline}, {"support", b.SupportURL}, {"privacy", b.PrivacyURL}, {"created", shell.Moment(p.CreatedAt)}}
}

func (p *program) listPortals() *cobra.Command {
	var owner shell.Owner
	cmd := &cobra.Command{
		Use: "list", Short: "List a customer's portals, newest first", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.WithExisting(cmd, func(ctx context.Context, app *server.App) error {
				book, _, err := owner.Book(ctx, app)
				if err != nil {
					return err
				}
				found, err := app.Portals.List(ctx, book, "", portal.MaxPage) // a customer has no more
				if err != nil {
					return err
				}
				l := shell.Listing{Columns: []string{"PORTAL", "NAME", "SLUG", "DOMAIN", "STATE", "CREATED"}}
				for i := range found {
					one := &found[i]
					l.Add(string(one.ID), one.Name, one.Slug, one.CustomDomain, portalState(one), shell.Moment(one.CreatedAt))
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
			return p.WithExisting(cmd, func(ctx context.Context, app *server.App) error {
				book, _, err := owner.Book(ctx, app)
				if err != nil {
					return err
				}
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
			return p.WithExisting(cmd, func(ctx context.Context, app *server.App) error {
				book, _, err := owner.Book(ctx, app)
				if err != nil {
					return err
				}
				if err := app.Portals.Delete(ctx, portal.Change{Book: book, Portal: portal.ID(args[0]), Actor: shell.Actor()}); err != nil {
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
