package ping

// Type says whose cards a network has.
type Type string

// The types: cards for all who take a brand's cards, and cards of one merchant.
const (
	OpenLoop   Type = "open_loop"
	ClosedLoop Type = "closed_loop"
)

// State is what is published of a network.
type State string

// The states of a network.
const (
	Operational State = "operational"
	Degraded    State = "degraded"
	Down        State = "down"
)

// NetworkInfo is a network as callers see it.
type NetworkInfo struct {
	ID    string
	Name  string
	Type  Type
	Rules Rules
	State State
}
