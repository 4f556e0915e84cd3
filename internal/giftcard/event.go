package giftcard

import (
	"encoding/json"
	"strings"

	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/webhook"
)

// The kinds of ledger transactions that a card has, and of the events that tell of them.
const (
	kindCreate  = "giftcard.create"
	kindRedeem  = "giftcard.redeem"
	kindRefund  = "giftcard.refund"
	kindHold    = "giftcard.hold"
	kindCapture = "giftcard.capture"
	kindVoid    = "giftcard.void"
	kindReload  = "giftcard.reload"
	kindExpire  = "giftcard.expire"
	kindCancel  = "giftcard.cancel"
)

// keyOf is the ledger's key for a merchant's reference; references are unique per kind of call.
func keyOf(kind, reference string) string {
	if reference == "" {
		return ""
	}
	return kind + "/" + reference
}

// eventData is the body of every gift card event. It holds no number and no key.
type eventData struct {
	CardID        string `json:"card_id"`
	Last4         string `json:"last4"`
	Transaction   string `json:"transaction_id"`
	Type          string `json:"type"`
	Amount        string `json:"amount"`
	Balance       string `json:"balance"`
	Currency      string `json:"currency"`
	Reference     string `json:"reference,omitempty"`
	TransactionAt string `json:"transaction_at"`
}

// event returns the rows that tell of a transaction on card.
func (s *Service) event(m Merchant, card *Card, o ledger.Outcome, amount money.Amount) []storage.Effect {
	after, _ := o.Balance(card.Account())
	data, err := json.Marshal(eventData{CardID: string(card.ID), Last4: card.Last4, Transaction: string(o.Transaction),
		Type: strings.TrimPrefix(o.Kind, "giftcard."), Amount: amount.String(), Balance: after.Available.String(),
		Currency: amount.Currency.String(), Reference: o.Reference, TransactionAt: o.At.Format("2006-01-02T15:04:05.000000Z07:00")})
	if err != nil { // texts always marshal
		panic(err)
	}
	return s.Outbox.Effects(webhook.Event{Book: m.Book, Realm: m.Realm, Type: o.Kind, Data: data, At: o.At})
}
