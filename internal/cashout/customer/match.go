package customer

import (
	"context"
	"crypto/subtle"
	"strings"
	"time"

	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// Word is what somebody said about a match, and why. Zero: nobody said anything.
type Word struct {
	By, Why string
	At      time.Time
}

// Block is a match that blocked an order, and what people said about it: one who asked to
// clear it, and another one who did.
type Block struct {
	Match
	Book  ledger.BookID
	Order string
	// Revision is the order's when it was found: an order has one match at a time.
	Revision int64
	// Subject is a keyed hash of whom, or where, it is about.
	Subject []byte
	// Transaction is the one in the books that blocked the order.
	Transaction    ledger.TransactionID
	FoundAt        time.Time
	Asked, Cleared Word
}

// IsOpen reports whether the match was not cleared.
func (b *Block) IsOpen() bool { return b.Cleared.At.IsZero() }

const purposeMatch = "cashout.match"

// HashOf returns what tells whom or where a match of a kind is about.
func (g *Register) HashOf(kind string, s Subject) []byte {
	name, address := s.Name.First+"\n"+s.Name.Last, foldAddress(s.Address)
	switch kind {
	case OnName:
		address = ""
	case OnAddress:
		name = ""
	}
	return g.vault.Hash(purposeMatch, strings.Join([]string{kind, name, address}, "\n"))
}

// Blocks returns the matches that orders have had, each order's newest last.
func (g *Register) Blocks(ctx context.Context, q storage.Queryer, book ledger.BookID, orders ...string) ([]Block, error) {
	keys := make([][]any, len(orders))
	for i := range orders {
		keys[i] = []any{string(book), orders[i]}
	}
	return storage.AllOf(ctx, q, scanBlock, listMatches, keys)
}

// Passed returns which of an order's matches do not count for a subject: those that were
// cleared of the same name, or of the same address.
func (g *Register) Passed(blocks []Block, s Subject) []Match {
	var all []Match
	for i := range blocks {
		if b := &blocks[i]; !b.IsOpen() && subtle.ConstantTimeCompare(b.Subject, g.HashOf(b.Kind, s)) == 1 {
			all = append(all, b.Match)
		}
	}
	return all
}

// Add is the effect of a match's row.
func (b *Block) Add() storage.Effect {
	return addMatch.With(string(b.Book), b.Order, b.Revision, b.List, b.Kind, b.Subject, string(b.Transaction), storage.Micros(b.FoundAt)).Exactly(1)
}

// Ask is the effect of somebody asking to clear it. It fails where somebody else has asked.
func (b *Block) Ask(w Word) storage.Effect {
	return askMatch.With(string(b.Book), b.Order, b.Revision, w.By, w.Why, storage.Micros(w.At)).Exactly(1)
}

// Clear is the effect of somebody else doing so. It fails where it is not as it was read.
func (b *Block) Clear(w Word) storage.Effect {
	return clearMatch.With(string(b.Book), b.Order, b.Revision, b.Asked.By, storage.Micros(b.Asked.At), w.By, w.Why, storage.Micros(w.At)).Exactly(1)
}

// Keep is the effect of not doing so: nobody has asked any more.
func (b *Block) Keep() storage.Effect {
	return keepMatch.With(string(b.Book), b.Order, b.Revision, b.Asked.By, storage.Micros(b.Asked.At)).Exactly(1)
}
