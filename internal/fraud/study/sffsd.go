package study

import (
	"context"
	"fmt"
	"hash/fnv"
	"math"
	"strconv"

	"github.com/scripcards/scrip/internal/fraud/draw"
	"github.com/scripcards/scrip/internal/fraud/feature"
)

const sffsdHeader = "Time,Source,Target,Amount,Location,Type,Labels"

// unlabelled is the label of rows that nobody looked at.
const unlabelled = 2

// Transfer is one row of S-FFSD.
type Transfer struct {
	Step                           int64
	Source, Target, Location, Type feature.Key
	Pair                           feature.Key
	Cents                          int64
	Label                          int // 0, 1, or 2: unknown
}

// ReadSFFSD reads the data in the order of time, and returns the SHA-256 of the CSV.
func ReadSFFSD(path string) ([]Transfer, string, error) {
	t, err := openTable(path, sffsdHeader)
	if err != nil {
		return nil, "", err
	}
	var transfers []Transfer
	for {
		more, err := t.next(7)
		if err != nil {
			return nil, "", fmt.Errorf("%s: %w", path, err)
		}
		if !more {
			break
		}
		one, err := t.transfer()
		if err != nil {
			return nil, "", fmt.Errorf("%s: %w", path, err)
		}
		transfers = append(transfers, one)
	}
	sum, err := t.end()
	return transfers, sum, err
}

func (t *table) transfer() (Transfer, error) {
	step, err := t.number(0)
	if err != nil {
		return Transfer{}, err
	}
	label, err := t.number(6)
	if err != nil {
		return Transfer{}, err
	}
	amount, err := strconv.ParseFloat(t.fields[3], 64)
	if err != nil {
		return Transfer{}, fmt.Errorf("row %d: %w", t.row, err)
	}
	return Transfer{Step: step, Source: keyOf(t.fields[1]), Target: keyOf(t.fields[2]), Location: keyOf(t.fields[4]),
		Type: keyOf(t.fields[5]), Pair: keyOf(t.fields[1] + "," + t.fields[2]), Cents: int64(math.Round(amount * 100)), Label: int(label)}, nil
}

// keyOf is never 0.
func keyOf(text string) feature.Key {
	h := fnv.New64a()
	_, _ = h.Write([]byte(text)) // a hash takes everything
	return feature.Key(h.Sum64() | 1)
}

// stepSeconds is what a step of the data's time is taken for.
const stepSeconds = 60

// Splits is how many random splits are measured.
const Splits = 5

// SFFSD measures, as published, on a fifth of the labelled rows drawn at random, as many
// of each kind; all rows are seen in their order, and of an earlier row the label only
// if it is in the training part. The result is one fold for each of several draws.
func SFFSD(ctx context.Context, transfers []Transfer, progress Progress) (Result, error) {
	r := Result{Name: "engine"}
	var all []Measures
	for i := range Splits {
		progress.tell("splits of S-FFSD", i, Splits)
		scored, width, err := split(ctx, transfers, uint64(i+1))
		if err != nil {
			return Result{}, err
		}
		m := Measure(scored)
		all = append(all, m)
		r.Folds, r.Width = append(r.Folds, Fold{Start: start(), Measures: m, scored: scored}), width
	}
	progress.tell("splits of S-FFSD", Splits, Splits)
	r.Mean = Mean(all)
	return r, nil
}

func split(ctx context.Context, transfers []Transfer, seed uint64) ([]Scored, int, error) {
	test := drawFifth(transfers, seed)
	state, c := feature.New(stateMemory), columns(nil)
	labels := make([]bool, len(transfers))
	var train, tested, rows []int
	var v feature.Vector
	for i := range transfers {
		t := &transfers[i]
		e := t.event()
		mark := state.See(&e, &v)
		state.Learn(&e, feature.Outcome{})
		labels[i] = t.Label == 1
		if t.Label == unlabelled {
			continue
		}
		if c == nil {
			c = make(columns, len(v))
		}
		c.add(v[:])
		rows = append(rows, i)
		if test[i] {
			tested = append(tested, len(rows)-1)
			continue
		}
		state.Label(&mark, e.At, labels[i])
		train = append(train, len(rows)-1)
	}
	byRow := make([]bool, len(rows))
	for k, i := range rows {
		byRow[k] = labels[i]
	}
	m, err := fit(ctx, c, byRow, train)
	if err != nil {
		return nil, 0, fmt.Errorf("split %d: %w", seed, err)
	}
	var scored []Scored
	for k, margin := range score(m, c, tested) {
		scored = append(scored, Scored{Score: margin, Fraud: byRow[tested[k]]})
	}
	return scored, len(c), nil
}

func (t *Transfer) event() feature.Event {
	e := feature.Event{At: microsOf(t.Step * stepSeconds), Kind: feature.Authorization, Amount: t.Cents}
	e.Keys[feature.Card], e.Keys[feature.Merchant], e.Keys[feature.Pair] = t.Source, t.Target, t.Pair
	e.Keys[feature.Place], e.Keys[feature.Category] = t.Location, t.Type
	return e
}

// drawFifth draws a fifth of the rows of each label.
func drawFifth(transfers []Transfer, seed uint64) map[int]bool {
	drawn := map[int]bool{}
	d := draw.New(seed)
	for label := range unlabelled {
		var rows []int
		for i := range transfers {
			if transfers[i].Label == label {
				rows = append(rows, i)
			}
		}
		for i := len(rows) - 1; i > 0; i-- {
			j := int(d.Below(uint64(i + 1)))
			rows[i], rows[j] = rows[j], rows[i]
		}
		for _, row := range rows[:len(rows)/5] {
			drawn[row] = true
		}
	}
	return drawn
}
