package giftcard

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/scripcards/scrip/internal/cli/shell"
	"github.com/scripcards/scrip/internal/giftcard"
	"github.com/scripcards/scrip/internal/server"
)

func (p *program) template() *cobra.Command {
	cmd := &cobra.Command{Use: "template", Short: "Cover templates of gift cards: add, list"}
	var id, name, cover string
	add := &cobra.Command{
		Use: "add", Short: "Add a template with its cover image (png or jpeg)", Args: cobra.NoArgs,
		Example: "  scrip template add --id holiday-2026 --name 'Holiday 2026' --cover holiday.png",
		RunE: func(cmd *cobra.Command, _ []string) error {
			image, err := shell.ReadBounded(cover, giftcard.MaxCoverBytes)
			if err != nil {
				return err
			}
			return p.With(cmd, func(ctx context.Context, app *server.App) error {
				t, err := app.Cards.AddTemplate(ctx, giftcard.NewTemplate{ID: id, Name: name, Image: image, Actor: shell.Actor()})
				if err != nil {
					return err
				}
				return p.Show(cmd, []shell.Field{{"template_id", t.ID}, {"name", t.Name}, {"cover_type", t.CoverType}})
			})
		},
	}
	add.Flags().StringVar(&id, "id", "", "the template's id; empty: one is made")
	add.Flags().StringVar(&name, "name", "", "the template's name")
	add.Flags().StringVar(&cover, "cover", "", "image file")
	shell.Must(add.MarkFlagRequired("name"))
	shell.Must(add.MarkFlagRequired("cover"))
	list := &cobra.Command{
		Use: "list", Short: "List templates", Args: cobra.NoArgs,
		Example: `  scrip template list`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.WithExisting(cmd, func(ctx context.Context, app *server.App) error {
				found, err := app.Cards.Templates(ctx)
				if err != nil {
					return err
				}
				l := shell.Listing{Columns: []string{"template_id", "name", "active", "cover_type", "created_at"}}
				for _, t := range found {
					l.Add(t.ID, t.Name, t.Active, t.CoverType, t.CreatedAt)
				}
				return p.Print(cmd, l)
			})
		},
	}
	cmd.AddCommand(add, list)
	return cmd
}
