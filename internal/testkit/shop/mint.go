package shop

import (
	"bytes"
	"fmt"
	"image"
	"image/png"

	"github.com/scripcards/scrip/internal/catalog"
	"github.com/scripcards/scrip/internal/catalog/stock"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/giftcard"
	"github.com/scripcards/scrip/internal/order/supply"
	"github.com/scripcards/scrip/internal/testkit/check"
)

// House is the supplier that makes gift cards. Each costs a dollar less than it is worth.
const House = "house"

// Mint sets up an item whose codes are gift cards, which are made when they are sold, of a
// customer who is returned.
func (s *Shop) Mint(item catalog.ItemCode, cents int64) giftcard.Merchant {
	s.t.Helper()
	var picture bytes.Buffer
	check.OK(s.t, png.Encode(&picture, image.NewRGBA(image.Rect(0, 0, 20, 16))))
	_, err := s.Cards.AddTemplate(s.t.Context(), giftcard.NewTemplate{ID: "template_001", Name: "Aurora", Image: picture.Bytes(), Actor: Seeder})
	check.OK(s.t, err)
	issuer, face := s.Customer("Issuer"), catalog.NewFace(cents, money.USD)
	_, _, err = s.Orders.Catalog.Put(s.t.Context(), catalog.Product{Code: item, Name: "Own", Brand: "Own", Face: face, FaceMax: face,
		Mint: "template_001", Cost: catalog.NewCost(cents-100, money.USD)}, Seeder)
	check.OK(s.t, err)
	_, err = s.Supply.Add(s.t.Context(), supply.Setup{Config: fmt.Appendf(nil, `{"customer":%q}`, issuer.Customer), Actor: Seeder,
		Configured: supply.Configured{Realm: realm.Test, ID: House, Name: "The house", Kind: supply.KindGiftcard, Active: true}})
	check.OK(s.t, err)
	check.OK(s.t, s.Supply.PutRoute(s.t.Context(), supply.Route{Realm: realm.Test, Item: item, Supplier: House}, Seeder))
	return giftcard.Merchant{Book: issuer.Book, Realm: realm.Test, Actor: "key_issuer"}
}

// NoMint has no more gift cards made for an item.
func (s *Shop) NoMint(item catalog.ItemCode) {
	s.t.Helper()
	check.OK(s.t, s.Supply.RemoveRoute(s.t.Context(), supply.Route{Realm: realm.Test, Item: item, Supplier: House}, Seeder))
}

// CardOf is how a merchant names the gift card that a code is.
func CardOf(code stock.Code) giftcard.Secret {
	number, err := pan.ParseAlnum(code.Text.Reveal())
	if err != nil {
		return giftcard.Secret{Key: code.PIN}
	}
	return giftcard.Secret{Number: number}
}
