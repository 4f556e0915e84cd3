package boost_test

import (
	"bytes"
	"context"
	"errors"
	"math"
	"runtime"
	"testing"

	"github.com/scripcards/scrip/internal/fraud/boost"
)

// draws is a generator of numbers for tests.
type draws uint64

func (d *draws) next() float64 {
	*d += 0x9e3779b97f4a7c15
	z := uint64(*d)
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return float64((z^z>>31)>>11) / (1 << 53)
}

// rings is rows of six numbers: two that decide by their distance from the middle, a
// copy with gaps, one constant, one of few values and one of noise.
func rings(n int, seed uint64) boost.Table {
	d := draws(seed)
	t := boost.Table{Columns: make([][]float32, 6), Positive: make([]bool, n)}
	for i := range n {
		x, y := d.next()*2-1, d.next()*2-1
		gap := float32(x)
		if d.next() < 0.3 {
			gap = float32(math.NaN())
		}
		row := []float32{float32(x), float32(y), gap, 7, float32(math.Floor(d.next() * 3)), float32(d.next())}
		for c, v := range row {
			t.Columns[c] = append(t.Columns[c], v)
		}
		t.Positive[i] = x*x+y*y < 0.2 != (d.next() < 0.02)
	}
	return t
}

func row(t boost.Table, i int) []float32 {
	r := make([]float32, len(t.Columns))
	for c := range r {
		r[c] = t.Columns[c][i]
	}
	return r
}

func train(t *testing.T, table boost.Table, p boost.Params) *boost.Model {
	t.Helper()
	m, err := boost.Train(t.Context(), table, p, nil)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func small() boost.Params {
	p := boost.Default()
	p.Trees, p.Leaves, p.Rate, p.Columns = 60, 12, 0.2, 1
	return p
}

// auc is the share of pairs of a positive and a negative row that are in order.
func auc(m *boost.Model, t boost.Table) float64 {
	var right, pairs float64
	margins := make([]float64, len(t.Positive))
	for i := range margins {
		margins[i] = m.Margin(row(t, i))
	}
	for i, one := range t.Positive {
		for j, two := range t.Positive {
			if !one || two {
				continue
			}
			pairs++
			switch {
			case margins[i] > margins[j]:
				right++
			case margins[i] == margins[j]:
				right += 0.5
			}
		}
	}
	return right / pairs
}

// What trees learn on some rows holds for others, and nothing is learnt from labels
// that mean nothing.
func TestLearns(t *testing.T) {
	learned := train(t, rings(3000, 1), small())
	if got := auc(learned, rings(800, 2)); got < 0.95 {
		t.Errorf("AUC %.3f on rows not seen", got)
	}
	shuffled := rings(3000, 1)
	d := draws(9)
	for i := range shuffled.Positive {
		shuffled.Positive[i] = d.next() < 0.2
	}
	if got := auc(train(t, shuffled, small()), rings(800, 2)); got < 0.4 || got > 0.6 {
		t.Errorf("AUC %.3f after learning from noise", got)
	}
}

// The same table and parameters make the same bytes, on one processor as on several,
// and another seed makes others.
func TestDeterministic(t *testing.T) {
	encode := func(p boost.Params) []byte {
		data, err := train(t, rings(1500, 3), p).AppendBinary(nil)
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	p := small()
	p.Columns = 0.5
	first := encode(p)
	before := runtime.GOMAXPROCS(1)
	alone := encode(p)
	runtime.GOMAXPROCS(4)
	many := encode(p)
	runtime.GOMAXPROCS(before)
	if !bytes.Equal(first, alone) || !bytes.Equal(first, many) {
		t.Error("the number of processors changes the model")
	}
	p.Seed++
	if bytes.Equal(first, encode(p)) {
		t.Error("another seed makes the same model")
	}
}

// A model that is written and read again scores the same; one byte that differs
// anywhere is refused.
func TestFile(t *testing.T) {
	table := rings(800, 4)
	p := small()
	p.Trees = 5
	m := train(t, table, p)
	data, err := m.AppendBinary(nil)
	if err != nil {
		t.Fatal(err)
	}
	again, err := boost.Read(data)
	if err != nil {
		t.Fatal(err)
	}
	for i := range table.Positive {
		if r := row(table, i); m.Margin(r) != again.Margin(r) {
			t.Fatalf("row %d scores %v and %v", i, m.Margin(r), again.Margin(r))
		}
	}
	for i := range data {
		data[i] ^= 1
		if _, err := boost.Read(data); !errors.Is(err, boost.ErrFile) {
			t.Fatalf("with byte %d changed: %v", i, err)
		}
		data[i] ^= 1
	}
	for _, cut := range []int{0, 1, 7, 8, 40, len(data) - 1} {
		if _, err := boost.Read(data[:cut]); !errors.Is(err, boost.ErrFile) {
			t.Errorf("the first %d bytes: %v", cut, err)
		}
	}
}

// The parts of an explanation sum up to the margin but for what is the same of all rows,
// the margin is the one without an explanation, bit for bit, and scoring allocates nothing.
func TestExplain(t *testing.T) {
	table := rings(1500, 5)
	m := train(t, table, small())
	parts := make([]float64, m.Columns)
	rest := math.NaN()
	for i := range 200 {
		clear(parts)
		r := row(table, i)
		left := m.Explain(r, parts)
		if want := m.Margin(r); left != want {
			t.Fatalf("row %d: %v with an explanation, %v without", i, left, want)
		}
		for _, part := range parts {
			left -= part
		}
		if math.Abs(left-rest) > 1e-9 {
			t.Fatalf("row %d: the parts leave %v, and %v before", i, left, rest)
		}
		if rest = left; parts[3] != 0 {
			t.Fatalf("a column of one value counted %v", parts[3])
		}
	}
	r := row(table, 0)
	if n := testing.AllocsPerRun(100, func() { m.Margin(r); m.Explain(r, parts) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// A monotone column never moves the score the wrong way, whatever the data say.
func TestMonotone(t *testing.T) {
	table := rings(3000, 6)
	for _, direction := range []int8{1, -1} {
		p := small()
		p.Monotone = []int8{direction, 0, 0, 0, 0, 0}
		m := train(t, table, p)
		for i := range 100 {
			r := row(table, i)
			last := math.Inf(-int(direction))
			for x := float32(-1); x <= 1; x += 0.02 {
				r[0] = x
				now := m.Margin(r)
				if direction > 0 && now < last || direction < 0 && now > last {
					t.Fatalf("direction %d, row %d: %v after %v at %v", direction, i, now, last, x)
				}
				last = now
			}
		}
	}
}

// A missing number takes a path of its own: with nothing else to go by, rows that lack
// it are told from those that have it.
func TestMissing(t *testing.T) {
	table := boost.Table{Columns: [][]float32{nil}}
	for i := range 400 {
		x := float32(math.NaN())
		if i%2 == 0 {
			x = float32(i)
		}
		table.Columns[0] = append(table.Columns[0], x)
		table.Positive = append(table.Positive, i%2 == 1)
	}
	m := train(t, table, small())
	nan := m.Margin([]float32{float32(math.NaN())})
	if some := m.Margin([]float32{10}); nan < 2.2 || some > -2.2 { // nine to one
		t.Errorf("missing scores %.3f, present %.3f", nan, some)
	}
}

// What cannot be trained on is refused, and an end of the context ends the training.
func TestRefuses(t *testing.T) {
	good := rings(100, 7)
	for name, change := range map[string]func(*boost.Table, *boost.Params){
		"no columns":      func(x *boost.Table, _ *boost.Params) { x.Columns = nil },
		"a short column":  func(x *boost.Table, _ *boost.Params) { x.Columns[1] = x.Columns[1][1:] },
		"one kind":        func(x *boost.Table, _ *boost.Params) { x.Positive = make([]bool, 100) },
		"short weights":   func(x *boost.Table, _ *boost.Params) { x.Weights = make([]float32, 99) },
		"no trees":        func(_ *boost.Table, p *boost.Params) { p.Trees = 0 },
		"one leaf":        func(_ *boost.Table, p *boost.Params) { p.Leaves = 1 },
		"a rate above 1":  func(_ *boost.Table, p *boost.Params) { p.Rate = 1.5 },
		"no rows sampled": func(_ *boost.Table, p *boost.Params) { p.Rows = 0 },
		"one bin":         func(_ *boost.Table, p *boost.Params) { p.Bins = 1 },
		"monotone":        func(_ *boost.Table, p *boost.Params) { p.Monotone = []int8{1} },
		"negative L2":     func(_ *boost.Table, p *boost.Params) { p.L2 = -1 },
	} {
		table, p := good, small()
		table.Columns = append([][]float32(nil), good.Columns...)
		change(&table, &p)
		if _, err := boost.Train(t.Context(), table, p, nil); err == nil {
			t.Errorf("%s: trained all the same", name)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	trees := 0
	_, err := boost.Train(ctx, good, small(), func(n int) {
		if trees = n; n == 3 {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) || trees != 3 {
		t.Errorf("after %d trees: %v", trees, err)
	}
}

// Weights and copies of rows are the same thing to a tree.
func TestWeights(t *testing.T) {
	once, twice := rings(600, 8), rings(600, 8)
	once.Weights = make([]float32, 600)
	for i := range once.Weights {
		once.Weights[i] = 1
		if i%3 == 0 {
			once.Weights[i] = 2
			for c := range twice.Columns {
				twice.Columns[c] = append(twice.Columns[c], once.Columns[c][i])
			}
			twice.Positive = append(twice.Positive, once.Positive[i])
		}
	}
	p := small()
	p.Rows, p.MinRows, p.Trees = 1, 1, 3
	p.MinHessian = 5
	a, b := train(t, once, p), train(t, twice, p)
	for i := range once.Positive {
		if r := row(once, i); math.Abs(a.Margin(r)-b.Margin(r)) > 1e-3 {
			t.Fatalf("row %d: %v weighted, %v copied", i, a.Margin(r), b.Margin(r))
		}
	}
}

// Whatever bytes are read, a model that comes of them can be scored with.
func FuzzRead(f *testing.F) {
	p := boost.Default()
	p.Trees = 2
	m, err := boost.Train(context.Background(), rings(200, 1), p, nil)
	if err != nil {
		f.Fatal(err)
	}
	data, err := m.AppendBinary(nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte("scrboos\x01"))
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := boost.Read(data)
		if err != nil {
			return
		}
		m.Margin(make([]float32, m.Columns))
	})
}

func BenchmarkMargin(b *testing.B) {
	table := rings(2000, 1)
	p := boost.Default()
	p.Columns = 1
	m, err := boost.Train(b.Context(), table, p, nil)
	if err != nil {
		b.Fatal(err)
	}
	r := row(table, 1)
	for b.Loop() {
		m.Margin(r)
	}
}
