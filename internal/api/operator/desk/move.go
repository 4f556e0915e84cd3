package desk

import "github.com/scripcards/scrip/internal/ledger"

// Move is one movement of a ledger transaction as answers show it, in major units.
type Move struct {
	Debit    string `json:"debit"`
	Credit   string `json:"credit"`
	Posted   string `json:"posted"`
	Held     string `json:"held"`
	Currency string `json:"currency"`
	HoldID   string `json:"hold_id,omitzero"`
}

// Moves are a transaction's movements in their order.
func Moves(o *ledger.Outcome) []Move {
	all := make([]Move, 0, len(o.Moves))
	for _, m := range o.Moves {
		held := m.Posted
		held.Minor = m.Held
		all = append(all, Move{Debit: string(m.Debit), Credit: string(m.Credit), Posted: m.Posted.String(), Held: held.String(),
			Currency: m.Posted.Currency.String(), HoldID: string(m.Hold)})
	}
	return all
}
