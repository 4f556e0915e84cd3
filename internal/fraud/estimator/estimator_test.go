package estimator

import (
	"errors"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/scripcards/scrip/internal/fraud"
	"github.com/scripcards/scrip/internal/fraud/boost"
	"github.com/scripcards/scrip/internal/fraud/draw"
	"github.com/scripcards/scrip/internal/fraud/sense"
)

// table has rows of which the attacks miss much; everything else is noise.
func table(rows int) boost.Table {
	d := draw.New(3)
	t := boost.Table{Columns: make([][]float32, sense.Width), Positive: make([]bool, rows)}
	for i := range t.Positive {
		t.Positive[i] = d.Chance(0.3)
	}
	for k, c := range sense.Columns(fraud.Ping) {
		t.Columns[k] = make([]float32, rows)
		for i := range rows {
			x := d.Unit()
			if c.Rising > 0 && t.Positive[i] {
				x += 0.7
			}
			t.Columns[k][i] = float32(10 * x)
		}
	}
	return t
}

func trained(t testing.TB) *Model {
	t.Helper()
	rows := table(400)
	p := boost.Default()
	p.Trees, p.Columns, p.Bins = 10, 0.2, 32
	trees, err := boost.Train(t.Context(), rows, p, nil)
	if err != nil {
		t.Fatal(err)
	}
	var honest []int
	for i, attack := range rows.Positive {
		if !attack {
			honest = append(honest, i)
		}
	}
	part := Part{Kind: fraud.Ping, Trees: trees.Slim(), Rare: Rare(fraud.Ping, rows.Columns, honest, func(*sense.Column) bool { return true }), Weight: 0.5, Slope: 1.5, Offset: -1}
	return &Model{Kind: fraud.Ping, Info: Info{Name: "test", Data: "noise", Metrics: map[string]float64{"b": 2, "a": 1}}, Full: part, Quiet: part}
}

func anyRow(t *rapid.T) *sense.Row {
	row := &sense.Row{}
	d := draw.New(rapid.Uint64().Draw(t, "seed"))
	for i := range row {
		row[i] = float32(30 * d.Unit())
		if d.Chance(0.1) {
			row[i] = float32(math.NaN())
		}
	}
	return row
}

// A file that was written is read as the same model, byte for byte and score for score.
func TestFile(t *testing.T) {
	m := trained(t)
	file, err := m.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	read, err := Read(file)
	if err != nil {
		t.Fatal(err)
	}
	again, err := read.Bytes()
	if err != nil || !slices.Equal(file, again) || read.Sum != m.Sum || read.Info.Metrics["a"] != 1 {
		t.Fatalf("%v: %+v became %+v", err, m.Info, read.Info)
	}
	rapid.Check(t, func(t *rapid.T) {
		row := anyRow(t)
		if one, two := m.Full.LogOdds(row), read.Full.LogOdds(row); one != two {
			t.Fatalf("%v became %v", one, two)
		}
	})
}

// Whatever is changed in a file, it is refused; a file of another schema says so.
func TestDamage(t *testing.T) {
	file, err := trained(t).Bytes()
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		broken := slices.Clone(file)
		at := rapid.IntRange(0, len(file)-1).Draw(t, "at")
		broken[at] ^= byte(rapid.IntRange(1, 255).Draw(t, "with"))
		if _, err := Read(broken); !errors.Is(err, ErrFile) {
			t.Fatalf("byte %d: %v", at, err)
		}
		if _, err := Read(file[:at]); !errors.Is(err, ErrFile) {
			t.Fatalf("%d bytes: %v", at, err)
		}
	})
}

// Reasons are the strongest, in order, and an event that is explained has the score that it has alone.
func TestExplain(t *testing.T) {
	m := trained(t)
	rapid.Check(t, func(t *rapid.T) {
		row := anyRow(t)
		probability, r := m.Full.Explain(row)
		if alone := m.Full.Probability(row); probability != alone {
			t.Fatalf("%v explained, %v alone", probability, alone)
		}
		for i, one := range r.List[:r.N] {
			if one.Share <= 0 || i > 0 && one.Share > r.List[i-1].Share || !(one.Value == row[one.Column] || one.Value != one.Value) {
				t.Fatalf("%+v", r)
			}
		}
	})
}

// More of what only attacks do never makes an event less suspicious, and what is rare adds up by subject.
func TestRarity(t *testing.T) {
	m := trained(t)
	rapid.Check(t, func(t *rapid.T) {
		row := anyRow(t)
		before := m.Full.Rare.Of(row)
		mark := rapid.SampledFrom(m.Full.Rare.Marks).Draw(t, "mark")
		if x := row[mark.Column]; x == x {
			row[mark.Column] = x + 5
		}
		if after := m.Full.Rare.Of(row); after < before || after < 0 {
			t.Fatalf("%v became %v", before, after)
		}
	})
	if got := m.Full.Rare.Of(&sense.Row{}); got != 0 {
		t.Errorf("nothing is %v rare", got)
	}
}

// Calibrated scores say what share of events are attacks, and stay in order.
func TestCalibrate(t *testing.T) {
	d := draw.New(5)
	var margins []float64
	var attack []bool
	for range 20_000 {
		x := d.Between(-4, 4)
		margins, attack = append(margins, x), append(attack, d.Chance(1/(1+math.Exp(-(2*x-1)))))
	}
	slope, offset := Calibrate(margins, attack)
	if math.Abs(slope-2) > 0.15 || math.Abs(offset+1) > 0.15 {
		t.Errorf("slope %v, offset %v, want 2 and -1", slope, offset)
	}
	if slope, offset := Calibrate([]float64{-1, -2, 1, 2}, []bool{false, false, true, true}); !(slope > 0) || math.IsInf(slope, 0) || math.IsNaN(offset) {
		t.Errorf("of what parts perfectly: %v, %v", slope, offset)
	}
}

// A model says nothing of a caller of whom too little is known.
func TestStranger(t *testing.T) {
	var row sense.Row
	if p := trained(t).Full.Probability(&row); p > 0.001 {
		t.Errorf("a stranger has %v", p)
	}
}

// Whatever the bytes are, reading them ends, and what is read can be scored with.
func FuzzRead(f *testing.F) {
	f.Add([]byte("scrfrau\x01"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if m, err := Read(data); err == nil {
			m.Full.Probability(&sense.Row{})
		}
	})
}
