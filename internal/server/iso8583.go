package server

import (
	"context"
	"net/netip"
	"time"

	"github.com/scripcards/scrip/internal/api/iso8583"
	"github.com/scripcards/scrip/internal/core/realm"
)

// ISO8583 is the issuer's host that card networks connect to; the zero one is none.
type ISO8583 struct {
	// Listen is HOST:PORT; empty: nobody connects.
	Listen string
	// Realm is that of the cards; empty: the test realm.
	Realm realm.Realm
	// HexBitmap has bitmaps written as hexadecimal text.
	HexBitmap bool
	// Sources are the networks that may connect; empty: this machine.
	Sources []netip.Prefix
	// Acquirers are the institutions that are served; empty: all.
	Acquirers []string
	// Ready is told the address that was opened; it may be nil.
	Ready func(address string)
}

// listenISO opens the issuer's host, when there is one, and returns what serves it.
func (a *App) listenISO(ctx context.Context, o ISO8583, grace time.Duration) (serve func(context.Context) error, err error) {
	if o.Listen == "" {
		return func(context.Context) error { return nil }, nil
	}
	if o.Realm == "" {
		o.Realm = realm.Test
	}
	deps := iso8583.Deps{Payments: a.Payments, Logger: a.Logger}
	if a.Metrics != nil {
		deps.Observe = func(r iso8583.Record) { a.Metrics.Message(r.Type, r.Code, r.Took) }
	}
	host := iso8583.New(deps, iso8583.Options{Address: o.Listen, HexBitmap: o.HexBitmap, Realm: o.Realm, Sources: o.Sources, Acquirers: o.Acquirers, Grace: grace})
	opened, err := host.Listen(ctx)
	if err != nil {
		return nil, err
	}
	if a.Metrics != nil {
		err := a.Metrics.Gauge("scrip_iso8583_connections", "Open connections of card networks.", func() float64 { return float64(host.Connections()) })
		if err != nil {
			return nil, err
		}
	}
	a.Logger.InfoContext(ctx, "serving ISO 8583", "address", opened.String(), "realm", string(o.Realm))
	if o.Ready != nil {
		o.Ready(opened.String())
	}
	return host.Serve, nil
}
