package server

import (
	"context"
	"slices"

	"github.com/scripcards/scrip/internal/cashout"
	"github.com/scripcards/scrip/internal/cashout/payout"
	"github.com/scripcards/scrip/internal/catalog/stock"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/giftcard"
	"github.com/scripcards/scrip/internal/issuing"
	"github.com/scripcards/scrip/internal/issuing/authorization"
	"github.com/scripcards/scrip/internal/issuing/authorization/decision"
	"github.com/scripcards/scrip/internal/issuing/dispute"
	"github.com/scripcards/scrip/internal/ledger"
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

// deskEventTypes returns those that concern the cash-out, whose orders and payouts are in books
// of its own.
func deskEventTypes() []string { return slices.Concat(cashout.EventTypes(), payout.EventTypes()) }

// customerEventTypes returns those that concern customers alone. Of others, operators are sent a
// copy, which is why they are not among these.
func customerEventTypes() []string {
	return slices.Concat(giftcard.EventTypes(), wallet.EventTypes(), deposit.EventTypes(), order.EventTypes(), issuing.EventTypes(),
		authorization.EventTypes(), decision.EventTypes(), dispute.EventTypes())
}

// reserved returns which events are sent to whom alone.
func (a *App) reserved() []webhook.Reserved {
	isHouse := func(_ context.Context, book ledger.BookID) (bool, error) {
		_, house := webhook.HouseRealm(string(book))
		return house, nil
	}
	isDesk := func(ctx context.Context, book ledger.BookID) (bool, error) {
		for _, r := range realm.All() {
			if desk, err := a.Cashout.Orders.Book(ctx, r); err != nil || desk == book {
				return err == nil, err
			}
		}
		return false, nil
	}
	isCustomers := func(ctx context.Context, book ledger.BookID) (bool, error) {
		house, err := isHouse(ctx, book)
		return !house, err
	}
	return []webhook.Reserved{{Types: houseEventTypes(), To: "operators", Has: isHouse}, {Types: customerEventTypes(), To: "customers", Has: isCustomers},
		{Types: deskEventTypes(), To: "the cash-out", Has: isDesk}}
}

// EventTypes returns the types of all events that there are to subscribe to.
func EventTypes() []string {
	return slices.Concat(
		customerEventTypes(), claim.EventTypes(), ping.EventTypes(), []string{webhook.TypeDisabled}, deskEventTypes(), houseEventTypes())
}
