package catalog

import "github.com/scripcards/scrip/internal/core/money"

// Face is what a code is worth at its shop. It is shown and never moves. The three kinds
// of amount do not convert into one another, not even explicitly.
type Face struct {
	_ [0]faceOnly
	money.Amount
}

// Charged is what a buyer pays for a code. It is what moves.
type Charged struct {
	_ [0]chargedOnly
	money.Amount
}

// Cost is what the operator pays a supplier for a code.
type Cost struct {
	_ [0]costOnly
	money.Amount
}

type (
	faceOnly    struct{}
	chargedOnly struct{}
	costOnly    struct{}
)

// NewFace returns a face value of the given minor units.
func NewFace(minor int64, currency money.Currency) Face {
	return Face{Amount: money.New(minor, currency)}
}

// NewCharged returns a price of the given minor units.
func NewCharged(minor int64, currency money.Currency) Charged {
	return Charged{Amount: money.New(minor, currency)}
}

// NewCost returns a cost of the given minor units.
func NewCost(minor int64, currency money.Currency) Cost {
	return Cost{Amount: money.New(minor, currency)}
}

// Times returns the price of n codes, or money.ErrRange.
func (c Charged) Times(n int) (Charged, error) {
	total, err := c.Mul(int64(n))
	return Charged{Amount: total}, err
}

// Times returns the face value of n codes, or money.ErrRange.
func (f Face) Times(n int) (Face, error) {
	total, err := f.Mul(int64(n))
	return Face{Amount: total}, err
}
