package deposit

import (
	"strings"

	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/webhook"
)

// The events that tell of deposits.
const (
	eventPending   = "deposit.pending"
	eventConfirmed = "deposit.confirmed"
	eventExpired   = "deposit.expired"
	eventReversed  = "deposit.reversed"
)

// EventTypes returns the types of this package's events.
func EventTypes() []string {
	return []string{eventPending, eventConfirmed, eventExpired, eventReversed}
}

// event is the effect of telling subscribers how a deposit stands.
func (s *Service) event(kind string, d *Deposit) []storage.Effect {
	data := (&webhook.Data{}).Text("id", string(d.ID)).Text("currency", strings.ToLower(string(d.Amount.Asset.Symbol()))).
		Text("asset", string(d.Amount.Asset)).Text("network", string(d.Chain)).Text("address", d.Address).Text("amount_crypto", d.Amount.String()).
		Number("amount_usd", d.Value).Number("fee_usd", d.Fee).Number("credited_usd", d.Credited).Text("status", string(d.Status)).
		Text("reason", string(d.Reason)).Text("tx_hash", d.TxID).Int("tx_index", d.Index).Text("replaced_by", d.ReplacedBy).
		Int("confirmations", d.Confirmations).Int("confirmations_required", d.Required)
	if !d.Rate.IsZero() {
		data.Text("rate", d.Rate.String()).Text("rate_sources", strings.Join(d.Sources, " "))
	}
	switch kind {
	case eventConfirmed:
		data.Text("transaction_id", string(d.Credit))
	case eventReversed:
		data.Text("transaction_id", string(d.Reversal))
	}
	return s.Outbox.Effects(webhook.Event{Book: d.Book, Realm: d.Realm, Type: kind, Data: data.JSON(), At: d.ChangedAt})
}
