package limit

import "time"

// run is what was taken within a step of time, as if all of it had been at its beginning.
type run struct {
	at int64 // ns since 1970
	n  int64
}

// steps is how many runs a window has, about: so exact are the times of what was taken. Of no
// more than that each has a run of its own.
const steps = 16

// slot is one window's log of one subject: the runs of the last Per, oldest first.
type slot struct {
	per    time.Duration
	limit  int64 // of the window when it was last looked at
	taken  int64 // in all runs
	runs   []run
	leased *lease // where processes share a count
}

// forget takes those runs out of the log that are older than the window is long.
func (s *slot) forget(now int64) {
	old := 0
	for old < len(s.runs) && s.runs[old].at+int64(s.per) <= now {
		s.taken -= s.runs[old].n
		old++
	}
	if old > 0 {
		s.runs = s.runs[:copy(s.runs, s.runs[old:])]
	}
}

// latest returns when the run began, or begins, that takes what is taken now.
func (s *slot) latest(now int64) int64 {
	step := int64(1)
	if s.limit > steps {
		step = int64(s.per) / steps
	}
	if last := len(s.runs) - 1; last >= 0 && now-s.runs[last].at < step {
		return s.runs[last].at
	}
	return now
}

func (s *slot) add(now, n int64) {
	s.taken += n
	if at := s.latest(now); len(s.runs) == 0 || s.runs[len(s.runs)-1].at != at {
		s.runs = append(s.runs, run{at: at, n: n})
		return
	}
	s.runs[len(s.runs)-1].n += n
}

// free returns when so much will have been forgotten.
func (s *slot) free(much, now int64) int64 {
	for i := range s.runs {
		if much -= s.runs[i].n; much <= 0 {
			return s.runs[i].at + int64(s.per)
		}
	}
	return now
}

// view is what one window says to a request.
type view struct {
	window *Window
	at     int   // the slot
	wait   int64 // ns until the request fits; 0: it does
	left   int64 // units, before the request
	ends   int64 // when the count is fresh, ns since 1970
	then   int64 // the same, once the request was let through
	leased *lease
}

// look reads a slot. More than the limit has been taken where that was lowered.
func look(w *Window, s *slot, r *request) view {
	s.forget(r.now)
	s.limit = int64(w.Limit)
	v := view{window: w, left: max(0, s.limit-s.taken), ends: s.free(s.taken, r.now), then: s.latest(r.now) + int64(s.per)}
	if r.n > v.left {
		v.wait = s.free(s.taken+r.n-s.limit, r.now) - r.now
	}
	return v
}

// commit takes the request's units out of the window, and out of the lease.
func (v *view) commit(s *slot, r *request) {
	s.add(r.now, r.n)
	if v.leased != nil {
		v.leased.tokens -= r.n
	}
}

// conclude makes one answer of all windows' views.
func conclude(views []view, r *request) Decision {
	tight := &views[0]
	for i := range views[1:] {
		v := &views[i+1]
		if v.wait > tight.wait || (v.wait == tight.wait && v.left < tight.left) {
			tight = v
		}
	}
	d := Decision{Allowed: tight.wait == 0, Limit: tight.window.Limit, RetryAfter: time.Duration(tight.wait)}
	left, ends := tight.left, tight.ends
	if d.Allowed && r.n > 0 {
		left, ends = left-r.n, tight.then
	}
	d.Remaining = int(max(0, left))
	d.ResetAt = time.Unix(0, ends).UTC()
	return d
}
