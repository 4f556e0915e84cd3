package train_test

import (
	"context"
	"errors"
	"math"
	"testing"

	"github.com/scripcards/scrip/internal/fraud"
	"github.com/scripcards/scrip/internal/fraud/builtin"
	"github.com/scripcards/scrip/internal/fraud/estimator"
	"github.com/scripcards/scrip/internal/fraud/traffic"
	"github.com/scripcards/scrip/internal/fraud/traffic/till"
	"github.com/scripcards/scrip/internal/fraud/train"
)

// small is a training of a few seconds.
func small() train.Config {
	return train.Config{Kind: fraud.Ping, Name: "small", Seed: 7, Days: 2, Campaigns: 1, Size: 0.1, Trees: 12, QuietTrees: 8}
}

// Two trainings make the same file, bit for bit, and another seed another one.
func TestTrainingIsDeterministic(t *testing.T) {
	sums := map[string]bool{}
	for i := range 3 {
		c := small()
		if i == 2 {
			c.Seed++
		}
		m, err := train.Train(t.Context(), c, nil)
		if err != nil {
			t.Fatal(err)
		}
		if m.Info.Attacks == 0 || m.Info.Rows <= m.Info.Attacks || len(m.Info.Metrics) != 4 || m.Full.Trees.Trees() == 0 {
			t.Errorf("the description: %+v", m.Info)
		}
		sums[m.Sum] = true
	}
	if len(sums) != 2 {
		t.Errorf("%d different files of two seeds", len(sums))
	}
}

// Two trainings on payments make the same file too, and what they make scores payments alone.
func TestPaymentTraining(t *testing.T) {
	sums := map[string]bool{}
	for i := range 3 {
		c := train.Config{Kind: fraud.Authorization, Name: "small", Seed: 7, Days: 6, Campaigns: 1, Size: 0.05, Trees: 8}
		if i == 2 {
			c.Seed++
		}
		m, err := train.Train(t.Context(), c, nil)
		if err != nil {
			t.Fatal(err)
		}
		if m.Kind != fraud.Authorization || m.Info.Attacks == 0 || m.Info.Rows <= m.Info.Attacks || len(m.Info.Metrics) != 4 || m.Quiet.Trees != nil {
			t.Errorf("the description: %+v", m.Info)
		}
		sums[m.Sum] = true
	}
	if len(sums) != 2 {
		t.Errorf("%d different files of two seeds", len(sums))
	}
}

// The model of payments in the program fits, is small, says what it was trained on, and finds more than the rules do of frauds that it was not trained on.
func TestShippedPaymentModel(t *testing.T) {
	m, err := builtin.Model(fraud.Authorization)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(builtin.Bytes(fraud.Authorization)); n > 300<<10 {
		t.Errorf("%d bytes", n)
	}
	if want := train.Shipped(fraud.Authorization); m.Info.Name != want.Name || m.Info.Seed != want.Seed || m.Info.Data == "" {
		t.Errorf("%+v", m.Info)
	}
	results, curve, err := train.RunPaid(t.Context(), m, train.BenchConfig{First: 6001, Seeds: 1, Days: 16, Campaigns: 2, Size: 0.3}, nil)
	if err != nil {
		t.Fatal(err)
	}
	// One stream is small: the bars are those of docs/fraud.md less what chance does.
	rules, model := results[0], results[1]
	if len(curve.Scored) != model.Events || model.AveragePrecision < 0.6 || model.AUC < 0.8 || model.Known < 0.35 || model.AveragePrecision < 2*rules.AveragePrecision {
		t.Errorf("rules: %+v\nmodel: %+v", rules, model)
	}
	for _, f := range model.Families {
		if f.Family == till.Testing && f.Recall < 0.7 {
			t.Errorf("%+v", f)
		}
	}
}

// No model is measured on traffic that it learned from or was calibrated on.
func TestMeasuredOnOtherTraffic(t *testing.T) {
	ended, end := context.WithCancel(t.Context())
	end()
	of := train.BenchConfig{First: 5001, Seeds: 2, Days: 2, Campaigns: 1, Size: 0.01}
	for kind, run := range map[fraud.Kind]func(*estimator.Model) error{
		fraud.Ping:          func(m *estimator.Model) error { _, _, err := train.Run(ended, m, of, nil); return err },
		fraud.Authorization: func(m *estimator.Model) error { _, _, err := train.RunPaid(ended, m, of, nil); return err },
	} {
		m, err := builtin.Model(kind)
		if err != nil {
			t.Fatal(err)
		}
		for seed, refused := range map[uint64]bool{1: false, 4999: false, 5000: true, 5001: true, 5002: true, 5003: false, math.MaxUint64: false} {
			m.Info.Seed = seed
			if err := run(m); errors.Is(err, context.Canceled) == refused || err == nil { // who is not refused begins
				t.Errorf("%s, seed %d: %v", kind, seed, err)
			}
		}
	}
}

// The model in the program fits, says what it was trained on, and finds known and unseen attacks on traffic that it was not trained on.
func TestShippedModel(t *testing.T) {
	m, err := builtin.Model(fraud.Ping)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(builtin.Bytes(fraud.Ping)); n > 1<<20 {
		t.Errorf("%d bytes", n)
	}
	want := train.Shipped(fraud.Ping)
	if m.Info.Name != want.Name || m.Info.Seed != want.Seed || m.Info.Data == "" {
		t.Errorf("%+v", m.Info)
	}
	results, curve, err := train.Run(t.Context(), m, train.BenchConfig{First: 5001, Seeds: 1, Days: 2, Campaigns: 1, Size: 0.4}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(results) != 4 || len(curve.Scored) != results[1].Honest+results[1].Attacks {
		t.Fatalf("%d results, %d scores", len(results), len(curve.Scored))
	}
	// One stream is small: the bars are those of docs/fraud.md less what chance does.
	rules, full := results[0], results[1]
	if full.Known < 0.85 || full.Unseen < 0.60 || full.Revealed > 0.30 || full.Known <= rules.Known {
		t.Errorf("rules: %+v\nmodel: %+v", rules, full)
	}
	for _, g := range full.Groups {
		for _, heavy := range traffic.HeavyGroups() {
			if g.Group == heavy && g.Cost > 0.01 {
				t.Errorf("%+v", g)
			}
		}
	}
	for _, s := range curve.Scored {
		if math.IsNaN(s.Score) || s.Score < 0 || s.Score > 1 {
			t.Fatalf("a score of %v", s.Score)
		}
	}
}
