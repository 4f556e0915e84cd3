// Package server is the composition root: it opens the database, builds every
// service, mounts every dialect, runs the background work, and stops it all in
// order. It holds no rule of its own.
package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"time"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/catalog"
	"github.com/scripcards/scrip/internal/catalog/stock"
	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/fraud/office"
	"github.com/scripcards/scrip/internal/giftcard"
	"github.com/scripcards/scrip/internal/issuing"
	"github.com/scripcards/scrip/internal/issuing/authorization"
	"github.com/scripcards/scrip/internal/issuing/authorization/decision"
	"github.com/scripcards/scrip/internal/issuing/dispute"
	"github.com/scripcards/scrip/internal/issuing/statement"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/order"
	"github.com/scripcards/scrip/internal/order/claim"
	"github.com/scripcards/scrip/internal/order/report"
	"github.com/scripcards/scrip/internal/order/supply"
	"github.com/scripcards/scrip/internal/ping"
	"github.com/scripcards/scrip/internal/platform/idempotency"
	"github.com/scripcards/scrip/internal/platform/job"
	"github.com/scripcards/scrip/internal/platform/job/alive"
	"github.com/scripcards/scrip/internal/platform/limit"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/platform/storage/wal"
	"github.com/scripcards/scrip/internal/platform/telemetry"
	"github.com/scripcards/scrip/internal/platform/vault"
	"github.com/scripcards/scrip/internal/portal"
	"github.com/scripcards/scrip/internal/provider/simulator/chain"
	"github.com/scripcards/scrip/internal/rate"
	"github.com/scripcards/scrip/internal/server/cashdesk"
	"github.com/scripcards/scrip/internal/wallet"
	"github.com/scripcards/scrip/internal/wallet/address"
	"github.com/scripcards/scrip/internal/wallet/deposit"
	"github.com/scripcards/scrip/internal/webhook"
)

// databaseFile is the SQLite file within the data directory.
const databaseFile = "scrip.db"

// workersFolder is where the processes of a data directory note that they live.
const workersFolder = "workers"

// Options say where an installation lives.
type Options struct {
	// Data is the directory of the master key and of the embedded database.
	Data string
	// Database is a postgres:// URL; empty: the embedded database in Data.
	Database string
	// MasterKey is the master key in base64; empty: the file in Data.
	MasterKey string
	// AllowPrivateWebhooks lets webhooks go to private addresses, for tests and development.
	AllowPrivateWebhooks bool
	Logger               *slog.Logger
	// Giftcards are the rules for gift cards; nil: giftcard.DefaultRules.
	Giftcards *giftcard.Rules
	// Pings are the rules of balance checks; nil: ping.DefaultPolicy.
	Pings *ping.Policy
	// Secrets is the folder of the files that the configurations of networks and suppliers may
	// name; empty: none.
	Secrets string
	// ProxyList is a file of addresses and networks that hide who uses them, one a line, for
	// fraud scores; empty: none.
	ProxyList string
	// Deposits is the file that describes crypto deposits; empty: the sandbox's alone.
	Deposits string
	// BaseURL is the installation's public address, whose host no portal can claim; may be empty.
	BaseURL string
	// Cashout is the file that describes how prepaid cards are turned into bitcoin; empty: they are not.
	Cashout string
	// Payouts is the file that describes who pays it; empty: the sandbox alone.
	Payouts string
	// Captcha tells those who do so from machines; none: the live realm is not served.
	Captcha Captcha
	// DNS is the server that portals' own domains are looked up at, HOST:PORT; empty: the system's.
	DNS string
	// CutDamagedLog, when set, is told what is given up, which lies behind damage to the log of
	// an embedded database.
	CutDamagedLog func(wal.Report)
	// DatabaseConnections bounds this process's connections to PostgreSQL; 0: the default.
	DatabaseConnections int
	// Payments are the rules of payments with virtual cards; nil: authorization.DefaultPolicy.
	Payments *authorization.Policy
	// Issuing are the rules for virtual cards.
	Issuing Issuing
	// Metrics counts what happens; nil: nothing is counted.
	Metrics *telemetry.Metrics
	// Answered is told how long each answer to a request or to a card network took, from when the
	// work on it began. It is called by whoever answered, and must be quick; nil: nobody is told.
	Answered func(took time.Duration)
}

// App is every service of one installation, without HTTP and without background
// work: what commands and the server share.
type App struct {
	DB       *storage.DB
	Clocks   *clock.Realms
	Vault    *vault.Vault
	Audit    *audit.Log
	Books    *ledger.Ledger
	Accounts *account.Service
	Jobs     *job.Queue
	Webhooks *webhook.Service
	Limits   *limit.Limiter
	Cards    *giftcard.Service
	Issuing  *issuing.Service
	// Payments decides payments with virtual cards; Decisions is whom it asks.
	Payments  *authorization.Service
	Decisions *decision.Service
	// Statements are the months of cards and wallets, Disputes what is contested.
	Statements *statement.Service
	Disputes   *dispute.Service
	Wallets    *wallet.Service
	Alerts     *wallet.Alerts
	// Rates are what assets are worth, in each realm.
	Rates     map[realm.Realm]*rate.Service
	Addresses *address.Service
	Deposits  *deposit.Service
	// Sandbox pays on the test realm's own chains.
	Sandbox *chain.Sandbox
	Catalog *catalog.Service
	Stock   *stock.Stock
	Orders  *order.Service
	Claims  *claim.Service
	Reports *report.Service
	Pings   *ping.Service
	// Fraud scores balance checks and payments.
	Fraud   *office.Service
	Portals *portal.Service
	Logger  *slog.Logger
	Metrics *telemetry.Metrics
	Supply  *supply.Service
	// Cashout turns prepaid cards into bitcoin.
	Cashout *cashdesk.Desk
	// SeedRealm is that of the seeds which anybody can make.
	SeedRealm realm.Realm
	// Version is the program's, as it is shown to operators.
	Version  string
	data     string // the data directory
	answered func(took time.Duration)
}

// Open opens an installation and brings its schema up to date.
func Open(ctx context.Context, o Options) (*App, error) {
	if err := os.MkdirAll(o.Data, 0o700); err != nil {
		return nil, fmt.Errorf("open data directory: %w", err)
	}
	db, err := OpenDatabase(ctx, o)
	if err != nil {
		return nil, err
	}
	if err := storage.Whole(ctx, db); err != nil { // what is empty would be given keys of its own
		return nil, errors.Join(err, db.Close())
	}
	app, err := build(ctx, db, o)
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return app, nil
}

func build(ctx context.Context, db *storage.DB, o Options) (*App, error) {
	if _, err := db.Migrate(ctx); err != nil {
		return nil, fmt.Errorf("migrate: %w", err)
	}
	keys, err := openVault(ctx, db, o)
	if err != nil {
		return nil, err
	}
	a := &App{data: o.Data, SeedRealm: o.Issuing.seedRealm(), DB: db, Vault: keys, Logger: o.Logger, Metrics: o.Metrics, Version: Version(), Clocks: clock.NewRealms(clock.System()), Audit: audit.New(db), answered: o.Answered}
	a.Accounts = account.New(account.Deps{DB: db, Vault: keys, Audit: a.Audit, Clocks: a.Clocks, Logger: o.Logger})
	if err := a.Accounts.LoadTestClock(ctx); err != nil {
		return nil, fmt.Errorf("load test clock: %w", err)
	}
	books, hooks := ledger.Config{}, webhook.Config{Types: EventTypes(), Secrets: authorization.SecretEventTypes(), Reserved: a.reserved()}
	a.Jobs = job.New(db, a.Clocks, o.Logger)
	a.Jobs.Workers = alive.Folder(filepath.Join(o.Data, workersFolder))
	if o.Metrics != nil {
		books.Observe, hooks.Observe, a.Jobs.Observe = o.Metrics.Batch, delivery(o.Metrics), jobs(o.Metrics)
	}
	a.Webhooks = webhook.New(webhook.Deps{DB: db, Clocks: a.Clocks, Vault: keys, Queue: a.Jobs, Audit: a.Audit,
		Guard: &webhook.Guard{AllowPrivate: o.AllowPrivateWebhooks}, Logger: o.Logger, Config: hooks})
	if err := a.Webhooks.Refresh(ctx); err != nil { // so that commands, too, tell subscribers
		return nil, fmt.Errorf("load webhook subscriptions: %w", err)
	}
	a.Alerts = wallet.NewAlerts(wallet.AlertDeps{DB: db, Outbox: a.Webhooks.Outbox, Audit: a.Audit, Clocks: a.Clocks, Logger: o.Logger})
	if err := a.Alerts.Refresh(ctx); err != nil {
		return nil, fmt.Errorf("load alerts of wallets: %w", err)
	}
	books.Watch = a.Alerts.Watch
	a.Books = ledger.New(db, a.Clocks, books)
	a.Limits = limit.New(db, clock.System())
	rules := giftcard.DefaultRules()
	if o.Giftcards != nil {
		rules = *o.Giftcards
	}
	a.Cards = giftcard.New(giftcard.Deps{DB: db, Books: a.Books, Vault: keys, Outbox: a.Webhooks.Outbox, Audit: a.Audit, Clocks: a.Clocks, Rules: rules})
	a.Wallets = wallet.New(a.Books, a.Webhooks.Outbox, a.Clocks)
	a.Issuing = issuing.New(issuing.Deps{DB: db, Books: a.Books, Vault: keys, Outbox: a.Webhooks.Outbox, Audit: a.Audit, Clocks: a.Clocks,
		Programme: o.Issuing.programme()})
	if err := a.buildDeposits(o); err != nil {
		return nil, err
	}
	if err := a.buildCatalog(ctx, o); err != nil {
		return nil, err
	}
	if err := a.buildFraud(ctx, o); err != nil {
		return nil, err
	}
	if err := a.buildPings(ctx, o); err != nil {
		return nil, err
	}
	a.buildPayments(o)
	if err := a.buildOrders(ctx, o); err != nil {
		return nil, err
	}
	if err := a.buildAfterSale(o); err != nil {
		return nil, err
	}
	a.Portals = portal.New(portal.Deps{DB: db, Audit: a.Audit, Accounts: a.Accounts, Clocks: a.Clocks, Jobs: a.Jobs, Resolver: resolver(o.DNS),
		Config: portal.Config{OwnHost: hostOf(o.BaseURL)},
		Known: func(r realm.Realm, network string) bool {
			return slices.ContainsFunc(a.Pings.Networks(r), func(n ping.NetworkInfo) bool { return n.ID == network })
		}})
	if err := a.buildCashout(o); err != nil {
		return nil, err
	}
	a.schedule()
	return a, nil
}

// buildCashout makes what turns prepaid cards into bitcoin.
func (a *App) buildCashout(o Options) error {
	desk := cashdesk.Options{File: o.Cashout, Payouts: o.Payouts, BaseURL: o.BaseURL}
	account, err := o.Captcha.open()
	if err != nil {
		return err
	}
	if account != nil { // a nil account is no nil interface
		desk.Captcha = account
	}
	a.Cashout, err = cashdesk.Open(cashdesk.Deps{DB: a.DB, Books: a.Books, Vault: a.Vault, Accounts: a.Accounts, Outbox: a.Webhooks.Outbox, Jobs: a.Jobs,
		Clocks: a.Clocks, Audit: a.Audit, Limits: a.Limits, Rates: a.Rates, Logger: o.Logger}, desk)
	if err != nil || o.Metrics == nil {
		return err
	}
	return a.Cashout.Measure(o.Metrics)
}

// buildPings makes the balance checks with the networks that operators configured.
func (a *App) buildPings(ctx context.Context, o Options) error {
	rules := ping.DefaultPolicy()
	if o.Pings != nil {
		rules = *o.Pings
	}
	kinds, err := adapters(o.Secrets)
	if err != nil {
		return err
	}
	a.Pings = ping.New(ping.Deps{DB: a.DB, Vault: a.Vault, Clocks: a.Clocks, Outbox: a.Webhooks.Outbox, Audit: a.Audit, Limits: a.Limits,
		Fraud: a.Fraud, Mark: a.Fraud.Mark, Labelling: a.Fraud.Judging(), Cards: a.Cards, Issuing: a.Issuing, Adapters: kinds, Policy: rules, Logger: o.Logger})
	if err := a.Pings.Refresh(ctx); err != nil {
		return fmt.Errorf("load networks of balance checks: %w", err)
	}
	return nil
}

// buildPayments makes what decides payments with virtual cards.
func (a *App) buildPayments(o Options) {
	rules := authorization.DefaultPolicy()
	if o.Payments != nil {
		rules = *o.Payments
	}
	a.Decisions = decision.New(decision.Deps{DB: a.DB, Vault: a.Vault, Outbox: a.Webhooks.Outbox, Audit: a.Audit, Clocks: a.Clocks,
		Guard: &webhook.Guard{AllowPrivate: o.AllowPrivateWebhooks}, Logger: o.Logger})
	a.Payments = authorization.New(authorization.Deps{DB: a.DB, Books: a.Books, Cards: a.Issuing, Vault: a.Vault, Outbox: a.Webhooks.Outbox,
		Clocks: a.Clocks, Fraud: a.Fraud, Decider: a.Decisions, Policy: rules, Logger: o.Logger})
	a.Statements = statement.New(statement.Deps{DB: a.DB, Books: a.Books, Cards: a.Issuing, Payments: a.Payments, Clocks: a.Clocks})
	a.Disputes = dispute.New(dispute.Deps{DB: a.DB, Books: a.Books, Payments: a.Payments, Vault: a.Vault, Outbox: a.Webhooks.Outbox, Audit: a.Audit,
		Clocks: a.Clocks, Policy: o.Issuing.contests()})
	a.Payments.Disputes = a.Disputes
}

// buildCatalog builds what resellers can buy.
func (a *App) buildCatalog(ctx context.Context, o Options) error {
	a.Catalog = catalog.New(catalog.Deps{DB: a.DB, Audit: a.Audit, Clocks: a.Clocks, Logger: o.Logger})
	if err := a.Catalog.Refresh(ctx); err != nil {
		return fmt.Errorf("load catalog: %w", err)
	}
	a.Stock = stock.New(stock.Deps{DB: a.DB, Vault: a.Vault, Audit: a.Audit, Outbox: a.Webhooks.Outbox, Clocks: a.Clocks, Catalog: a.Catalog, Logger: o.Logger})
	return nil
}

// buildOrders makes the sale of codes with the suppliers that operators configured.
func (a *App) buildOrders(ctx context.Context, o Options) error {
	kinds, err := suppliers(o.Secrets)
	if err != nil {
		return err
	}
	a.Supply = supply.New(supply.Deps{DB: a.DB, Vault: a.Vault, Audit: a.Audit, Clocks: a.Clocks, Catalog: a.Catalog, Accounts: a.Accounts,
		Adapters: kinds, Logger: o.Logger})
	if err := a.Supply.Refresh(ctx); err != nil {
		return fmt.Errorf("load suppliers: %w", err)
	}
	a.Orders = order.New(order.Deps{DB: a.DB, Books: a.Books, Catalog: a.Catalog, Stock: a.Stock, Supply: a.Supply, Cards: a.Cards,
		Outbox: a.Webhooks.Outbox, Queue: a.Jobs, Audit: a.Audit, Clocks: a.Clocks, Logger: o.Logger})
	return nil
}

// buildAfterSale builds what happens to orders once they are completed.
func (a *App) buildAfterSale(o Options) error {
	a.Claims = claim.New(claim.Deps{DB: a.DB, Orders: a.Orders, Stock: a.Stock, Outbox: a.Webhooks.Outbox, Audit: a.Audit, Clocks: a.Clocks})
	a.Reports = report.New(report.Deps{DB: a.DB, Audit: a.Audit, Outbox: a.Webhooks.Outbox, Clocks: a.Clocks, Logger: o.Logger})
	if o.Metrics == nil {
		return nil
	}
	return o.Metrics.Counter("scrip_report_differences_total", "Differences that daily reports of orders, codes and postings found.",
		func() float64 { return float64(a.Reports.Differences()) })
}

// How often the sweeps run.
const (
	holdSweep = time.Second
	cardSweep = 5 * time.Second
	tellSweep = 5 * time.Second
	lowSweep  = 30 * time.Second
	dayReport = 10 * time.Minute
	purge     = time.Hour
	deadAge   = 90 * 24 * time.Hour
)

// schedule names the periodic work; it runs once the queue is started.
func (a *App) schedule() {
	a.Jobs.Every("ledger.expire_holds", holdSweep, func(ctx context.Context) error {
		_, err := a.Books.ExpireHolds(ctx)
		return err
	})
	a.Jobs.Every("giftcard.expire", cardSweep, func(ctx context.Context) error {
		_, holds := a.Books.ExpireHolds(ctx) // a card waits for its holds
		_, err := a.Cards.Expire(ctx)
		return errors.Join(holds, err)
	})
	a.Jobs.Every("issuing.expire", cardSweep, func(ctx context.Context) error {
		_, err := a.Issuing.Expire(ctx)
		return err
	})
	a.Jobs.Every("authorization.expire", cardSweep, func(ctx context.Context) error {
		_, err := a.Payments.Expire(ctx)
		return err
	})
	a.Jobs.Every("dispute.expire", cardSweep, func(ctx context.Context) error {
		_, err := a.Disputes.Expire(ctx)
		return err
	})
	a.Jobs.Every("ping.tell_owners", tellSweep, func(ctx context.Context) error {
		_, err := a.Pings.Probes.Tell(ctx)
		return err
	})
	a.Jobs.Every("stock.check_levels", lowSweep, func(ctx context.Context) error {
		_, err := a.Stock.CheckLevels(ctx)
		return err
	})
	a.Jobs.Every("report.make_due", dayReport, a.Reports.MakeDue)
	a.scheduleDeposits()
	a.Jobs.Every("ping.purge", purge, a.Pings.Purge)
	a.Jobs.Every("limit.purge", purge, a.Limits.Purge)
	a.Jobs.Every("fraud.purge", purge, a.Fraud.Purge)
	a.Jobs.Every("idempotency.purge", purge, func(ctx context.Context) error {
		_, err := idempotency.Purge(ctx, a.DB, a.Clocks.Now(realm.Live))
		return err
	})
	a.Jobs.Every("portal.purge", purge, a.Portals.Purge)
	a.Jobs.Every("job.purge_dead", purge, func(ctx context.Context) error {
		_, err := a.Jobs.PurgeDead(ctx, deadAge)
		return err
	})
}

// Close finishes what was accepted and closes the database.
func (a *App) Close() error {
	a.Orders.Close()
	a.Supply.Close()
	a.Pings.Close()
	a.Decisions.Close()
	a.Limits.Close()
	a.Books.Close()
	return a.DB.Close()
}

// hostOf is the host of a URL; empty for what is none.
func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Hostname()
}

// Version is the module's version, or "development" for a build from a checkout.
func Version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return "development"
}

func jobs(m *telemetry.Metrics) func(kind, outcome string, took time.Duration) {
	return func(kind, outcome string, took time.Duration) { m.Job(kind, telemetry.JobOutcome(outcome), took) }
}

func delivery(m *telemetry.Metrics) func(accepted bool, status int, took time.Duration) {
	return func(accepted bool, status int, took time.Duration) {
		outcome := telemetry.DeliveryFailed
		switch {
		case accepted:
			outcome = telemetry.Delivered
		case status != 0:
			outcome = telemetry.DeliveryRefused
		}
		m.Delivery(outcome, took)
	}
}
