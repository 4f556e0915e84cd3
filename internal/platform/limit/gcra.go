package limit

import "time"

// The generic cell rate algorithm, in nanoseconds: a bucket is in debt until its
// theoretical arrival time; one unit costs a step, and the debt may not pass the depth.

func (w *Window) burst() int {
	if w.Burst == 0 {
		return w.Limit
	}
	return w.Burst
}

// step is what one unit costs, rounded up: never more than Limit in Per.
func (w *Window) step() int64 {
	return (int64(w.Per) + int64(w.Limit) - 1) / int64(w.Limit)
}

// view is what one window says to a request.
type view struct {
	window *Window
	at     int   // the slot
	step   int64 // ns
	depth  int64 // ns
	debt   int64 // ns, before the request
	wait   int64 // ns until the request fits; 0: it does
	left   int64 // units, before the request
	ends   int64 // when the count is fresh, ns since 1970
	fixed  bool  // ends does not move with what is taken
	leased *lease
}

// look reads the bucket in a slot. A debt beyond the depth comes from a limit that was
// lowered; the bucket is full then, and no more.
func look(w *Window, s *slot, r *request) view {
	v := view{window: w, step: w.step()}
	v.depth = v.step * int64(w.burst())
	s.arrival = min(s.arrival, r.now+v.depth)
	v.debt = max(0, s.arrival-r.now)
	v.wait = max(0, v.debt+r.n*v.step-v.depth)
	v.left = (v.depth - v.debt) / v.step
	v.ends = r.now + v.debt
	return v
}

// commit takes the request's units out of the bucket, and out of the lease.
func (v *view) commit(s *slot, r *request) {
	s.arrival = r.now + v.debt + r.n*v.step
	s.depth = v.depth
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
	if d.Allowed {
		left -= r.n
		if !tight.fixed {
			ends += r.n * tight.step
		}
	}
	d.Remaining = int(max(0, left))
	d.ResetAt = time.Unix(0, ends).UTC()
	return d
}
