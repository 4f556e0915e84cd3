package sense

import (
	"crypto/sha256"
	"fmt"

	"github.com/scripcards/scrip/internal/fraud"
	"github.com/scripcards/scrip/internal/fraud/feature"
	"github.com/scripcards/scrip/internal/fraud/keep"
)

// Append appends all that was seen. Nobody uses the sense meanwhile.
func (s *Sense) Append(to []byte) []byte {
	to = s.testPaid.Append(s.livePaid.Append(s.test.Append(s.live.Append(s.Engine.Append(to)))))
	for _, l := range s.allLives() {
		to = l.Append(to)
	}
	return to
}

// Load fills a sense that has seen nothing with what Append wrote.
func (s *Sense) Load(from []byte) error {
	left, err := s.Engine.Load(from)
	if err != nil {
		return err
	}
	for _, state := range [...]*feature.State{s.live, s.test, s.livePaid, s.testPaid} {
		if left, err = state.Load(left); err != nil {
			return err
		}
	}
	for _, l := range s.allLives() {
		if left, err = l.Load(left); err != nil {
			return err
		}
	}
	if len(left) > 0 {
		return keep.ErrSaved
	}
	return nil
}

// Layout identifies how what was seen is written: only the same layout can be loaded.
func Layout() [32]byte {
	return sha256.Sum256([]byte(fmt.Sprint(fraud.Layout(), feature.Layout(), roles, payRoles)))
}
