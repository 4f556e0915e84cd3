package code

import (
	"context"

	"github.com/scripcards/scrip/internal/api/operator/desk"
	"github.com/scripcards/scrip/internal/api/wire"
	"github.com/scripcards/scrip/internal/catalog"
)

func (a *api) pictureRoutes(s *surface) {
	const item, brand = "/catalog/items/{item_code}/image", "/catalog/brands/{brand}/image"
	ofItem, ofBrand := put("items.set_image", item, catalog.MaxImageBytes), put("brands.set_image", brand, catalog.MaxImageBytes)
	ofItem.Accept, ofBrand.Accept = imageBytes, imageBytes
	wire.Handle(s, ofItem, a.setItemImage)
	wire.Handle(s, desk.Remove("items.delete_image", item), a.deleteItemImage)
	wire.Handle(s, desk.Get("brands.list", "/catalog/brands"), a.listBrands)
	wire.Handle(s, ofBrand, a.setBrandImage)
	wire.Handle(s, desk.Remove("brands.delete_image", brand), a.deleteBrandImage)
}

// body returns the picture of a request, or what it lacks.
func body(c *call) ([]byte, error) {
	if len(c.Body) == 0 {
		return nil, desk.Invalid("image", "the body must be a png or jpeg image")
	}
	return c.Body, nil
}

func (a *api) setItemImage(ctx context.Context, c *call, in itemPath) (itemView, error) {
	picture, err := body(c)
	if err != nil {
		return itemView{}, err
	}
	changed, err := a.Catalog.SetImage(ctx, in.code(), picture, desk.Actor(c))
	return viewItem(changed), err
}

func (a *api) deleteItemImage(ctx context.Context, c *call, in itemPath) (wire.None, error) {
	_, err := a.Catalog.SetImage(ctx, in.code(), nil, desk.Actor(c))
	return wire.None{}, err
}

type brandPath struct {
	Brand string `path:"brand" json:"-"`
}

type brandView struct {
	Brand string `json:"brand"`
	Image string `json:"image"`
}

func (a *api) listBrands(_ context.Context, _ *call, in struct{ wire.CursorQuery }) (wire.Listing[brandView], error) {
	s, err := a.Desk.Span(in.CursorQuery, "brands")
	if err != nil {
		return wire.Listing[brandView]{}, err
	}
	all := a.Catalog.Brands()
	for len(all) > 0 && all[0].Name <= s.After {
		all = all[1:]
	}
	shown, next := desk.Cut(all, s, func(b catalog.Brand) string { return b.Name })
	list := desk.Page(shown, func(b catalog.Brand) brandView { return brandView{b.Name, b.Image} })
	list.NextCursor = a.Desk.More(s, next)
	return list, nil
}

func (a *api) setBrandImage(ctx context.Context, c *call, in brandPath) (brandView, error) {
	picture, err := body(c)
	if err != nil {
		return brandView{}, err
	}
	image, err := a.Catalog.SetBrandImage(ctx, in.Brand, picture, desk.Actor(c))
	return brandView{in.Brand, image}, err
}

func (a *api) deleteBrandImage(ctx context.Context, c *call, in brandPath) (wire.None, error) {
	_, err := a.Catalog.SetBrandImage(ctx, in.Brand, nil, desk.Actor(c))
	return wire.None{}, err
}
