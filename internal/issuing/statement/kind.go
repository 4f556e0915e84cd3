package statement

import (
	"strings"

	"github.com/scripcards/scrip/internal/ledger"
)

// Kind is what a movement was, in the words of whoever reads a statement.
type Kind string

// The kinds.
const (
	BankTransfer    Kind = "bank_transfer"
	Deposit         Kind = "deposit"
	DepositUndone   Kind = "deposit_undone" // by its blockchain
	Funding         Kind = "funding"        // from the wallet onto a card
	Withdrawal      Kind = "withdrawal"     // from a card back to the wallet
	Return          Kind = "return"         // to the wallet, of a card that ended
	Authorization   Kind = "authorization"  // holds money and moves none
	Release         Kind = "release"        // of what was held
	Settlement      Kind = "settlement"
	Refund          Kind = "refund"
	Lent            Kind = "lent" // to a card, for a payment beyond what was on it
	Repayment       Kind = "repayment"
	DisputeCredit   Kind = "dispute_credit"
	DisputeReversal Kind = "dispute_reversal"
	CodePurchase    Kind = "code_purchase"
	CodeRefund      Kind = "code_refund"
	Correction      Kind = "correction" // by an operator
	Other           Kind = "other"
)

// Kinds returns the closed list in the order in which totals stand.
func Kinds() []Kind {
	return []Kind{BankTransfer, Deposit, DepositUndone, Funding, Withdrawal, Return, Authorization, Release, Settlement, Refund, Lent, Repayment,
		DisputeCredit, DisputeReversal, CodePurchase, CodeRefund, Correction, Other}
}

// receivable begins the names of the accounts of what customers owe.
const receivable = "card.receivable/"

// kinds are the kinds of the books' transactions.
var kinds = map[string]Kind{
	"wallet.load":             BankTransfer,
	"deposit.credit":          Deposit,
	"deposit.reverse":         DepositUndone,
	"card.issue":              Funding,
	"card.fund":               Funding,
	"card.withdraw":           Withdrawal,
	"card.terminate":          Return,
	"card.expire":             Return,
	"card.clear":              Return,
	"authorization.authorize": Authorization,
	"authorization.purchase":  Settlement,
	"authorization.increment": Authorization,
	"authorization.stand_in":  Authorization,
	"authorization.capture":   Settlement,
	"authorization.post":      Settlement,
	"authorization.reverse":   Release,
	"authorization.expire":    Release,
	"authorization.refund":    Refund,
	"dispute.credit":          DisputeCredit,
	"dispute.win":             DisputeCredit,
	"dispute.reverse":         DisputeReversal,
	"dispute.refund":          DisputeReversal,
	"hold.expire":             Release,
	"order.purchase":          CodePurchase,
	"order.hold":              CodePurchase,
	"order.capture":           CodePurchase,
	"order.release":           Release,
	"order.refund":            CodeRefund,
	"transaction.reverse":     Correction,
}

// kindOf says what an entry was, by the transaction's kind and the account on the other side.
func kindOf(l *ledger.Line, other ledger.AccountID, in bool) Kind {
	kind, known := kinds[l.Kind]
	switch {
	case !known:
		return Other
	case kind == Release && in && l.Posted.IsPositive(): // a message that took money was undone
		return Refund
	case kind == Correction || !strings.HasPrefix(string(other), receivable):
		return kind
	case in:
		return Lent
	}
	return Repayment
}
