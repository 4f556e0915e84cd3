package study_test

import (
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/fraud/study"
)

// few is data that are small and still have frauds in every fold.
func few() []study.Payment {
	return study.Generate(study.Generated{Customers: 500, Terminals: 1000, Days: 110, Seed: 7})
}

func oneFold() study.Folds { return study.ValidationFolds()[3:] }

// The measures are those of small cases that were worked out by hand.
func TestMeasure(t *testing.T) {
	for name, c := range map[string]struct {
		events      []study.Scored
		ap, auc, cp float64
	}{
		"in order":    {[]study.Scored{{4, true, 1, 0}, {3, true, 2, 0}, {2, false, 3, 0}, {1, false, 4, 0}}, 1, 1, 0.02},
		"in disorder": {[]study.Scored{{4, false, 1, 0}, {3, true, 2, 0}, {2, false, 3, 0}, {1, true, 4, 0}}, 0.5, 0.25, 0.02},
		"all equal":   {[]study.Scored{{1, true, 1, 0}, {1, false, 2, 0}, {1, false, 3, 0}, {1, false, 4, 0}}, 0.25, 0.5, 0.01},
		// The second day's fraud of card 1 is not found again, and a card has its highest score.
		"found once": {[]study.Scored{{9, true, 1, 0}, {8, false, 1, 0}, {7, true, 1, 1}, {6, false, 2, 1}}, 5.0 / 6, 0.75, 0.005},
	} {
		m := study.Measure(c.events)
		if math.Abs(m.AveragePrecision-c.ap) > 1e-9 || math.Abs(m.AUC-c.auc) > 1e-9 || math.Abs(m.CardPrecision-c.cp) > 1e-9 {
			t.Errorf("%s: %+v, want %v, %v, %v", name, m, c.ap, c.auc, c.cp)
		}
	}
}

// The engine finds what the generator hides, better than the Handbook's numbers do, and
// not better than can be known.
func TestEngineFindsFraud(t *testing.T) {
	payments := few()
	engine, err := study.Engine(t.Context(), payments, oneFold(), nil)
	if err != nil {
		t.Fatal(err)
	}
	fifteen, err := study.Fifteen(t.Context(), payments, oneFold(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := engine.Mean; got.AveragePrecision < 0.5 || got.AveragePrecision > 0.8 || got.AUC < 0.7 || got.AveragePrecision <= fifteen.Mean.AveragePrecision {
		t.Errorf("engine %+v, the fifteen %+v", engine.Mean, fifteen.Mean)
	}
	again, err := study.Engine(t.Context(), payments, oneFold(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if again.Mean != engine.Mean {
		t.Errorf("a second run measures %+v, the first %+v", again.Mean, engine.Mean)
	}
}

// From labels that mean nothing, nothing is learnt: the average precision is the share of frauds.
func TestShuffledLabelsTeachNothing(t *testing.T) {
	payments := few()
	// Labels go round by a stride, so that each keeps its number and loses its payment.
	n := len(payments)
	scenarios := make([]uint8, n)
	for i := range payments {
		scenarios[(i*7919+n/2)%n] = payments[i].Scenario
	}
	for i := range payments {
		payments[i].Scenario = scenarios[i]
	}
	r, err := study.Engine(t.Context(), payments, oneFold(), nil)
	if err != nil {
		t.Fatal(err)
	}
	base := float64(r.Mean.Frauds) / float64(r.Mean.Events)
	if r.Mean.AveragePrecision > 4*base || r.Mean.AUC > 0.62 || r.Mean.AUC < 0.38 {
		t.Errorf("average precision %.4f with %.4f frauds, AUC %.3f", r.Mean.AveragePrecision, base, r.Mean.AUC)
	}
}

// A label that is not known yet changes no score: with every label of the days after the
// last one that can have arrived turned round, the scores of a test's first day are the same.
func TestNoLabelIsKnownEarly(t *testing.T) {
	payments, folds := few(), oneFold()
	plain, err := study.Engine(t.Context(), payments, folds, nil)
	if err != nil {
		t.Fatal(err)
	}
	day := int(folds[0].Sub(time.Date(2018, 4, 1, 0, 0, 0, 0, time.UTC))/(24*time.Hour)) + 14
	for i := range payments {
		if p := &payments[i]; p.Second >= int64(day-6)*86_400 {
			p.Scenario = 1 - min(p.Scenario, 1)
		}
	}
	turned, err := study.Engine(t.Context(), payments, folds, nil)
	if err != nil {
		t.Fatal(err)
	}
	first, second := scoresOf(&plain, 0), scoresOf(&turned, 0)
	compared := 0
	for key, score := range first {
		if other, ok := second[key]; ok {
			compared++
			if score != other {
				t.Fatalf("%+v scores %v, and %v with labels of the future turned round", key, score, other)
			}
		}
	}
	if compared < 50 {
		t.Errorf("%d scores compared: too few", compared)
	}
}

// scoresOf returns the greatest score of each card on one day of the test.
func scoresOf(r *study.Result, day int) map[uint64]float64 {
	scores := map[uint64]float64{}
	for _, s := range r.Scored()[0] {
		if s.Day == day {
			if old, ok := scores[s.Card]; !ok || s.Score > old {
				scores[s.Card] = s.Score
			}
		}
	}
	return scores
}

// What is generated follows the published rules and is the same for a seed.
func TestGenerate(t *testing.T) {
	one, two := few(), few()
	scenarios := [4]int{}
	for i, p := range one {
		if p != two[i] {
			t.Fatalf("payment %d differs between two runs", i)
		}
		if i > 0 && p.Second < one[i-1].Second {
			t.Fatalf("payment %d comes before the one before", i)
		}
		if p.Cents > 220_00 && p.Scenario == 0 {
			t.Fatalf("%+v is no fraud", p)
		}
		scenarios[p.Scenario]++
	}
	if scenarios[1] == 0 || scenarios[2] == 0 || scenarios[3] == 0 || scenarios[0] < 8*(scenarios[2]+scenarios[3]) {
		t.Errorf("by scenario: %v", scenarios)
	}
}

// A file that is not what it should be is refused with its row, and changes nothing.
func TestFilesAreChecked(t *testing.T) {
	write := func(text string) string {
		path := filepath.Join(t.TempDir(), "data.csv")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	const header = "TX_TIME_SECONDS,CUSTOMER_ID,TERMINAL_ID,AMOUNT_CENTS,TX_FRAUD_SCENARIO\n"
	for _, text := range []string{"", "a,b\n1,2\n", header + "1,2,3,4\n", header + "1,2,x,4,0\n"} {
		if got, _, err := study.ReadHandbook(write(text)); err == nil {
			t.Errorf("%q is read as %v", text, got)
		}
	}
	got, sum, err := study.ReadHandbook(write(header + "31,596,3156,5716,0\n"))
	if err != nil || len(got) != 1 || got[0] != (study.Payment{31, 596, 3156, 5716, 0}) || len(sum) != 64 {
		t.Errorf("%v, %s, %v", got, sum, err)
	}
	const other = "Time,Source,Target,Amount,Location,Type,Labels\n"
	if _, _, err := study.ReadSFFSD(write(other + "0,S1,T1,nothing,L1,TP1,2\n")); err == nil {
		t.Error("an amount that is no number is read")
	}
	transfers, _, err := study.ReadSFFSD(write(other + "0,S1,T1,13.74,L1,TP1,2\n"))
	if err != nil || len(transfers) != 1 || transfers[0].Cents != 1374 || transfers[0].Label != 2 {
		t.Errorf("%v, %v", transfers, err)
	}
}
