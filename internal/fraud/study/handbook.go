package study

import (
	"context"
	"fmt"
	"time"

	"github.com/scripcards/scrip/internal/fraud/feature"
)

// Payment is one row of the Fraud Detection Handbook's data.
type Payment struct {
	Second   int64 // since the start
	Customer int32
	Terminal int32
	Cents    int64
	Scenario uint8 // above 0 is fraud
}

func (p *Payment) day() int { return int(p.Second / daySeconds) }

const daySeconds = 86_400

const handbookHeader = "TX_TIME_SECONDS,CUSTOMER_ID,TERMINAL_ID,AMOUNT_CENTS,TX_FRAUD_SCENARIO"

// ReadHandbook reads the Handbook's data in the order of time, and returns the SHA-256 of the CSV.
func ReadHandbook(path string) ([]Payment, string, error) {
	t, err := openTable(path, handbookHeader)
	if err != nil {
		return nil, "", err
	}
	var payments []Payment
	for {
		more, err := t.next(5)
		if err != nil {
			return nil, "", fmt.Errorf("%s: %w", path, err)
		}
		if !more {
			break
		}
		var n [5]int64
		for i := range n {
			if n[i], err = t.number(i); err != nil {
				return nil, "", fmt.Errorf("%s: %w", path, err)
			}
		}
		payments = append(payments, Payment{n[0], int32(n[1]), int32(n[2]), n[3], uint8(n[4])})
	}
	sum, err := t.end()
	return payments, sum, err
}

// start is day 0 of the data.
func start() time.Time { return time.Date(2018, 4, 1, 0, 0, 0, 0, time.UTC) }

// The protocol: a week to learn from, a week until its labels are in, a week of test.
const (
	trainDays = 7
	delayDays = 7
	testDays  = 7
	// foldDays is from the first day of training to the day after the test.
	foldDays = trainDays + delayDays + testDays
)

// Folds are the first days of training.
type Folds []time.Time

// ValidationFolds are for choosing, TestFolds for telling.
func ValidationFolds() Folds { return folds(time.July, 11, 4, -3, -10) }

// TestFolds are looked at once everything is chosen.
func TestFolds() Folds { return folds(time.August, 15, 8, 1, -6) }

func folds(month time.Month, days ...int) (f Folds) {
	for _, day := range days {
		f = append(f, time.Date(2018, month, day, 0, 0, 0, 0, time.UTC))
	}
	return f
}

// day is the number of a fold's first day.
func (f Folds) day(i int) int { return int(f[i].Sub(start()) / (24 * time.Hour)) }

// span is from the first day that any fold needs to the day after the last.
func (f Folds) span() (from, to int) {
	from = f.day(0)
	for i := range f {
		from, to = min(from, f.day(i)), max(to, f.day(i)+foldDays)
	}
	return from, to
}

// Fold is what was measured of one.
type Fold struct {
	Start time.Time
	Measures
	scored []Scored
}

// Result is what was measured of all folds.
type Result struct {
	Name  string
	Folds []Fold
	Mean  Measures
	// Width is how many numbers an event had.
	Width int
}

// Scored returns the events of all folds with their scores, fold by fold.
func (r *Result) Scored() (all [][]Scored) {
	for i := range r.Folds {
		all = append(all, r.Folds[i].scored)
	}
	return all
}

// Engine measures the engine's own numbers.
func Engine(ctx context.Context, payments []Payment, f Folds, progress Progress) (Result, error) {
	set, err := replay(ctx, payments, f, progress)
	if err != nil {
		return Result{}, err
	}
	return measure(ctx, "engine", set, progress)
}

// set is the rows that some folds need.
type set struct {
	folds    Folds
	payments []Payment
	columns  columns
	labels   []bool
	rows     []int         // the payment behind each row
	byDay    map[int][]int // rows of a day
}

func (s *set) add(payment int, numbers []float32) {
	p := &s.payments[payment]
	s.byDay[p.day()] = append(s.byDay[p.day()], len(s.rows))
	s.rows = append(s.rows, payment)
	s.labels = append(s.labels, p.Scenario > 0)
	s.columns.add(numbers)
}

func newSet(payments []Payment, f Folds, width int) *set {
	return &set{folds: f, payments: payments, columns: make(columns, width), byDay: map[int][]int{}}
}

// stateMemory holds all customers and terminals of the data many times over.
const stateMemory = 512 << 20

// replay has every payment pass through the engine's state, and each label a week later.
func replay(ctx context.Context, payments []Payment, f Folds, progress Progress) (*set, error) {
	from, to := f.span()
	used := usedColumns()
	s, state := newSet(payments, f, len(used)), feature.New(stateMemory)
	marks := make([]feature.Mark, 0, len(payments))
	labelled, numbers := 0, make([]float32, len(used))
	var v feature.Vector
	for i := range payments {
		p := &payments[i]
		if p.day() >= to {
			break
		}
		if i%100_000 == 0 {
			progress.tell("replaying payments", i, len(payments))
			if err := ctx.Err(); err != nil {
				return nil, err
			}
		}
		at := microsOf(p.Second)
		for ; labelled < i && payments[labelled].Second+delayDays*daySeconds <= p.Second; labelled++ {
			state.Label(&marks[labelled], at, payments[labelled].Scenario > 0)
		}
		e := event(p)
		marks = append(marks, state.See(&e, &v))
		state.Learn(&e, feature.Outcome{})
		if p.day() >= from {
			for k, c := range used {
				numbers[k] = v[c]
			}
			s.add(i, numbers)
		}
	}
	return s, nil
}

func microsOf(second int64) int64 { return (start().Unix() + second) * 1_000_000 }

func event(p *Payment) feature.Event {
	e := feature.Event{At: microsOf(p.Second), Kind: feature.Authorization, Amount: p.Cents}
	e.Keys[feature.Card] = feature.Key(p.Customer) + 1
	e.Keys[feature.Merchant] = feature.Key(p.Terminal) + 1
	e.Keys[feature.Pair] = (feature.Key(p.Customer)+1)<<32 | feature.Key(p.Terminal)
	return e
}

// usedColumns are the numbers that the data can fill: what has no key is unknown throughout.
func usedColumns() (used []int) {
	e := event(&Payment{Cents: 1})
	for i, role := range feature.ColumnRoles() {
		if role == feature.Roles || e.Keys[role] != 0 {
			used = append(used, i)
		}
	}
	return used
}

// measure trains and tests fold by fold.
func measure(ctx context.Context, name string, s *set, progress Progress) (Result, error) {
	r := Result{Name: name, Width: len(s.columns)}
	var all []Measures
	for i := range s.folds {
		progress.tell("training on "+name, i, len(s.folds))
		scored, err := s.fold(ctx, s.folds.day(i))
		if err != nil {
			return Result{}, fmt.Errorf("fold of %s: %w", s.folds[i].Format(time.DateOnly), err)
		}
		m := Measure(scored)
		all = append(all, m)
		r.Folds = append(r.Folds, Fold{Start: s.folds[i], Measures: m, scored: scored})
	}
	progress.tell("training on "+name, len(s.folds), len(s.folds))
	r.Mean = Mean(all)
	return r, nil
}

// fold trains on the week that begins on a day and scores the week of its test.
func (s *set) fold(ctx context.Context, first int) ([]Scored, error) {
	var train []int
	for day := first; day < first+trainDays; day++ {
		train = append(train, s.byDay[day]...)
	}
	m, err := fit(ctx, s.columns, s.labels, train)
	if err != nil {
		return nil, err
	}
	caught := map[int32]bool{}
	for _, row := range train {
		s.catch(caught, row)
	}
	var scored []Scored
	for i := range testDays {
		for _, row := range s.byDay[first+trainDays+i-1] {
			s.catch(caught, row)
		}
		var test []int
		for _, row := range s.byDay[first+trainDays+delayDays+i] {
			if !caught[s.payments[s.rows[row]].Customer] {
				test = append(test, row)
			}
		}
		for k, margin := range score(m, s.columns, test) {
			p := &s.payments[s.rows[test[k]]]
			scored = append(scored, Scored{Score: margin, Fraud: p.Scenario > 0, Card: uint64(p.Customer), Day: i})
		}
	}
	return scored, nil
}

// catch notes whose fraud is known: their card is stopped, and in no test.
func (s *set) catch(caught map[int32]bool, row int) {
	if s.labels[row] {
		caught[s.payments[s.rows[row]].Customer] = true
	}
}
