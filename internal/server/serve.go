package server

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/scripcards/scrip/internal/api/wire"
	"github.com/scripcards/scrip/internal/platform/telemetry"
)

// stopTimeout bounds how long a shutdown waits for jobs that run.
const stopTimeout = 30 * time.Second

// Serve answers requests on address until ctx ends, then stops in order: no new
// connections, requests finished, jobs finished, accounts written. ready is told
// the address that was opened.
func (a *App) Serve(ctx context.Context, address string, h HTTP, ready func(address string)) error {
	health := &telemetry.Health{}
	health.Check("database", a.DB.Ping)
	server := wire.NewServer(wire.ServerOptions{Address: address, Handler: a.handler(h, health), Logger: a.Logger})
	opened, err := server.Listen(ctx)
	if err != nil {
		return err
	}
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	if err := a.start(background); err != nil {
		return err
	}
	running := make(chan struct{})
	go func() {
		defer close(running)
		a.Accounts.Run(background)
	}()
	ready(opened.String())
	go func() {
		<-ctx.Done()
		health.Closing()
	}()
	err = server.Serve(ctx)
	grace, cancel := context.WithTimeout(background, stopTimeout)
	defer cancel()
	a.Webhooks.Stop()
	err = errors.Join(err, a.Jobs.Stop(grace))
	stop()
	<-running
	return err
}

func (a *App) start(ctx context.Context) error {
	if err := a.Jobs.Start(ctx); err != nil {
		return fmt.Errorf("start jobs: %w", err)
	}
	if err := a.Webhooks.Start(ctx); err != nil {
		return fmt.Errorf("start webhooks: %w", err)
	}
	return nil
}
