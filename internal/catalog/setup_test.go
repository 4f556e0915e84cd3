package catalog_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/catalog"
	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/testkit"
	"github.com/scripcards/scrip/internal/testkit/check"
)

var epoch = time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)

const ada = "operator/ada"

// process is one running program with a catalog on a database that others may share.
type process struct {
	*catalog.Service
	t     testing.TB
	clock *clock.Manual
}

func join(t testing.TB, db *storage.DB) *process {
	t.Helper()
	manual := clock.NewManual(epoch)
	s := catalog.New(catalog.Deps{DB: db, Audit: audit.New(db), Clocks: clock.NewRealms(manual), Logger: slog.New(slog.DiscardHandler)})
	check.OK(t, s.Refresh(context.Background()))
	return &process{s, t, manual}
}

func eachEngine(t *testing.T, test func(t *testing.T, p *process)) {
	t.Helper()
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) { test(t, join(t, db)) })
}

func usd(minor int64) catalog.Face { return catalog.NewFace(minor, money.USD) }

// item is a product of a fixed denomination.
func item(code catalog.ItemCode, name, brand string, minor int64) catalog.Product {
	return catalog.Product{Code: code, Name: name, Brand: brand, Category: "Gaming", Face: usd(minor)}
}

// put adds or replaces products.
func (p *process) put(products ...catalog.Product) {
	p.t.Helper()
	for _, product := range products {
		_, _, err := p.Put(context.Background(), product, ada)
		check.OK(p.t, err)
	}
}

// found returns the codes that a filter finds, on its page, and how many there are in all.
func (p *process) found(f catalog.Filter) string {
	p.t.Helper()
	page, err := p.Search(context.Background(), f)
	check.OK(p.t, err)
	var codes []string
	for _, product := range page.Products {
		codes = append(codes, string(product.Code))
	}
	return fmt.Sprintf("%s /%d", strings.Join(codes, " "), page.Total)
}

// audited returns what operators did, oldest first.
func (p *process) audited() []string {
	p.t.Helper()
	entries, err := p.Audit.List(context.Background(), audit.Filter{})
	check.OK(p.t, err)
	var actions []string
	for _, e := range entries {
		actions = append([]string{e.Actor + " " + e.Action + " " + e.Subject}, actions...)
	}
	return actions
}

func value(t testing.TB, text string) *catalog.Value {
	t.Helper()
	v, err := catalog.ParseValue(text)
	check.OK(t, err)
	return &v
}

// testkitOpen returns an empty embedded database.
func testkitOpen(t testing.TB) *storage.DB {
	t.Helper()
	return testkit.Open(t, testkit.Database(t, "sqlite"))
}
