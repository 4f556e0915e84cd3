package feature

import (
	"encoding/binary"
	"math"

	"github.com/scripcards/scrip/internal/fraud/keep"
)

// Append appends all that the state knows. Nobody uses the state meanwhile.
func (s *State) Append(to []byte) []byte {
	for _, t := range s.tracks {
		if t != nil {
			to = t.Append(to)
		}
	}
	for _, t := range [...]*keep.Table[days]{s.cards, s.sellers} {
		if t != nil {
			to = t.Append(to)
		}
	}
	for _, n := range append([]float64{s.amounts.total}, s.amounts.cells[:]...) {
		to = binary.LittleEndian.AppendUint64(to, math.Float64bits(n))
	}
	return to
}

// Load fills a state that knows nothing with what Append wrote of one of the same roles,
// and returns what follows it.
func (s *State) Load(from []byte) (left []byte, err error) {
	left = from
	for _, t := range s.tracks {
		if t == nil {
			continue
		}
		if left, err = t.Load(left); err != nil {
			return nil, err
		}
	}
	for _, t := range [...]*keep.Table[days]{s.cards, s.sellers} {
		if t == nil {
			continue
		}
		if left, err = t.Load(left); err != nil {
			return nil, err
		}
	}
	if len(left) < 8*(1+amountCells) {
		return nil, keep.ErrSaved
	}
	s.amounts.total = math.Float64frombits(binary.LittleEndian.Uint64(left))
	for i := range s.amounts.cells {
		s.amounts.cells[i] = math.Float64frombits(binary.LittleEndian.Uint64(left[8*(1+i):]))
	}
	return left[8*(1+amountCells):], nil
}

// Layout says how what is known is written: only the same layout can be loaded.
func Layout() string {
	return keep.Layout[track]() + keep.Layout[days]() + keep.Layout[life]() + keep.Layout[hood]()
}
