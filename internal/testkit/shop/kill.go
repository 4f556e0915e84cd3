package shop

import "github.com/scripcards/scrip/internal/order/supply"

// Points are where a process dies, by what it had not done yet, in the order of the life of
// something that two suppliers deliver: the first one a part, and the second one the rest.
// Each readies them to call kill there.
func Points(first, second *Upstream, kill func()) map[string]func() {
	nothing := func() {}
	return map[string]func(){
		"before it is accepted":                  first.onceQuoted(kill),
		"before the first supplier hears of it":  first.lost(kill, nil),
		"before the first supplier answers":      first.lost(nothing, kill),
		"before its answer is kept":              first.answered(kill),
		"before a late answer is kept":           first.asked(kill),
		"before the second one is asked":         second.onceQuoted(kill),
		"before the second supplier hears of it": second.lost(kill, nil),
		"before the second supplier answers":     second.lost(nothing, kill),
		"before its answer completes it":         second.answered(kill),
		"before its late answer completes it":    second.asked(kill),
	}
}

// Next has the next submission go as behave says.
func (u *Upstream) Next(behave func(Call) (supply.Answer, error)) {
	u.OnSubmit = func(c Call) (supply.Answer, error) {
		u.OnSubmit = nil
		return behave(c)
	}
}

// onceQuoted has something happen before the next price is named.
func (u *Upstream) onceQuoted(happen func()) func() {
	return func() {
		u.OnQuote = func(w supply.Wanted) (supply.Quote, error) {
			u.OnQuote = nil
			happen()
			return u.Offers(w), nil
		}
	}
}

// lost has the answer to the next submission lost, of which nothing is done without after.
func (u *Upstream) lost(before, after func()) func() {
	return func() {
		u.Next(func(c Call) (supply.Answer, error) {
			before()
			if after != nil {
				c.Do()
				after()
			}
			return supply.Answer{}, ErrCut
		})
	}
}

// answered has something happen before the answer to the next submission arrives.
func (u *Upstream) answered(happen func()) func() {
	return func() {
		u.Next(func(c Call) (supply.Answer, error) {
			a := c.Do()
			happen()
			return a, nil
		})
	}
}

// asked has the answer to the next submission lost, and something happen before the answer to
// what became of it arrives.
func (u *Upstream) asked(happen func()) func() {
	return func() {
		u.lost(func() {}, func() {})()
		u.OnQuery = func(c Call) (supply.Answer, error) {
			u.OnQuery = nil
			a, _ := c.Find()
			happen()
			return a, nil
		}
	}
}
