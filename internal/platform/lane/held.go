package lane

import (
	"maps"
	"slices"
	"time"

	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// How what somebody else's lock held up is tried again.
const (
	// restFor is how long it is refused without being tried.
	restFor = time.Second
	// mostWaits is how many names may wait for a lock, one after the other, before the rest of
	// them is refused.
	mostWaits = 4
	// keptApart is how long it is known to have been held up.
	keptApart = time.Minute
)

// held is why a name's tasks were refused last, and since when.
type held struct {
	err   error
	since clock.Stopwatch
}

// aside takes from tasks those of names that were held up: what was a moment ago is refused,
// and the others are returned by their names.
func (l *Lane[W]) aside(tasks []*Task[W]) (free []*Task[W], apart [][]*Task[W]) {
	if len(l.held) == 0 {
		return tasks, nil
	}
	maps.DeleteFunc(l.held, func(_ string, h held) bool { return h.since.Elapsed() > keptApart })
	var due []*Task[W]
	free = slices.DeleteFunc(tasks, func(t *Task[W]) bool {
		h, found := l.held[l.config.Whose(t.Work)]
		switch {
		case !found:
		case h.since.Elapsed() < restFor:
			t.refuse(Fault(h.err))
		default:
			due = append(due, t)
		}
		return found
	})
	return free, l.byName(due)
}

// byName returns tasks by whose they are, in their order.
func (l *Lane[W]) byName(tasks []*Task[W]) [][]*Task[W] {
	var groups [][]*Task[W]
	at := map[string]int{}
	for _, t := range tasks {
		name := l.config.Whose(t.Work)
		i, found := at[name]
		if !found {
			i = len(groups)
			at[name], groups = i, append(groups, nil)
		}
		groups[i] = append(groups[i], t)
	}
	return groups
}

// heldUp sees to tasks that waited for somebody else's lock in vain. It stands in the way of
// some of them only, where they are several names', and the others have waited long enough.
func (l *Lane[W]) heldUp(tasks []*Task[W], err error, briefly bool) {
	l.waits = append(l.waits, err)
	if l.config.Whose != nil && !briefly {
		if groups := l.byName(tasks); len(groups) > 1 {
			l.oneByOne(groups)
			return
		}
	}
	l.hold(tasks, err)
}

// oneByOne does each name's tasks by themselves, without waiting for locks for long. A lock on
// everything is not waited for once for each name.
func (l *Lane[W]) oneByOne(groups [][]*Task[W]) {
	l.waits = nil
	for _, tasks := range groups {
		if len(l.waits) >= mostWaits {
			l.hold(tasks, l.waits[0])
			continue
		}
		delete(l.held, l.config.Whose(tasks[0].Work))
		l.turn(tasks, true)
	}
}

// hold refuses tasks that are held up.
func (l *Lane[W]) hold(tasks []*Task[W], err error) {
	for _, t := range tasks {
		if l.config.Whose != nil {
			l.held[l.config.Whose(t.Work)] = held{err, clock.Start()}
		}
		t.refuse(Fault(err))
	}
}

// isHopeless reports whether what failed would fail once more, and its callers would wait as
// long again to hear of it.
func isHopeless(err error) bool { return storage.IsUnreached(err) || storage.IsHeldUp(err) }
