package lane

import (
	"cmp"
	"slices"
	"time"

	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// How what somebody else's lock held up is tried again.
const (
	// restFor is how long a name of which nothing is done is refused without being tried.
	restFor = time.Second
	// mostWaits is how often a lock may be waited for, one after the other, before the rest of
	// what is tried by itself is refused.
	mostWaits = 4
	// mostVain is how often a name of which something was done may then wait in vain, before it
	// rests.
	mostVain = 2
	// keptApart is how long it is known to have been held up, of the last mostApart names.
	keptApart = time.Hour
	mostApart = 1024
)

// held is what is known of a name whose tasks are tried by themselves.
type held struct {
	err   error           // why it waited in vain; nil: it was not tried
	since clock.Stopwatch // when it did, or was put apart
	wait  int             // which of the lane's waits in vain that was
	spare int             // how often it may wait in vain before it rests
	rests bool            // it is refused for restFor
}

// aside takes from tasks those of names that are apart: what rests is refused, and the others
// are returned. Those of which nothing waited in vain since something was done share a
// transaction; the others are by their names, first who waited for the longest time to be tried.
func (l *Lane[W]) aside(tasks []*Task[W]) (free []*Task[W], apart [][]*Task[W]) {
	if len(l.held) == 0 {
		return tasks, nil
	}
	var together, due []*Task[W]
	free = slices.DeleteFunc(tasks, func(t *Task[W]) bool {
		name := l.config.Whose(t.Work)
		h := l.held[name]
		switch {
		case h == nil:
			return false
		case h.since.Elapsed() > keptApart:
			delete(l.held, name)
			return false
		case h.rests && h.since.Elapsed() < restFor:
			t.refuse(Fault(h.err))
		case h.spare == mostVain:
			together = append(together, t)
		default:
			due = append(due, t)
		}
		return true
	})
	apart = l.byName(due)
	slices.SortStableFunc(apart, func(a, b []*Task[W]) int {
		return cmp.Compare(l.lastWait(a[0]), l.lastWait(b[0]))
	})
	if len(together) > 0 {
		apart = slices.Insert(apart, 0, together)
	}
	return free, apart
}

// lastWait says which of the lane's waits in vain was the last of whose t is, 0: none.
func (l *Lane[W]) lastWait(t *Task[W]) int {
	if h := l.held[l.config.Whose(t.Work)]; h != nil {
		return h.wait
	}
	return 0
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
// some of them only, where they are several, and the others have waited long enough.
func (l *Lane[W]) heldUp(tasks []*Task[W], err error, briefly bool) {
	if l.config.Whose == nil {
		for _, t := range tasks {
			t.refuse(Fault(err))
		}
		return
	}
	parts := l.byName(tasks)
	if len(parts) == 1 {
		l.inVain(l.config.Whose(tasks[0].Work), err)
		half := len(tasks) / 2
		parts = [][]*Task[W]{tasks[:half:half], tasks[half:]}
	}
	if len(tasks) == 1 {
		tasks[0].refuse(Fault(err))
		parts = nil
	}
	if briefly {
		l.waits, l.parts = append(l.waits, err), append(l.parts, parts...)
		return
	}
	l.apart(parts)
}

// apart does parts of a group by themselves, without waiting for locks for long: a lock on
// everything is not waited for once for each of them. Names of which nothing is done rest then.
func (l *Lane[W]) apart(parts [][]*Task[W]) {
	l.parts = parts
	for len(l.parts) > 0 {
		tasks := l.parts[0]
		if l.parts = l.parts[1:]; len(l.waits) < mostWaits {
			l.turn(tasks, true)
			continue
		}
		for _, t := range tasks {
			l.keepApart(l.config.Whose(t.Work))
			t.refuse(Fault(l.waits[0]))
		}
	}
	for name := range l.vain {
		if h := l.held[name]; h != nil {
			h.rests = h.spare == 0
			h.spare = max(0, h.spare-1)
		}
	}
	clear(l.vain)
}

// inVain notes that a name waited in vain.
func (l *Lane[W]) inVain(name string, err error) {
	l.count++
	l.vain[name] = true
	h := l.keepApart(name)
	h.err, h.since, h.wait = err, clock.Start(), l.count
}

// keepApart returns what is known of a name that is tried by itself from now on. The name that
// waited in vain before all others gives way to it.
func (l *Lane[W]) keepApart(name string) *held {
	if h := l.held[name]; h != nil {
		return h
	}
	if len(l.held) >= mostApart {
		oldest := ""
		for other, h := range l.held {
			if oldest == "" || h.wait < l.held[oldest].wait {
				oldest = other
			}
		}
		delete(l.held, oldest)
	}
	h := &held{since: clock.Start()}
	l.held[name] = h
	return h
}

// passed notes that tasks of names that are apart were done.
func (l *Lane[W]) passed(names []string) {
	for _, name := range names {
		if h := l.held[name]; h != nil {
			if h.spare, h.rests = mostVain, false; h.err == nil {
				delete(l.held, name)
			}
		}
	}
}

// names returns whose each of tasks is.
func (l *Lane[W]) names(tasks []*Task[W]) []string {
	names := make([]string, len(tasks))
	for i, t := range tasks {
		names[i] = l.config.Whose(t.Work)
	}
	return names
}

// isHopeless reports whether what failed would fail once more, and its callers would wait as
// long again to hear of it.
func isHopeless(err error) bool { return storage.IsUnreached(err) || storage.IsHeldUp(err) }
