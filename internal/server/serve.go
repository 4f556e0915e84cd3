package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"runtime/debug"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/scripcards/scrip/internal/api/wire"
	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/platform/telemetry"
)

// defaultShutdown bounds how long a shutdown waits for requests, and then for jobs.
const defaultShutdown = 30 * time.Second

// Serve answers requests on address until ctx ends, then stops in order: no new
// connections, requests finished, jobs finished, accounts written. ready is told
// the address that was opened.
func (a *App) Serve(ctx context.Context, address string, h HTTP, ready func(address string)) error {
	relaxCollector()
	if h.Shutdown == 0 {
		h.Shutdown = defaultShutdown
	}
	health := &telemetry.Health{Logger: a.Logger}
	health.Check("database", a.usable)
	driver, err := h.Captcha.driver()
	if err != nil {
		return err
	}
	served := a.handler(h, driver, health)
	server := wire.NewServer(wire.ServerOptions{Address: address, Handler: served.all, Logger: a.Logger,
		MaxConnections: h.MaxConnections, Proxies: h.Proxies, Read: h.Read, Write: h.Write, Idle: h.Idle, Grace: h.Shutdown})
	opened, err := server.Listen(ctx)
	if err != nil {
		return err
	}
	serveTLS, err := a.listenTLS(ctx, h, served)
	if err != nil {
		return err
	}
	if err := a.Fraud.Restore(ctx); err != nil {
		return err
	}
	serveISO, err := a.listenISO(ctx, h.ISO8583, h.Shutdown)
	if err != nil {
		return err
	}
	serveMetrics, err := a.listenMetrics(ctx, h.Metrics)
	if err != nil {
		return err
	}
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	if err := a.start(background); err != nil {
		return err
	}
	var running sync.WaitGroup
	running.Go(func() { a.Accounts.Run(background) })
	running.Go(func() { a.Vault.Run(background, a.Logger) })
	running.Go(func() { a.Pings.Run(background) })
	running.Go(func() { a.Fraud.Run(background) })
	running.Go(func() { a.Catalog.Run(background) })
	running.Go(func() { a.Supply.Run(background) })
	running.Go(func() { a.Alerts.Run(background) })
	running.Go(func() { serveMetrics(background) })
	if !a.DB.Shared() { // of a database elsewhere nothing is known without asking
		running.Go(func() { watchWrites(background, a.DB.Failed, a.Logger) })
	}
	a.Logger.InfoContext(ctx, "serving", "address", opened.String(), "version", a.Version, "engine", a.DB.Engine())
	ready(opened.String())
	all, bound := errgroup.WithContext(ctx) // one that breaks ends the others
	context.AfterFunc(bound, health.Closing)
	all.Go(func() error { return server.Serve(bound) })
	all.Go(func() error { return serveTLS(bound) })
	all.Go(func() error { return serveISO(bound) })
	err = all.Wait()
	a.Logger.InfoContext(background, "stopping", "address", opened.String())
	grace, cancel := context.WithTimeout(background, h.Shutdown)
	defer cancel()
	a.Webhooks.Stop()
	err = errors.Join(err, a.Jobs.Stop(grace))
	stop()
	running.Wait()
	return err
}

// usable returns why the database cannot serve: it does not, or a restore into it was begun since.
func (a *App) usable(ctx context.Context) error {
	if err := a.DB.Ping(ctx); err != nil {
		return err
	}
	return storage.Whole(ctx, a.DB)
}

// listenMetrics opens an address for scrapes alone, when there is one, and returns what serves it.
func (a *App) listenMetrics(ctx context.Context, address string) (serve func(context.Context), err error) {
	if a.Metrics == nil || address == "" || address == metricsOff {
		return func(context.Context) {}, nil
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", a.Metrics.Handler())
	mux.HandleFunc("/", unknownPath)
	server := wire.NewServer(wire.ServerOptions{Address: address, Handler: mux, Logger: a.Logger, Grace: time.Second})
	if _, err := server.Listen(ctx); err != nil {
		return nil, fmt.Errorf("metrics: %w", err)
	}
	return func(ctx context.Context) {
		if err := server.Serve(ctx); err != nil {
			a.Logger.ErrorContext(ctx, "metrics server ended", "error", err)
		}
	}, nil
}

const metricsOff = "off"

func (a *App) start(ctx context.Context) error {
	if err := a.Cashout.Begin(ctx); err != nil {
		return fmt.Errorf("cashout: %w", err)
	}
	if err := a.Jobs.Start(ctx); err != nil {
		return fmt.Errorf("start jobs: %w", err)
	}
	a.warnOfOthers(ctx)
	if err := a.Webhooks.Start(ctx); err != nil {
		return fmt.Errorf("start webhooks: %w", err)
	}
	return nil
}

// How often it is looked whether the database takes writes, and how often at most it is said that
// it takes none, or takes them again: a disk that is nearly full takes some and others not.
const (
	lookAtWrites = time.Second
	sayWrites    = time.Minute
)

// watchWrites says, until ctx ends, that nothing can be written, also where nobody asks whether
// the server is ready.
func watchWrites(ctx context.Context, failed func() error, logger *slog.Logger) {
	var none, again clock.Seldom
	told := false // that it takes none
	for clock.Wait(ctx, lookAtWrites) == nil {
		err := failed()
		switch {
		case err != nil && none.Due(sayWrites):
			logger.ErrorContext(ctx, "the database takes no writes", "error", err)
			told = true
		case err == nil && told && again.Due(sayWrites):
			logger.InfoContext(ctx, "the database takes writes again")
			told = false
		}
	}
}

// warnOfOthers says where another server has the same embedded database open. Nothing is lost
// then, but each of them counts limits by itself.
func (a *App) warnOfOthers(ctx context.Context) {
	if a.DB.Shared() {
		return
	}
	if living, err := a.Jobs.Workers.Living(); err == nil && living > 1 {
		a.Logger.WarnContext(ctx, "another server has this data directory open: each allows as much as the limits say; several servers share a PostgreSQL database", "others", living-1)
	}
}

// relaxCollector lets garbage grow to four times what lives, unless GOGC says
// otherwise: little lives in a server whose data are in a database.
func relaxCollector() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(400)
	}
}
