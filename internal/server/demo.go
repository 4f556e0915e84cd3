package server

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/color"
	"image/png"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/giftcard"
	"github.com/scripcards/scrip/internal/wallet"
)

const demoActor = "demo"

// Demo makes the demonstration's data, once per database, and has this process accept
// the published demo credentials. The caller sees to it that it listens on loopback only.
func (a *App) Demo(ctx context.Context) (account.DemoAccount, error) {
	demo, err := a.Accounts.Demo(ctx, demoActor)
	if err != nil {
		return demo, fmt.Errorf("demo accounts: %w", err)
	}
	for _, t := range demoTemplates {
		_, err := a.Cards.Template(ctx, t.id)
		if fault.CodeOf(err) == fault.NotFound { // to draw a cover takes longer than all else of a start
			_, err = a.Cards.AddTemplate(ctx, giftcard.NewTemplate{ID: t.id, Name: t.name, Image: t.cover(), Actor: demoActor})
		}
		if err != nil && fault.CodeOf(err) != fault.AlreadyExists {
			return demo, fmt.Errorf("demo template %s: %w", t.id, err)
		}
	}
	if err := a.demoCatalog(ctx); err != nil {
		return demo, fmt.Errorf("demo catalog: %w", err)
	}
	for _, r := range realm.All() {
		load := wallet.Load{Book: demo.Customer.Book(r), Realm: r, Amount: money.New(10050, money.USD), Reference: "demo", Actor: demoActor}
		if _, err := a.Wallets.Load(ctx, load); err != nil {
			return demo, fmt.Errorf("demo wallet: %w", err)
		}
	}
	if err := a.Cashout.Demo(ctx); err != nil {
		return demo, fmt.Errorf("demo cash-out: %w", err)
	}
	rules := &a.Issuing.Programme
	rules.IssuingOn, rules.RequireCardholder, a.SeedRealm = true, false, realm.Test
	if err := a.demoCards(ctx, &demo.Holder); err != nil {
		return demo, fmt.Errorf("demo cards: %w", err)
	}
	return demo, nil
}

type demoTemplate struct {
	id, name string
	from, to color.RGBA
}

var demoTemplates = []demoTemplate{
	{"template_001", "Aurora", color.RGBA{0x1b, 0x2a, 0x6b, 0xff}, color.RGBA{0x3f, 0xc1, 0xa5, 0xff}},
	{"template_002", "Ember", color.RGBA{0x6b, 0x1b, 0x2a, 0xff}, color.RGBA{0xf2, 0xa2, 0x3a, 0xff}},
	{"template_003", "Paper", color.RGBA{0xf4, 0xee, 0xe2, 0xff}, color.RGBA{0xc9, 0xb8, 0x94, 0xff}},
}

// cover draws a card of 640 by 400 pixels: a slanted gradient with two bands.
func (t demoTemplate) cover() []byte {
	const width, height = 640, 400
	picture := image.NewRGBA(image.Rect(0, 0, width, height))
	for y := range height {
		for x := range width {
			at := (x*3 + y*5) * 255 / (width*3 + height*5)
			if band := (x + 2*y) % 400; band < 24 {
				at = min(255, at+40)
			}
			picture.SetRGBA(x, y, mix(t.from, t.to, at))
		}
	}
	var out bytes.Buffer
	quick := png.Encoder{CompressionLevel: png.BestSpeed} // it is encoded anew to be kept
	_ = quick.Encode(&out, picture)                       // a buffer takes everything
	return out.Bytes()
}

// mix is at 255ths of the way from one colour to the other.
func mix(from, to color.RGBA, at int) color.RGBA {
	part := func(a, b uint8) uint8 { return uint8((int(a)*(255-at) + int(b)*at) / 255) }
	return color.RGBA{part(from.R, to.R), part(from.G, to.G), part(from.B, to.B), 0xff}
}
