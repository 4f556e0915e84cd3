package server

import (
	"context"
	"fmt"
	"strings"

	"github.com/scripcards/scrip/internal/catalog"
	"github.com/scripcards/scrip/internal/catalog/stock"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/realm"
)

// demoItem is a product of the demonstration, with how many made-up codes of it the
// sandbox has.
type demoItem struct {
	code            catalog.ItemCode
	brand, category string
	cents           int64
	currency        money.Currency
	region          string
	countries       string
	codes           int
}

// demoCharged is what the published item is charged at, in cents.
const demoCharged = 490

var demoItems = []demoItem{
	{"GOOGLE-5USD-KOXx", "Google Play", "Apps", 500, money.USD, "global", "US", 60},
	{"GOOGLE-10USD-VbR3", "Google Play", "Apps", 1000, money.USD, "global", "US", 20},
	{"GOOGLE-25EUR-t7Lq", "Google Play", "Apps", 2500, money.EUR, "eu", "DE ES FR IT", 10},
	{"APPLE-10USD-mN4e", "Apple", "Apps", 1000, money.USD, "us", "US", 20},
	{"APPLE-50USD-Zc8h", "Apple", "Apps", 5000, money.USD, "us", "US", 10},
	{"STEAM-20USD-PQ2r", "Steam", "Gaming", 2000, money.USD, "global", "", 20},
	{"STEAM-50EUR-x5Wd", "Steam", "Gaming", 5000, money.EUR, "eu", "", 0},
	{"XBOX-15USD-jK9u", "Xbox", "Gaming", 1500, money.USD, "us", "US", 10},
	{"PSN-25GBP-a3Fy", "PlayStation", "Gaming", 2500, money.GBP, "uk", "GB", 10},
	{"NINTENDO-35EUR-Ho6s", "Nintendo", "Gaming", 3500, money.EUR, "eu", "", 10},
	{"NETFLIX-15USD-Lm4t", "Netflix", "Streaming", 1500, money.USD, "us", "US", 20},
	{"SPOTIFY-30EUR-e2Gv", "Spotify", "Streaming", 3000, money.EUR, "eu", "DE FR", 10},
	{"AMAZON-25USD-Rt7b", "Amazon", "Shopping", 2500, money.USD, "us", "US", 20},
	{"ZALANDO-50EUR-q8Nc", "Zalando", "Shopping", 5000, money.EUR, "eu", "AT DE", 0},
	{"UBER-20GBP-w1Jk", "Uber", "Travel", 2000, money.GBP, "uk", "GB", 10},
}

// demoCodes makes a catalog worth browsing and a stock for the sandbox. A second start
// finds them and adds nothing.
func (a *App) demoCodes(ctx context.Context) error {
	for _, d := range demoItems {
		if _, _, err := a.Catalog.Put(ctx, d.product(), demoActor); err != nil {
			return fmt.Errorf("demo item %s: %w", d.code, err)
		}
		if d.codes == 0 {
			continue
		}
		o := stock.Options{Realm: realm.Test, Item: d.code, Supplier: "demo", Batch: "demo", Actor: demoActor}
		if _, err := a.Stock.Import(ctx, strings.NewReader(d.file()), o); err != nil {
			return fmt.Errorf("demo codes of %s: %w", d.code, err)
		}
	}
	if len(a.Catalog.Prices(ctx)) > 0 {
		return nil
	}
	rule := catalog.Rule{Item: demoItems[0].code, Basis: catalog.Fixed, Amount: catalog.NewCharged(demoCharged, money.USD)}
	if _, err := a.Catalog.PutPrice(ctx, rule, demoActor); err != nil {
		return fmt.Errorf("demo price: %w", err)
	}
	return nil
}

func (d *demoItem) product() catalog.Product {
	face := catalog.NewFace(d.cents, d.currency)
	name := fmt.Sprintf("%s %s %s", d.brand, face.Decimal(), d.currency)
	return catalog.Product{Code: d.code, Name: name, Brand: d.brand, Category: d.category, Description: "A made-up code of the demonstration: " + name + ".",
		Face: face, FaceMax: face, Region: d.region, Countries: strings.Fields(d.countries), Delivery: catalog.Digital, State: catalog.Active}
}

// file lists the codes of an item, the same at every start.
func (d *demoItem) file() string {
	var text strings.Builder
	text.WriteString("code\n")
	for i := range d.codes {
		fmt.Fprintf(&text, "DEMO-%s-%04d\n", strings.ToUpper(string(d.code)), i+1)
	}
	return text.String()
}
