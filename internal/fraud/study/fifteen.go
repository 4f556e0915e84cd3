package study

import "context"

// Fifteen measures what the same trees make of the Handbook's own fifteen numbers, so
// that a reader sees what numbers are worth, and what trees.
func Fifteen(ctx context.Context, payments []Payment, f Folds, progress Progress) (Result, error) {
	from, to := f.span()
	s := newSet(payments, f, 15)
	customers, terminals := map[int32]*window{}, map[int32]*window{}
	for i := range payments {
		p := &payments[i]
		if p.day() >= to {
			break
		}
		if i%100_000 == 0 {
			progress.tell("counting in windows", i, len(payments))
			if err := ctx.Err(); err != nil {
				return Result{}, err
			}
		}
		c, t := windowOf(customers, p.Customer), windowOf(terminals, p.Terminal)
		c.add(p)
		t.add(p)
		c.slide(p.Second, 0)
		t.slide(p.Second, delayDays*daySeconds)
		if p.day() >= from {
			s.add(i, fifteen(p, c, t))
		}
	}
	return measure(ctx, "handbook's 15", s, progress)
}

// windowDays are the lengths of the Handbook's windows.
var windowDays = [...]int64{1, 7, 30}

// window sums the payments of one customer or terminal over windows that end some time ago.
type window struct {
	payments []Payment
	end      int                  // of those in the windows
	begin    [len(windowDays)]int // of each window
	sums     [len(windowDays)]windowSum
}

type windowSum struct{ count, cents, frauds int64 }

func windowOf(all map[int32]*window, id int32) *window {
	w := all[id]
	if w == nil {
		w = &window{}
		all[id] = w
	}
	return w
}

func (w *window) add(p *Payment) { w.payments = append(w.payments, *p) }

// slide moves the end of the windows to a second, less the delay.
func (w *window) slide(second, delay int64) {
	for ; w.end < len(w.payments) && w.payments[w.end].Second <= second-delay; w.end++ {
		for i := range w.sums {
			w.sums[i].tally(&w.payments[w.end], 1)
		}
	}
	for i, days := range windowDays {
		for ; w.begin[i] < w.end && w.payments[w.begin[i]].Second <= second-delay-days*daySeconds; w.begin[i]++ {
			w.sums[i].tally(&w.payments[w.begin[i]], -1)
		}
	}
}

func (s *windowSum) tally(p *Payment, n int64) {
	s.count += n
	s.cents += n * p.Cents
	if p.Scenario > 0 {
		s.frauds += n
	}
}

// fifteen are the Handbook's: the amount, weekend and night, and for each window the
// customer's number and mean of payments and the terminal's number and share of frauds.
func fifteen(p *Payment, c, t *window) []float32 {
	hour, weekday := p.Second%daySeconds/3600, (p.Second/daySeconds+6)%7 // day 0 is a Sunday
	numbers := []float32{float32(p.Cents), flag(weekday >= 5), flag(hour <= 6)}
	for i := range windowDays {
		own, there := &c.sums[i], &t.sums[i]
		numbers = append(numbers, float32(own.count), float32(own.cents)/float32(max(own.count, 1)),
			float32(there.count), float32(there.frauds)/float32(max(there.count, 1)))
	}
	return numbers
}

func flag(on bool) float32 {
	if on {
		return 1
	}
	return 0
}
