package code

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/scripcards/scrip/internal/catalog"
	"github.com/scripcards/scrip/internal/cli/shell"
	"github.com/scripcards/scrip/internal/server"
)

func (p *program) setState() *cobra.Command {
	return &cobra.Command{
		Use: "state ITEM STATE", Short: "Sell an item, hide it or retire it: active, hidden, retired", Args: cobra.ExactArgs(2),
		Long:    "A hidden item is not listed, but sold to who knows its code; a retired one is not sold, and orders of it stay.",
		Example: "  scrip catalog state GOOGLE-5USD-KOXx hidden",
		RunE: func(cmd *cobra.Command, args []string) error {
			return p.WithExisting(cmd, func(ctx context.Context, app *server.App) error {
				item, err := app.Catalog.SetState(ctx, catalog.ItemCode(args[0]), catalog.State(args[1]), shell.Actor())
				if err != nil {
					return err
				}
				return p.Show(cmd, []shell.Field{{"item_code", item.Code}, {"state", item.State}})
			})
		},
	}
}

// picture is what image is asked for.
type picture struct {
	item, brand, file string
	remove            bool
}

func (p *program) setImage() *cobra.Command {
	var which picture
	cmd := &cobra.Command{
		Use: "image [FILE]", Short: "Give an item or a brand a picture, or take it away", Args: cobra.MaximumNArgs(1),
		Long: `Image uploads a PNG or JPEG of at most 2 MiB, 4096 pixels a side and 4 million in all,
which is encoded anew and served to everybody under an address made of its hash. A
brand's picture is that of its items without one of their own.`,
		Example: `  scrip catalog image google.png --item GOOGLE-5USD-KOXx
  scrip catalog image google.png --brand 'Google Play'
  scrip catalog image --item GOOGLE-5USD-KOXx --remove`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				which.file = args[0]
			}
			return p.runImage(cmd, &which)
		},
	}
	cmd.Flags().StringVar(&which.item, "item", "", "the item code")
	cmd.Flags().StringVar(&which.brand, "brand", "", "the brand")
	cmd.Flags().BoolVar(&which.remove, "remove", false, "take the picture away")
	return cmd
}

func (p *program) runImage(cmd *cobra.Command, which *picture) error {
	if (which.item == "") == (which.brand == "") || which.remove == (which.file != "") {
		return errors.New("want --item or --brand, and a file or --remove")
	}
	var upload []byte
	if !which.remove {
		var err error
		if upload, err = shell.ReadBounded(which.file, catalog.MaxImageBytes); err != nil {
			return err
		}
		if len(upload) == 0 {
			return errors.New("the file of the picture is empty")
		}
	}
	return p.WithExisting(cmd, func(ctx context.Context, app *server.App) error {
		if which.brand != "" {
			image, err := app.Catalog.SetBrandImage(ctx, which.brand, upload, shell.Actor())
			if err != nil {
				return err
			}
			return p.Show(cmd, []shell.Field{{"brand", which.brand}, {"image", image}})
		}
		item, err := app.Catalog.SetImage(ctx, catalog.ItemCode(which.item), upload, shell.Actor())
		if err != nil {
			return err
		}
		return p.Show(cmd, []shell.Field{{"item_code", item.Code}, {"image", item.Image}})
	})
}
