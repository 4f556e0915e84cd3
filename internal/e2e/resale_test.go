package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/core/clock"
)

// How many buyers there are of what is resold, and what it costs them and at the other
// installation, in cents.
const (
	resaleBuyers = 40
	resalePrice  = 500
	resaleCost   = 490
	resaleFunds  = 100_000 // on either wallet
)

// customer makes a customer with money on its test wallet and returns its key.
func (at *installation) customer(t *testing.T) (key string) {
	t.Helper()
	customer := at.fields(t, "customer", "create", "--name", "Reseller")["customer_id"]
	at.run(t, "customer", "load", "--customer", customer, "--realm", "test", "--amount", decimal(resaleFunds), "--reference", "resale")
	return at.fields(t, "key", "create", "--customer", customer, "--realm", "test", "--name", "resale")["secret"]
}

// resell has an installation sell what another one delivers, and returns the folder of its secrets.
func (at *installation) resell(t *testing.T, base, key string) (secrets string) {
	t.Helper()
	secrets = t.TempDir()
	for name, text := range map[string]string{"key": key, "items.csv": "item_code,name,brand,currency,value\nRESOLD,Google Play 5 USD,Google Play,USD,5\n",
		"partner.json": fmt.Sprintf(`{"url":"%s/v1","allow_plain":true,"key_file":"key","currency":"USD"}`, base)} {
		if err := os.WriteFile(filepath.Join(secrets, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	at.run(t, "catalog", "import", filepath.Join(secrets, "items.csv"))
	at.run(t, "supplier", "add", "partner", "--name", "Partner", "--file", filepath.Join(secrets, "partner.json"), "--secrets", secrets, "--timeout", "1s")
	at.run(t, "supplier", "route", "RESOLD", "partner", "--their-item", raceItem)
	return secrets
}

// Orders that another installation delivers are completed however often the server that took
// them is killed: each buyer has one code, no code is twice, the other installation sold as
// many as were bought, and both wallets paid for that and no more.
func TestResaleThroughCrashes(t *testing.T) {
	eachEngine(t, func(t *testing.T, at *installation) {
		upstream := newInstallation(t, "sqlite")
		partner := upstream.start(t, "--demo")
		up := &race{t: t, base: partner.base, key: upstream.customer(t)}
		secrets := at.resell(t, partner.base, up.key)
		r := &race{t: t, item: "RESOLD", buyers: resaleBuyers, key: at.customer(t), answers: map[int]string{}}
		server := at.start(t, "--secrets", secrets)
		for range 3 {
			r.base = server.base
			r.run(resaleBuyers/8, server.kill)
			server = at.start(t, "--secrets", secrets)
		}
		r.base = server.base
		r.run(0, nil)
		r.settled()
		codes := r.codes()
		if sold := up.codes(); len(codes) != resaleBuyers || len(sold) != resaleBuyers {
			t.Errorf("%d codes were bought and %d sold, by %d buyers", len(codes), len(sold), resaleBuyers)
		} else {
			for code := range codes {
				if !sold[code] {
					t.Errorf("%s was not sold", code)
				}
			}
		}
		for _, c := range []struct {
			*race
			cents int
		}{{r, resalePrice}, {up, resaleCost}} {
			var wallet struct{ Data struct{ Balance string } }
			c.read("/v1/balance", &wallet)
			if want := decimal(int64(resaleFunds - resaleBuyers*c.cents)); wallet.Data.Balance != want {
				t.Errorf("a balance is %s, want %s", wallet.Data.Balance, want)
			}
		}
		for _, i := range []*installation{at, upstream} {
			if problems := i.fields(t, "verify")["problems"]; problems != "0" {
				t.Errorf("the books have %s problems", problems)
			}
		}
		server.stop(t)
		partner.stop(t)
	})
}

// settled returns when no order is under way any more: that takes as long as a call of a
// server that is gone might still be on its way.
func (r *race) settled() {
	ctx, stop := context.WithTimeout(context.Background(), 2*patience)
	defer stop()
	for {
		var list struct {
			Data struct{ Pagination struct{ Total int } }
		}
		r.read("/v1/orders?status=processing", &list)
		if list.Data.Pagination.Total == 0 {
			return
		}
		if clock.Wait(ctx, time.Second/4) != nil {
			r.t.Fatalf("%d orders are under way", list.Data.Pagination.Total)
		}
	}
}

// codes are those of all orders, each of which has one that no other has.
func (r *race) codes() map[string]bool {
	r.t.Helper()
	var list struct {
		Data struct {
			Orders []struct {
				ID     int64 `json:"order_id"`
				Status string
			}
		}
	}
	r.read("/v1/orders?per_page=100", &list)
	all := map[string]bool{}
	for _, o := range list.Data.Orders {
		var read struct {
			Data struct{ Codes []struct{ Code string } }
		}
		r.read(fmt.Sprintf("/v1/orders/%d", o.ID), &read)
		if len(read.Data.Codes) != 1 || o.Status != "completed" || all[read.Data.Codes[0].Code] {
			r.t.Errorf("order %d is %s and has the codes %v", o.ID, o.Status, read.Data.Codes)
			continue
		}
		all[read.Data.Codes[0].Code] = true
	}
	return all
}
