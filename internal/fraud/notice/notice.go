// Package notice tells the fraud engine that a card was activated or reloaded: a row that
// is written in the transaction which does it, and taken away by the one which logs it.
//
// It promises that nothing is lost that was done, nor told that was not, and that whoever
// does it does not wait for the engine, which hears of it about a second later. A row has
// hashes and never a number.
package notice

import (
	"context"
	"fmt"
	"time"

	"github.com/scripcards/scrip/internal/core/id"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/fraud"
	"github.com/scripcards/scrip/internal/fraud/journal"
	"github.com/scripcards/scrip/internal/fraud/pseudonym"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/platform/vault"
)

// Card is the card of this installation that a notice is about.
type Card struct {
	Book   ledger.BookID
	Realm  realm.Realm
	Number pan.Number
	// Payer is what payments call it; zero where it does not pay.
	Payer fraud.Hash
}

// Notice is what the engine will hear.
type Notice struct{ event fraud.Event }

// Activated says that a card can be used.
func Activated(v *vault.Vault, c Card) Notice {
	names := c.names(v)
	n := Notice{c.event(fraud.Activation, names)}
	names.Around(&n.event, c.Number.Reveal())
	return n
}

// Reloaded says that money was put on a card.
func Reloaded(v *vault.Vault, c Card) Notice { return Notice{c.event(fraud.Reload, c.names(v))} }

func (c *Card) names(v *vault.Vault) pseudonym.Names {
	return pseudonym.Names{Vault: v, Realm: c.Realm, Network: pseudonym.Own}
}

func (c *Card) event(kind fraud.Kind, names pseudonym.Names) fraud.Event {
	return fraud.Event{Kind: kind, Realm: c.Realm, Book: c.Book, Network: pseudonym.Own, Card: names.Card(c.Number.Reveal()), Payer: c.Payer}
}

// Effect returns what writes a notice of something that is done at an instant.
func (n Notice) Effect(at time.Time) storage.Effect {
	n.event.At = at
	return insertNotice.Row(id.New("fnot"), (&journal.Entry{Kind: journal.Heard, Event: n.event}).Append(nil))
}

// Stored is a notice that was not logged yet.
type Stored struct {
	ID    string
	Event fraud.Event
}

// List returns the oldest notices, at most so many.
func List(ctx context.Context, db *storage.DB, limit int) ([]Stored, error) {
	found, err := storage.All(ctx, db, scanNotice, listNotices, limit)
	if err != nil {
		return nil, fmt.Errorf("list notices: %w", err)
	}
	return found, nil
}

// Gone returns what takes notices away, with the transaction that logs them. One that is
// gone already does no harm.
func Gone(ids []string) []storage.Effect {
	effects := make([]storage.Effect, len(ids))
	for i, notice := range ids {
		effects[i] = deleteNotice.With(notice)
	}
	return effects
}
