package ledger

import "github.com/scripcards/scrip/internal/platform/lane"

// Waiting returns how many operations wait for their turn, so that a test can fill a batch.
func Waiting(l *Ledger) int {
	n := 0
	for _, lane := range l.lanes {
		n += lane.Waiting()
	}
	return n
}

// Limits that tests go up to.
const (
	LaneLength = lane.Length
	BatchSize  = lane.Group
)
