package system

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"runtime/pprof"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/scripcards/scrip/internal/bench"
	"github.com/scripcards/scrip/internal/bench/cardcoins"
	"github.com/scripcards/scrip/internal/bench/payment"
	"github.com/scripcards/scrip/internal/cli/shell"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/issuing/authorization"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/ping"
	"github.com/scripcards/scrip/internal/platform/config"
	"github.com/scripcards/scrip/internal/platform/limit"
	"github.com/scripcards/scrip/internal/platform/storage/flush"
	"github.com/scripcards/scrip/internal/server"
)

// benchRun is what the flags of bench ask for.
type benchRun struct {
	options   bench.Options
	scenarios []string
	cards     int
	codes     int
	items     int
	growth    int64
	profile   string
	book      ledger.BookID // whose wallet pays for orders
	network   string        // where card networks connect
	own       *bench.Own    // what the server says of its own part
}

func (p *program) bench() *cobra.Command {
	var b benchRun
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure a server of its own on this machine, beside a handler that does nothing",
		Long: `Bench starts a server on loopback with a database of its own, puts load on it over
real HTTP, and reports requests per second and latencies. Each round of a scenario
follows a round of the same request to a no-op handler behind the same server; the
last column is the median of their ratios. Absolute figures are this machine's; the
ratio travels.

The database is a temporary file, or one in --data, or --database, which must be there
for it: bench leaves its cards behind. What the file or the environment says of both
does not count. It is to be on a disk; where it is in memory, bench says so. "ledger" measures operations in process, without HTTP.
"redeem-batch" has 100 redemptions in each request, and says how many those are a second.
"ping-scrip" and "ping-sandbox" check balances, with limits that are counted and too
wide to be reached. "order" buys codes one by one until those of --codes are sold, and
is refused from then on; "catalog" reads pages of --items items. "authorize" pays
with virtual cards over HTTP, as a sandbox simulates it, and "iso8583" as card
networks do, beside echo tests on the same connections.

The callers are net/http clients, as a Go program's are, and share the machine with
the server. --client lean sends the same with a fraction of the work, which makes the
no-op, and so the measure, several times as fast.

With --rate the load is open: requests arrive whether or not answers do, and a
request's latency counts from when it was due. With --half every scenario is measured
once more so, at half the rate that it reached.

Latencies are the callers', whose own waiting for the shared processors is in them.
"own p99" is the server's part as it counts it itself, of the measured rounds alone:
from when it began with a request until it had the answer, and with a card network's
message until that was written. It leaves out the way there and back, what net/http
reads and writes, and how long a request lay before the server turned to it. Its
median is in the JSON. "ledger" has none.`,
		Example: `  scrip bench
  scrip bench --workers 256 --duration 10s --scenario redeem-hot,redeem-spread
  scrip bench --rate 2000 --scenario redeem-spread
  scrip bench --growth 1000000 --scenario redeem-spread
  scrip bench --scenario order --codes 300000
  scrip bench --scenario catalog --items 1000
  scrip bench --scenario authorize,iso8583 --half
  scrip bench --database postgres://scrip@127.0.0.1/bench -o json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return p.runBench(cmd, b) },
	}
	flags := cmd.Flags()
	flags.StringVar((*string)(&b.options.Client), "client", string(bench.Standard), "net/http, or lean: a client that does the least it can")
	flags.IntVar(&b.options.Workers, "workers", 64, "callers at once")
	flags.IntVar(&b.options.Rate, "rate", 0, "arrivals a second; 0: as fast as answers come")
	flags.BoolVar(&b.options.Half, "half", false, "measure each scenario again at half the rate that it reached")
	flags.IntVar(&b.options.Rounds, "rounds", 3, "rounds of each scenario")
	flags.DurationVar(&b.options.Duration, "duration", 5*time.Second, "length of a round")
	flags.Int64Var(&b.options.Count, "count", 0, "requests of a round at the most; 0: no limit")
	flags.StringSliceVar(&b.scenarios, "scenario", benchNames, "what to measure")
	flags.IntVar(&b.cards, "cards", 1000, "cards, or accounts of the ledger, to spread over")
	flags.IntVar(&b.codes, "codes", 200_000, "codes in stock for order")
	flags.IntVar(&b.items, "items", 100_000, "items of the catalog")
	flags.StringVar(&b.profile, "cpuprofile", "", "write a CPU profile of the run to this file")
	flags.Int64Var(&b.growth, "growth", 0, "measure at 1,000 cards, 10,000 … up to so many, instead")
	return cmd
}

var benchNames = []string{"create", "redeem-hot", "redeem-spread", "redeem-batch", "query", "balance", "ping-scrip", "ping-sandbox", "order", "catalog", "cashout-create", "cashout-read", "authorize", "iso8583", "ledger"}

// wide is a limit that is counted and never reached.
const wide = 1_000_000_000

// benchPolicy has the rules of balance checks stop no load, and all of them applied: limits
// are counted, callers judged and scores made. A load is one caller, who looks like none
// that there is: its high scores make no events beside the usual one.
func benchPolicy() *ping.Policy {
	p := ping.DefaultPolicy()
	for _, windows := range []*[]limit.Window{&p.Credential, &p.Visitor, &p.Address, &p.Card} {
		*windows = []limit.Window{{Limit: wide, Per: time.Hour}}
	}
	p.Quota, p.HighRisk = wide, 100
	return &p
}

// paymentPolicy has payments scored and none of them stopped for it: a load looks like
// cards that were stolen.
func paymentPolicy() *authorization.Policy {
	p := authorization.DefaultPolicy()
	p.DeclineAt, p.ChallengeAt = 0, 0
	return &p
}

func (p *program) runBench(cmd *cobra.Command, b benchRun) (err error) {
	for _, name := range b.scenarios {
		if !slices.Contains(benchNames, name) {
			return fmt.Errorf("scenario %q: want %s", name, strings.Join(benchNames, ", "))
		}
	}
	c, origin, err := p.Settings(cmd)
	if err != nil {
		return err
	}
	// What the file and the environment name is the installation that is served.
	if origin["database"] != config.FromFlag {
		c.Database = ""
	}
	if origin["data"] != config.FromFlag {
		if c.Data, err = os.MkdirTemp("", "scrip-bench-"); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(c.Data)) }()
	}
	o := shell.Options(c, slog.New(slog.DiscardHandler))
	o.Deposits, o.Cashout, o.Payouts, o.Secrets, o.Captcha = "", "", "", "", server.Captcha{} // nobody outside is asked
	o.Pings, o.Payments, o.Issuing.On = benchPolicy(), paymentPolicy(), true
	b.own = new(bench.Own)
	o.Answered = b.own.Answered
	app, err := server.Open(cmd.Context(), o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, app.Close()) }()
	if c.Database == "" && flush.Volatile(c.Data) {
		cmd.PrintErrln(c.Data, "is in memory, where a flush costs nothing: for figures of a disk, let --data or TMPDIR name a directory on one")
	}
	return p.measure(cmd, app, b)
}

// measure serves app on loopback while the load runs.
func (p *program) measure(cmd *cobra.Command, app *server.App, b benchRun) error {
	demo, err := app.Demo(cmd.Context())
	if err != nil {
		return err
	}
	b.book = demo.Customer.Test
	ctx, stop := context.WithCancel(cmd.Context())
	address, served := make(chan string, 1), make(chan error, 1)
	h := server.HTTP{ISO8583: server.ISO8583{Listen: "127.0.0.1:0", Ready: func(address string) { b.network = address }},
		Extra: func(mux *http.ServeMux) { mux.Handle(bench.NoopPath, bench.NoopHandler()) }}
	go func() { served <- app.Serve(ctx, "127.0.0.1:0", h, func(a string) { address <- a }) }()
	select {
	case err = <-served:
	case a := <-address:
		b.options.BaseURL = "http://" + a
		err = p.load(cmd, app, b)
		stop()
		err = errors.Join(err, <-served)
	}
	stop()
	return err
}

func (p *program) load(cmd *cobra.Command, app *server.App, b benchRun) (err error) {
	if b.profile != "" {
		stop, err := profile(b.profile)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, stop()) }()
	}
	ctx := cmd.Context()
	runner := &bench.Runner{Progress: bench.Terminal(cmd.ErrOrStderr()), Own: b.own}
	cards := bench.NewGatepay(pan.NewSecret("cp_test_sk_demo"))
	if b.growth > 0 {
		return p.grow(cmd, runner, cards, b)
	}
	if err := cards.Prepare(ctx, b.options.BaseURL, b.cards); err != nil {
		return err
	}
	byName := map[string][]bench.Scenario{"create": {cards.Create()}, "redeem-hot": {cards.RedeemHot()}, "redeem-spread": {cards.RedeemSpread()},
		"redeem-batch": {cards.RedeemBatch()}, "query": {cards.Query()}, "balance": {cards.Balance()}}
	if slices.Contains(b.scenarios, "ping-scrip") || slices.Contains(b.scenarios, "ping-sandbox") {
		checks := bench.NewCardping(pan.NewSecret("cp_live_sk_demo"), pan.NewSecret("cp_test_sk_demo"))
		if err := checks.Prepare(ctx, b.options.BaseURL, b.cards); err != nil {
			return err
		}
		byName["ping-scrip"], byName["ping-sandbox"] = []bench.Scenario{checks.Scrip()}, []bench.Scenario{checks.Sandbox()}
	}
	if err := shelf(ctx, app, b, byName); err != nil {
		return err
	}
	if slices.Contains(b.scenarios, "cashout-create") || slices.Contains(b.scenarios, "cashout-read") {
		orders, err := cardcoins.Prepare(ctx, app.Cashout.Orders, b.cards)
		if err != nil {
			return err
		}
		byName["cashout-create"], byName["cashout-read"] = []bench.Scenario{orders.Create()}, []bench.Scenario{orders.Read()}
	}
	paid, err := payments(ctx, app, b, byName)
	if err != nil {
		return err
	}
	defer paid()
	if slices.Contains(b.scenarios, "ledger") {
		books, err := bench.PrepareLedger(ctx, app.DB, app.Books, b.cards)
		if err != nil {
			return err
		}
		byName["ledger"] = books.Scenarios()
	}
	var chosen []bench.Scenario
	for _, name := range b.scenarios {
		chosen = append(chosen, byName[name]...)
	}
	report, err := runner.Run(ctx, chosen, b.options)
	return p.render(cmd, &report, err)
}

// shelf prepares what resellers buy and read, where it is measured.
func shelf(ctx context.Context, app *server.App, b benchRun, byName map[string][]bench.Scenario) error {
	where := bench.Shelf{Catalog: app.Catalog, Stock: app.Stock, Wallets: app.Wallets, Book: b.book}
	reseller := bench.NewReseller(pan.NewSecret("cp_test_sk_demo"))
	if slices.Contains(b.scenarios, "order") {
		if err := reseller.PrepareCodes(ctx, where, b.codes); err != nil {
			return err
		}
		byName["order"] = []bench.Scenario{reseller.Order()}
	}
	if slices.Contains(b.scenarios, "catalog") {
		if err := reseller.PrepareItems(ctx, where, b.items); err != nil {
			return err
		}
		byName["catalog"] = []bench.Scenario{reseller.Browse()}
	}
	return nil
}

// payments prepares virtual cards, where payments with them are measured, and returns
// what ends their connections.
func payments(ctx context.Context, app *server.App, b benchRun, byName map[string][]bench.Scenario) (end func(), err error) {
	if !slices.Contains(b.scenarios, "authorize") && !slices.Contains(b.scenarios, "iso8583") {
		return func() {}, nil
	}
	shelf := payment.Shelf{Accounts: app.Accounts, Wallets: app.Wallets, Cards: app.Issuing, Network: b.network}
	cards, err := payment.Prepare(ctx, shelf, b.cards)
	if err != nil {
		return nil, err
	}
	byName["authorize"], byName["iso8583"] = []bench.Scenario{cards.Authorize()}, []bench.Scenario{cards.Network()}
	return cards.Close, nil
}

// render shows what was measured before an error, too.
func (p *program) render(cmd *cobra.Command, report *bench.Report, err error) error {
	if len(report.Rows) == 0 {
		return err
	}
	return errors.Join(report.Render(cmd.OutOrStdout(), p.Output), err)
}

// profile writes a CPU profile until it is stopped.
func profile(path string) (stop func() error, err error) {
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return func() error {
		pprof.StopCPUProfile()
		return f.Close()
	}, nil
}

// grow measures the first of the chosen scenarios at more and more cards.
func (p *program) grow(cmd *cobra.Command, runner *bench.Runner, cards *bench.Gatepay, b benchRun) error {
	scenarios := map[string]func() bench.Scenario{"create": cards.Create, "redeem-hot": cards.RedeemHot, "redeem-spread": cards.RedeemSpread,
		"redeem-batch": cards.RedeemBatch, "query": cards.Query, "balance": cards.Balance}
	build, ok := scenarios[b.scenarios[0]]
	if len(b.scenarios) != 1 || !ok {
		return fmt.Errorf("--growth measures one scenario over HTTP: choose it with --scenario")
	}
	report, err := runner.Grow(cmd.Context(), bench.Growth{To: b.growth,
		Load: func(ctx context.Context, from, to int64) error {
			return cards.Prepare(ctx, b.options.BaseURL, int(to-from))
		},
		Scenario: func(int64) bench.Scenario { return build() }}, b.options)
	return p.render(cmd, &report, err)
}
