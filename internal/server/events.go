package server

import (
	"slices"

	"github.com/scripcards/scrip/internal/cashout"
	"github.com/scripcards/scrip/internal/cashout/payout"
	"github.com/scripcards/scrip/internal/catalog/stock"
	"github.com/scripcards/scrip/internal/giftcard"
	"github.com/scripcards/scrip/internal/issuing"
	"github.com/scripcards/scrip/internal/issuing/authorization"
	"github.com/scripcards/scrip/internal/issuing/authorization/decision"
	"github.com/scripcards/scrip/internal/issuing/dispute"
	"github.com/scripcards/scrip/internal/order"
	"github.com/scripcards/scrip/internal/order/claim"
	"github.com/scripcards/scrip/internal/order/report"
	"github.com/scripcards/scrip/internal/ping"
	"github.com/scripcards/scrip/internal/wallet"
	"github.com/scripcards/scrip/internal/wallet/address"
	"github.com/scripcards/scrip/internal/wallet/deposit"
	"github.com/scripcards/scrip/internal/webhook"
)

// houseEventTypes returns those that concern whoever runs an installation alone.
func houseEventTypes() []string {
	return slices.Concat(stock.EventTypes(), address.EventTypes(), report.EventTypes(), payout.HouseEventTypes())
}

// EventTypes returns the types of all events that there are to subscribe to.
func EventTypes() []string {
	return slices.Concat(
		giftcard.EventTypes(), wallet.EventTypes(), deposit.EventTypes(), address.EventTypes(),
		order.EventTypes(), claim.EventTypes(), report.EventTypes(), stock.EventTypes(),
		issuing.EventTypes(), authorization.EventTypes(), decision.EventTypes(), dispute.EventTypes(),
		ping.EventTypes(), cashout.EventTypes(), payout.EventTypes(), []string{webhook.TypeDisabled})
}
