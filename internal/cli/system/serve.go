package system

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/scripcards/scrip/internal/bench"
	"github.com/scripcards/scrip/internal/cli/shell"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/platform/config"
	"github.com/scripcards/scrip/internal/platform/storage/flush"
	"github.com/scripcards/scrip/internal/platform/telemetry"
	"github.com/scripcards/scrip/internal/server"
)

func (p *program) serve() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the server",
		Long: `Serve answers the APIs and does the background work until it is interrupted; then
it finishes what it accepted, unless it is interrupted again. When it is ready it prints one line,
"listening on http://HOST:PORT", on standard output.

With --demo it makes demonstration data with published credentials. They work on
loopback addresses only, and only while --demo is given. Without --data the demo
keeps nothing.

With --iso8583 card networks connect on an address of their own, for payments with
virtual cards; a line "card networks on HOST:PORT" comes first. Without
--iso8583-sources only this machine may.`,
		Example: `  scrip serve --demo
  scrip serve --demo --data ./demo --listen 127.0.0.1:0
  scrip serve --data /var/lib/scrip --listen 127.0.0.1:8420
  scrip serve --database postgres://scrip@db.example/scrip
  scrip serve --demo --iso8583 127.0.0.1:8583
  scrip serve --iso8583 :8583 --iso8583-realm live --iso8583-sources 192.0.2.0/24 --iso8583-acquirers 411111`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return p.runServe(cmd) },
	}
	settingFlags(cmd)
	return cmd
}

// settingFlags offers a flag for every setting that the root does not.
func settingFlags(cmd *cobra.Command) {
	standard := config.Default()
	for _, s := range standard.Describe(nil) {
		name := strings.TrimPrefix(s.Flag, "--")
		switch {
		case name == "" || shell.IsShared(name):
		case s.Kind == config.KindSwitch:
			cmd.Flags().Bool(name, s.Default == "true", s.About)
		default:
			cmd.Flags().String(name, s.Default, s.About)
		}
	}
}

func (p *program) runServe(cmd *cobra.Command) (err error) {
	signal.Ignore(syscall.SIGPIPE) // whoever reads the log or the output may leave
	c, origin, err := p.Settings(cmd)
	if err != nil {
		return err
	}
	if c.Demo {
		forget, err := demoData(&c, origin)
		if err != nil {
			return err
		}
		defer func() { _ = forget() }() // what is left of a temporary directory is the system's to clean
	}
	logger, err := shell.NewLogger(cmd, c)
	if err != nil {
		return err
	}
	for _, text := range config.Misspelt(os.Environ()) {
		logger.WarnContext(cmd.Context(), text)
	}
	o := shell.Options(c, logger)
	o.Metrics, o.ProxyList = telemetry.NewMetrics(), c.ProxyList
	ready := false
	return endWithin(cmd.Context(), 2*c.ShutdownTimeout+farewell, func() (err error) {
		defer func() {
			if asked := cmd.Context().Err(); !ready && asked != nil && errors.Is(err, asked) { // what else is wrong is told as ever
				logger.InfoContext(cmd.Context(), "stopped before it was ready", "error", err)
				err = nil // as every stop that was asked for
			}
		}()
		app, err := server.Open(cmd.Context(), o)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, app.Close()) }()
		if !c.Demo && c.Database == "" && flush.Volatile(c.Data) {
			logger.WarnContext(cmd.Context(), "the data directory is in memory: nothing in it outlives this machine's next restart", "data", c.Data)
		}
		if hasty, err := app.DB.Hasty(cmd.Context()); err != nil {
			return err
		} else if hasty {
			logger.WarnContext(cmd.Context(), "PostgreSQL answers before its disk has what it committed (synchronous_commit = off): a crash takes back what was answered")
		}
		return serve(cmd.Context(), app, serving{config: c, out: cmd.OutOrStdout(), ready: func() { ready = true }})
	})
}

// farewell is how long a stop waits beside what it waits for requests and for jobs.
const farewell = 5 * time.Second

// endWithin runs a server and, once ctx has ended, waits for its end no longer than it is told:
// a database that somebody else holds up would be waited for until that is over. What it has not
// taken by then was answered to nobody.
func endWithin(ctx context.Context, longest time.Duration, run func() error) error {
	ended := make(chan error, 1)
	go func() { ended <- run() }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), longest)
	defer cancel()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
		return errors.New("what is under way does not end: not waited for")
	}
}

// demoData gives a demo a quiet log and, where nobody named one, a place for its data until it ends.
func demoData(c *config.Config, origin map[string]string) (forget func() error, err error) {
	if origin["log_level"] == "default" {
		c.LogLevel = "warn"
	}
	if origin["data"] != "default" {
		return func() error { return nil }, nil
	}
	if c.Data, err = os.MkdirTemp("", "scrip-demo-"); err != nil {
		return nil, fmt.Errorf("demo data: %w", err)
	}
	dir := c.Data
	return func() error { return os.RemoveAll(dir) }, nil
}

type serving struct {
	config config.Config
	out    io.Writer
	ready  func() // called once it serves
}

func serve(ctx context.Context, app *server.App, s serving) error {
	proxies, err := s.config.TrustedProxies()
	if err != nil {
		return err
	}
	c := &s.config
	networks, err := cardNetworks(s)
	if err != nil {
		return err
	}
	h := server.HTTP{ISO8583: networks, BaseURL: c.BaseURL, Proxies: proxies, Metrics: c.Metrics, MaxConnections: c.MaxConnections,
		Captcha: shell.Captcha(*c),
		TLS:     server.TLS{Listen: c.TLSListen, Directory: c.ACMEDirectory, Email: c.ACMEEmail, Roots: c.ACMERoots},
		Read:    c.ReadTimeout, Write: c.WriteTimeout, Idle: c.IdleTimeout, Shutdown: c.ShutdownTimeout}
	if s.config.Demo {
		if _, err := app.Demo(ctx); err != nil {
			return err
		}
		h.Extra = func(mux *http.ServeMux) { mux.Handle(bench.NoopPath, bench.NoopHandler()) }
	}
	return app.Serve(ctx, s.config.Listen, h, func(address string) {
		s.ready()
		if s.config.Demo {
			cashOut := "captcha answer demo, every code is 4321, 6585000 cents for a bitcoin"
			if file := app.Cashout.File; file != "" {
				cashOut = "as " + file + " says"
			}
			_, _ = fmt.Fprintf(s.out, demoText, address, s.config.Data, cashOut) // a closed output does not stop the server
		}
		_, _ = fmt.Fprintf(s.out, "listening on http://%s\n", address)
	})
}

// cardNetworks is where card networks connect.
func cardNetworks(s serving) (server.ISO8583, error) {
	c := &s.config
	sources, err := c.CardNetworks()
	if err != nil {
		return server.ISO8583{}, err
	}
	acquirers, err := c.Acquirers()
	return server.ISO8583{Listen: c.ISO8583, Realm: realm.Realm(c.ISO8583Realm), HexBitmap: c.ISO8583Bitmap == "hex", Sources: sources, Acquirers: acquirers,
		Ready: func(address string) {
			_, _ = fmt.Fprintf(s.out, "card networks on %s\n", address) // a closed output does not stop the server
		}}, err
}

const demoText = `
Scrip demo. Everything here is made up, and listens on this machine only.

  data            %[2]s
  API keys        cp_test_sk_demo (test realm), cp_live_sk_demo (live realm)
  gift cards      client id demo-merchant, secret demo-secret, template template_001
  operator        Authorization: Bearer op_demo
  contracts       http://%[1]s/openapi/gatepay.yaml, and so on: cardping, cardpluspay, cryptocardy, cardcoins, operator
  wallet          100.50 USD in each realm, which also pays for codes
  balance checks  6006-4913-0000-0011 on visa_gift, PIN 1234
  virtual cards   seed dec0-de00-dec0-de00, with a card and a wallet that 0.05 BTC paid for
  cash-out        %[3]s

Make a gift card, look at it, and see which templates there are:

  curl -s http://%[1]s/v1/pay/giftcard/create -H 'X-API-Key: cp_test_sk_demo' -H 'Content-Type: application/json' -d '{"title":"Holiday Gift Card","templateId":"template_001","currency":"USD","amount":"100","merchantTradeNo":"hello-1"}'

  curl -s http://%[1]s/v1/pay/giftcard/query -H 'X-API-Key: cp_test_sk_demo' -G --data-urlencode "cardNumber=$(curl -s http://%[1]s/v1/pay/giftcard/create -H 'X-API-Key: cp_test_sk_demo' -H 'Content-Type: application/json' -d '{"title":"Holiday Gift Card","templateId":"template_001","currency":"USD","amount":"100","merchantTradeNo":"hello-1"}' | grep -o 'GC[0-9]*')"

  curl -s http://%[1]s/v1/pay/giftcard/template/list -H 'X-API-Key: cp_test_sk_demo'

Check the balance of a card of the sandbox:

  curl -s http://%[1]s/v1/cards/ping -H 'X-API-Key: cp_test_sk_demo' -H 'Content-Type: application/json' -d '{"card_number":"6006-4913-0000-0011","pin":"1234","network":"visa_gift"}'

See a code that is sold, and buy one:

  curl -s 'http://%[1]s/v1/catalog?item_id=GOOGLE-5USD-KOXx' -H 'X-API-Key: cp_test_sk_demo'

  curl -s http://%[1]s/v1/orders -H 'X-API-Key: cp_test_sk_demo' -H 'Content-Type: application/json' -H 'Idempotency-Key: hello-2' -d '{"item_code":"GOOGLE-5USD-KOXx","quantity":1}'

Get a seed with a virtual card and an address to fund it at, then look at the card of the demo's seed and pay with it:

  curl -s 'http://%[1]s/v1/api/?card=visa&asset=BTC'

  curl -s http://%[1]s/v1/api/cards -H 'X-Seed: dec0-de00-dec0-de00'

  curl -s http://%[1]s/v1/api/simulate/authorization -H 'X-Seed: dec0-de00-dec0-de00' -H 'Content-Type: application/json' -d '{"card_id":"'"$(curl -s http://%[1]s/v1/api/cards -H 'X-Seed: dec0-de00-dec0-de00' | grep -o 'card_[0-9a-z]*' | tail -1)"'","amount":12.50,"merchant":{"name":"EXAMPLE ADS"}}'

See what a bitcoin costs, and begin to turn a prepaid card into some:

  curl -s http://%[1]s/v2/tickers

  curl -s http://%[1]s/v2/orders/$(curl -s http://%[1]s/v2/orders -X POST -d '{"amount":5500,"currency":"bitcoin"}' | grep -oE '[A-Za-z0-9]{20}')

`
