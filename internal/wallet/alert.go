package wallet

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/webhook"
)

// Alert is below which balance the owner of a wallet is told.
type Alert struct {
	Book  ledger.BookID
	Realm realm.Realm
	// Threshold is above zero; in SetAlert zero takes the alert away.
	Threshold money.Amount
	Actor     string // who set it
	ChangedAt time.Time

	version int64
}

// AlertDeps is what Alerts stand on.
type AlertDeps struct {
	DB     *storage.DB
	Outbox *webhook.Outbox
	Audit  *audit.Log
	Clocks *clock.Realms
	Logger *slog.Logger
}

// Alerts are the thresholds of one installation, known in memory. It is safe for
// concurrent use.
type Alerts struct {
	AlertDeps
	mu    sync.RWMutex
	known map[watched]Alert
	since int64 // of the last look at the database, in its time
	whole clock.Stopwatch
}

// watched is a wallet.
type watched struct {
	book     ledger.BookID
	currency money.Currency
}

const (
	// alertOverlap is how far back changes are read again, for clocks that differ and
	// transactions that take long.
	alertOverlap = 2 * time.Minute
	// alertReload is how often all is read anew, should that ever be too short.
	alertReload = 5 * time.Minute
	// alertRefresh is how far Run lets this process fall behind the others.
	alertRefresh = time.Second
)

// NewAlerts returns the alerts. It knows none before the first Refresh.
func NewAlerts(d AlertDeps) *Alerts { return &Alerts{AlertDeps: d, known: map[watched]Alert{}} }

// Watch returns the event of a wallet that an operation takes from its threshold, or from
// above, to below; nothing of any other. It is for ledger.Config: whatever takes the money,
// the event is written with it. An alert sounds again once the balance was up again.
func (a *Alerts) Watch(o *ledger.Outcome) []storage.Effect {
	a.mu.RLock()
	defer a.mu.RUnlock()
	if len(a.known) == 0 {
		return nil
	}
	var effects []storage.Effect
	for _, after := range o.After {
		alert, has := a.known[watched{o.Book, after.Available.Currency}]
		if !has || alert.Threshold.IsZero() || after.Account != Account(after.Available.Currency).ID || after.Available.Minor >= alert.Threshold.Minor {
			continue
		}
		if before, ok := o.Before(after.Account); ok && before.Minor >= alert.Threshold.Minor {
			effects = append(effects, a.Outbox.Effects(alert.event(o, after.Available))...)
		}
	}
	return effects
}

func (a *Alert) event(o *ledger.Outcome, balance money.Amount) webhook.Event {
	data := (&webhook.Data{}).Text("balance", balance.String()).Text("threshold", a.Threshold.String()).
		Text("currency", balance.Currency.String()).Text("transaction_id", string(o.Transaction))
	return webhook.Event{Book: o.Book, Realm: a.Realm, Type: eventLow, Data: data.JSON(), At: o.At}
}

// SetAlert sets below which balance a wallet's owner is told, from now on in this process
// and within two seconds in the others; zero takes the alert away. A wallet that is below
// already is told of the next time. It returns invalid_amount. The book must exist.
func (a *Alerts) SetAlert(ctx context.Context, alert Alert) (Alert, error) {
	if alert.Threshold.IsNegative() || !alert.Threshold.Currency.IsValid() {
		return Alert{}, fault.New(fault.InvalidAmount, "the threshold must not be below zero").At("threshold")
	}
	currency := alert.Threshold.Currency.String()
	var kept Alert
	err := a.DB.Write(ctx, func(ctx context.Context, tx *storage.Tx) error {
		before, known, err := storage.One(ctx, tx, scanAlert, lockAlert, string(alert.Book), currency)
		if err != nil {
			return err
		}
		if kept = before; known && before.Threshold == alert.Threshold {
			return nil
		}
		if kept = alert; !known && alert.Threshold.IsZero() {
			return nil
		}
		// The clock of the live realm: other processes look for what changed of late.
		kept.ChangedAt = a.Clocks.Now(realm.Live)
		version, _, err := storage.One(ctx, tx, storage.Scalar[int64], upsertAlert, string(alert.Book), currency, string(alert.Realm),
			alert.Threshold.Minor, alert.Actor, storage.Micros(kept.ChangedAt))
		if err != nil {
			return err
		}
		kept.version = version
		return a.Audit.Append(ctx, tx, audit.Record{Actor: alert.Actor, Action: "wallet.alert", Subject: string(Account(alert.Threshold.Currency).ID),
			Book: string(alert.Book), Detail: map[string]string{"threshold": audit.Clean(alert.Threshold.String()), "currency": currency}, At: a.Clocks.Now(alert.Realm)})
	})
	if err != nil {
		return Alert{}, err
	}
	if kept.version > 0 { // or there was none to take away
		a.learn(kept)
	}
	return kept, nil
}

// List returns the alerts of a book, by currency.
func (a *Alerts) List(ctx context.Context, book ledger.BookID) ([]Alert, error) {
	found, err := storage.All(ctx, a.DB, scanAlert, listAlerts, string(book))
	slices.SortFunc(found, func(x, y Alert) int {
		return strings.Compare(x.Threshold.Currency.String(), y.Threshold.Currency.String())
	})
	return found, err
}

// learn takes an alert over unless a later version is known.
func (a *Alerts) learn(alert Alert) {
	a.mu.Lock()
	defer a.mu.Unlock()
	key := watched{alert.Book, alert.Threshold.Currency}
	if known, has := a.known[key]; !has || known.version < alert.version {
		// One that was taken away stays, at zero: an older version does not bring it back.
		a.known[key] = alert
	}
}

// Refresh reads which alerts changed of late, all of them the first time and now and then.
func (a *Alerts) Refresh(ctx context.Context) error {
	a.mu.RLock()
	since, whole := a.since, a.since == 0 || a.whole.Elapsed() > alertReload
	a.mu.RUnlock()
	if whole {
		since = 0
	}
	watch, began := clock.Start(), storage.Micros(a.Clocks.Now(realm.Live).Add(-alertOverlap))
	err := storage.Each(ctx, a.DB, scanAlert, func(alert Alert) error {
		a.learn(alert)
		return nil
	}, changedAlerts, since)
	if err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.since = began; whole {
		a.whole = watch
		maps.DeleteFunc(a.known, func(_ watched, alert Alert) bool {
			return alert.Threshold.IsZero() && storage.Micros(alert.ChangedAt) < began
		})
	}
	return nil
}

// Run follows what other processes set until ctx ends.
func (a *Alerts) Run(ctx context.Context) {
	for clock.Wait(ctx, alertRefresh) == nil {
		if err := a.Refresh(ctx); err != nil && ctx.Err() == nil {
			a.Logger.ErrorContext(ctx, "refresh alerts of wallets", "error", err)
		}
	}
}
