package testkit

import (
	"sync"
	"time"

	"github.com/scripcards/scrip/internal/core/clock"
)

// Meanwhile returns clocks on which happen is done when they are first looked at: between what
// a service reads and what it writes.
func Meanwhile(base clock.Clock, happen func()) *clock.Realms {
	return clock.NewRealms(&meanwhile{Clock: base, happen: happen})
}

type meanwhile struct {
	clock.Clock
	once   sync.Once
	happen func()
}

func (m *meanwhile) Now() time.Time {
	m.once.Do(m.happen)
	return m.Clock.Now()
}
