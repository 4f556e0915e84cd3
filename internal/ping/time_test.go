package ping_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/fraud"
	"github.com/scripcards/scrip/internal/giftcard"
	"github.com/scripcards/scrip/internal/ping"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/testkit/check"
)

// class is one way of getting the invalid answer.
type class struct {
	name  string
	check func(round int) ping.Check
	// extra is done beside the check, for what must be found out.
	extra func(context.Context) error
	times []int64 // ns, by round
}

// poolSize is how many numbers each class goes through.
const poolSize = 250

// pool makes cards for one class.
func (p *process) pool(c ping.Caller) []issued { return p.lot(c, poolSize) }

// lot makes cards in one transaction.
func (p *process) lot(c ping.Caller, size int) []issued {
	p.t.Helper()
	list := "title,templateId,currency,amount\n" + strings.Repeat("Holiday,"+template+",USD,1\n", size)
	report, err := p.cards.Import(context.Background(), giftcard.Merchant{Book: c.Book, Realm: c.Realm, Actor: c.Credential}, strings.NewReader(list), nil)
	check.OK(p.t, err)
	cards := make([]issued, size)
	for i, m := range report.Made {
		cards[i] = issued{m.Card.Number.Reveal(), m.Key.Reveal()}
	}
	return cards
}

// virtualPool makes virtual cards and returns their numbers.
func (p *process) virtualPool(c ping.Caller) []string {
	p.t.Helper()
	numbers := make([]string, poolSize)
	for i := range numbers {
		numbers[i] = p.issueVirtual(c).number
	}
	return numbers
}

// trials measures every class once a round, in an order of its own each time.
func (p *process) trials(rounds int, classes []*class) {
	p.t.Helper()
	for _, c := range classes {
		c.times = make([]int64, 0, rounds)
	}
	order := rand.New(rand.NewPCG(1, 2))
	for done := 0; done < rounds; {
		n := min(250, rounds-done)
		check.OK(p.t, p.DB.Write(context.Background(), func(ctx context.Context, tx *storage.Tx) error {
			for round := done; round < done+n; round++ {
				p.clock.Advance(10 * time.Minute) // no PIN is wrong five times in an hour
				for _, i := range order.Perm(len(classes)) {
					c := classes[i]
					watch := time.Now()
					if c.extra != nil {
						if err := c.extra(ctx); err != nil {
							return err
						}
					}
					extra := time.Since(watch).Nanoseconds()
					r, took, err := p.Timer()(ctx, tx, c.check(round))
					if err != nil || r.Status != ping.Invalid {
						return fmt.Errorf("%s: %s, %w", c.name, r.Status, err)
					}
					c.times = append(c.times, took+extra)
				}
			}
			return nil
		}))
		done += n
	}
}

// drawn returns numbers that no card has, one for each round of a pool.
func drawn(draw func() (pan.Number, error)) func(int) string {
	numbers := make([]string, poolSize)
	for i := range numbers {
		number, err := draw()
		if err != nil {
			panic(err) // the form is a constant
		}
		numbers[i] = number.Reveal()
	}
	return func(i int) string { return numbers[i] }
}

func quantile(sorted []int64, percent int) int64 { return sorted[len(sorted)*percent/100] }

// apart returns by how much a class differs from another, in thousandths of the other's
// median: the median of the differences between neighbours in time, which neither a busy
// machine nor a few slow trials move, and the differences between quartiles.
func apart(c, from *class) (thousandths []int64) {
	differences := make([]int64, len(c.times))
	for i := range c.times {
		differences[i] = c.times[i] - from.times[i]
	}
	slices.Sort(differences)
	mine, others := slices.Sorted(slices.Values(c.times)), slices.Sorted(slices.Values(from.times))
	scale := quantile(others, 50)
	return []int64{quantile(differences, 50) * 1000 / scale, (quantile(mine, 25) - quantile(others, 25)) * 1000 / scale,
		(quantile(mine, 50) - quantile(others, 50)) * 1000 / scale}
}

// bound is how far apart classes may be, in thousandths: less than the smallest query
// costs, and more than chance makes of so many trials.
const bound = 25

func alike(thousandths []int64) bool {
	return !slices.ContainsFunc(thousandths, func(t int64) bool { return max(t, -t) > bound })
}

// No time tells an unknown number, a wrong PIN and a locked card apart, nor with no PIN an
// unknown number and somebody else's card, gift card or virtual: not 10,000 trials of each (1,500 with -short).
// One more look-up in one of them does show, so that the test would notice one too few.
func TestTimeTellsNothing(t *testing.T) {
	if raced {
		t.Skip("the race detector distorts what is measured")
	}
	rounds := 10_000
	if testing.Short() {
		rounds = 1500
	}
	p := setup(t, openSQLite(t), func(d *ping.Deps) { d.Fraud = byRules{fraud.New(fraud.Config{})} }, with(func(p *ping.Policy) { p.LockFor = 20 * 365 * 24 * time.Hour }))
	random := rand.NewChaCha8([32]byte{5})
	// Cards of one class are not asked for in the order in which they lie, which is faster:
	// somebody who looks for cards finds any.
	lot := p.lot(shop, 4*poolSize)
	rand.New(random).Shuffle(len(lot), func(i, j int) { lot[i], lot[j] = lot[j], lot[i] })
	others, locked, shut, quiet := lot[:poolSize], lot[poolSize:2*poolSize], lot[2*poolSize:3*poolSize], lot[3*poolSize:]
	for i, c := range slices.Concat(locked, shut) {
		check.OK(t, p.DB.Write(t.Context(), func(ctx context.Context, tx *storage.Tx) error {
			for guess := range 5 {
				if _, _, err := p.Timer()(ctx, tx, asking(desk, "scrip", c.number, wrongKey(guess))); err != nil {
					return fmt.Errorf("lock card %d: %w", i, err)
				}
			}
			return nil
		}))
	}
	of := func(number func(int) string, pin func(int) string) func(int) ping.Check {
		return func(round int) ping.Check { return asking(desk, "scrip", number(round%poolSize), pin(round%poolSize)) }
	}
	// No class asks for what another has just asked for, which would be faster.
	wrong := func(from int) func(int) string { return func(i int) string { return wrongKey(from + i) } }
	none := func(int) string { return "" }
	number := func(cards []issued) func(int) string { return func(i int) string { return cards[i].number } }
	more := func(ctx context.Context) error {
		_, err := p.cards.Books.FindBook(ctx, desk.Book)
		return err
	}
	// Numbers that no card has are as likely as those that one has: of the same form, and anywhere.
	strange := func() func(int) string {
		return drawn(func() (pan.Number, error) { return pan.GenerateAlnum(random, "GC", 16) })
	}
	unknown := &class{name: "unknown number", check: of(strange(), wrong(1000))}
	noted := &class{name: "one more look-up", check: of(strange(), wrong(4000)), extra: more}
	bare := &class{name: "unknown number, no PIN", check: of(strange(), none)}
	owned := &class{name: "somebody else's card, no PIN", check: of(number(quiet), none)}
	wrongPIN := &class{name: "wrong PIN", check: of(number(others), wrong(2000))}
	lockedRight := &class{name: "locked, right PIN", check: of(number(locked), func(i int) string { return locked[i].key })}
	lockedWrong := &class{name: "locked, wrong PIN", check: of(number(shut), wrong(3000))}
	numbers := p.virtualPool(shop)
	rand.New(random).Shuffle(len(numbers), func(i, j int) { numbers[i], numbers[j] = numbers[j], numbers[i] })
	nobody := &class{name: "unknown number of a virtual card", check: of(drawn(func() (pan.Number, error) { return pan.Generate(random, "4916530", 16) }), none)}
	theirs := &class{name: "somebody else's virtual card", check: of(func(i int) string { return numbers[i] }, none)}
	all := []*class{nobody, theirs, unknown, noted, bare, owned, wrongPIN, lockedRight, lockedWrong}
	open := [][2]*class{{owned, bare}, {theirs, nobody}, {wrongPIN, unknown}, {lockedRight, unknown}, {lockedWrong, unknown}}
	noticed := false
	// What is real shows in every series; what a busy machine makes of one does not.
	for series := 0; series < mostSeries && (len(open) > 0 || !noticed); series++ {
		p.trials(rounds, all)
		open = slices.DeleteFunc(open, func(pair [2]*class) bool {
			by := apart(pair[0], pair[1])
			t.Logf("%s from %s: %d thousandths", pair[0].name, pair[1].name, by)
			return alike(by)
		})
		by := apart(noted, unknown)
		t.Logf("%s: %d thousandths", noted.name, by)
		noticed = noticed || !alike(by)
	}
	for _, pair := range open {
		t.Errorf("%s differs from %s by more than %d thousandths of its time in %d series", pair[0].name, pair[1].name, bound, mostSeries)
	}
	if !noticed {
		t.Errorf("one more look-up is not noticed in %d series", mostSeries)
	}
}

// mostSeries bounds how often the trials are made again.
const mostSeries = 5
