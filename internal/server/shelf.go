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

// demoShop is the cards of one brand.
type demoShop struct {
	brand, code, category string
	region                string
	countries             []string
	delivery              catalog.Delivery
	currency              money.Currency
	values                []int64 // face values, in minor units
	most                  int64   // of a range that begins at the only value
	codes                 int     // of each value, in stock in the test realm
}

// demoShops are made up but for the item that the published samples sell.
var demoShops = []demoShop{
	{"Google Play", "GOOGLE", "Apps", "us", []string{"US"}, catalog.Digital, money.USD, []int64{500, 1000, 2500, 5000}, 0, 0},
	{"Pixel Forge", "PIXELFORGE", "Games", "global", nil, catalog.Digital, money.USD, []int64{1000, 2000, 5000, 10000}, 0, 25},
	{"Northwind Arcade", "NORTHWIND", "Games", "eu", []string{"DE", "FR", "NL"}, catalog.Digital, money.EUR, []int64{500, 1500, 3000}, 0, 25},
	{"Tiny Dragon", "TINYDRAGON", "Games", "asia", []string{"JP"}, catalog.Digital, money.JPY, []int64{500, 1000, 3000}, 0, 0},
	{"Lumen Stream", "LUMEN", "Streaming", "global", nil, catalog.Digital, money.USD, []int64{999, 1999, 4999}, 0, 25},
	{"Wavelength Music", "WAVELENGTH", "Streaming", "uk", []string{"GB"}, catalog.Digital, money.GBP, []int64{1000, 3000}, 0, 0},
	{"Kite Mobile", "KITE", "Mobile top-up", "us", []string{"US"}, catalog.Digital, money.USD, []int64{1000, 1500, 3000, 5000}, 0, 25},
	{"Harbour Books", "HARBOUR", "Books", "uk", []string{"GB", "IE"}, catalog.Both, money.GBP, []int64{1000}, 15000, 0},
	{"Verdant Market", "VERDANT", "Groceries", "us", []string{"US"}, catalog.Both, money.USD, []int64{2500, 5000, 10000}, 0, 25},
	{"Cinder Coffee", "CINDER", "Food and drink", "us", []string{"CA", "US"}, catalog.Both, money.USD, []int64{500, 1000, 2000}, 0, 25},
	{"Maple Table", "MAPLE", "Food and drink", "ca", []string{"CA"}, catalog.Physical, money.CAD, []int64{2500, 5000}, 0, 0},
	{"Aurora Air", "AURORA", "Travel", "global", nil, catalog.Digital, money.USD, []int64{5000}, 100000, 0},
	{"Atlas Hotels", "ATLAS", "Travel", "eu", []string{"AT", "CH", "DE"}, catalog.Digital, money.EUR, []int64{5000, 10000}, 0, 0},
	{"Stitch and Thread", "STITCH", "Fashion", "eu", []string{"ES", "FR", "IT"}, catalog.Physical, money.EUR, []int64{2000, 5000}, 0, 0},
	{"Open Workshop", "WORKSHOP", "Home", "us", []string{"US"}, catalog.Both, money.USD, []int64{2500, 7500}, 0, 25},
}

// The item of the published samples, and how many codes of it there are.
const (
	demoItem      = catalog.ItemCode("GOOGLE-5USD-KOXx")
	demoItemCodes = 60
	demoBatch     = "demo"
	demoSupplier  = "Demo supplier"
	demoPercent   = 9800 // of the face value: 5.00 is sold for 4.90
)

// demoCatalog makes the demonstration's catalog, its prices and, in the test realm, its codes.
func (a *App) demoCatalog(ctx context.Context) error {
	for _, shop := range demoShops {
		for _, minor := range shop.values {
			p := shop.product(minor)
			if _, err := a.Catalog.Find(ctx, p.Code); err == nil {
				continue // it was made before, and is the operator's to change
			}
			if _, _, err := a.Catalog.Put(ctx, p, demoActor); err != nil {
				return fmt.Errorf("item %s: %w", p.Code, err)
			}
			codes := shop.codes
			if p.Code == demoItem {
				codes = demoItemCodes
			}
			if err := a.demoCodes(ctx, p.Code, codes); err != nil {
				return fmt.Errorf("codes of %s: %w", p.Code, err)
			}
		}
	}
	if len(a.Catalog.Prices(ctx)) > 0 {
		return nil
	}
	_, err := a.Catalog.PutPrice(ctx, catalog.Rule{Basis: catalog.OfFace, Percent: demoPercent}, demoActor)
	return err
}

// product is a shop's card of a face value.
func (d demoShop) product(minor int64) catalog.Product {
	face := catalog.NewFace(minor, d.currency)
	p := catalog.Product{Brand: d.brand, Category: d.category, Region: d.region, Countries: d.countries, Delivery: d.delivery, Face: face, LowStock: 5,
		Code:        catalog.ItemCode(d.code + "-" + strings.ReplaceAll(face.Decimal(), ".", "_") + d.currency.String()),
		Name:        d.brand + " " + face.Decimal() + " " + d.currency.String(),
		Description: "A gift card of " + d.brand + ", for demonstrations alone.",
		Terms:       "This card is made up: no shop takes it."}
	if d.most > 0 {
		p.FaceMax = catalog.NewFace(d.most, d.currency)
		p.Name = fmt.Sprintf("%s %s to %s %s", d.brand, face.Decimal(), p.FaceMax.Decimal(), d.currency)
		p.Code = catalog.ItemCode(d.code + "-ANY" + d.currency.String())
	}
	if p.Code == "GOOGLE-5USD" {
		p.Code = demoItem
	}
	return p
}

// demoCodes puts n codes of an item in stock, which say that they are none. Every other has a PIN.
func (a *App) demoCodes(ctx context.Context, item catalog.ItemCode, n int) error {
	if n == 0 {
		return nil
	}
	var file strings.Builder
	file.WriteString("code,pin\n")
	for i := range n {
		pin := ""
		if i%2 == 1 {
			pin = fmt.Sprintf("%04d", 1000+37*i)
		}
		fmt.Fprintf(&file, "DEMO-%s-%04d,%s\n", strings.ToUpper(string(item)), i+1, pin)
	}
	_, err := a.Stock.Import(ctx, strings.NewReader(file.String()), stock.Options{Realm: realm.Test, Item: item, Supplier: demoSupplier, Batch: demoBatch, Actor: demoActor})
	return err
}
