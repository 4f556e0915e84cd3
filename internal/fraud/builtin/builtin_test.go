package builtin_test

import (
	"bytes"
	"testing"

	"github.com/scripcards/scrip/internal/fraud"
	"github.com/scripcards/scrip/internal/fraud/builtin"
	"github.com/scripcards/scrip/internal/fraud/estimator"
	"github.com/scripcards/scrip/internal/fraud/sense"
	"github.com/scripcards/scrip/internal/fraud/traffic"
	"github.com/scripcards/scrip/internal/fraud/traffic/till"
)

// A model that ships is written again as the bytes it was read from.
func TestBytes(t *testing.T) {
	for _, kind := range fraud.Kinds() {
		if again, err := model(t, kind).Bytes(); err != nil || !bytes.Equal(again, builtin.Bytes(kind)) {
			t.Errorf("the model of %s became another (%v)", kind, err)
		}
	}
}

func model(t *testing.T, kind fraud.Kind) *estimator.Model {
	t.Helper()
	m, err := builtin.Model(kind)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// Of real events too the score of one that is explained is the score of one that is not, bit for bit.
func TestExplained(t *testing.T) {
	checks := traffic.Generate(traffic.Config{Seed: 5, Days: 2, Warmup: 1, Families: traffic.Known(), Campaigns: 1, Size: 0.2})
	payments := till.Generate(till.Config{Seed: 5, Days: 6, Warmup: 1, Families: till.Known(), Campaigns: 1, Size: 0.2})
	for kind, events := range map[fraud.Kind]struct {
		n   int
		get func(int) (fraud.Event, fraud.Outcome)
	}{fraud.Ping: {len(checks.Asks), checks.Event}, fraud.Authorization: {len(payments.Payments), payments.Event}} {
		m, eye, seen := model(t, kind), sense.New(sense.Config{Memory: fraud.MinMemory, PaymentMemory: fraud.MinMemory}), 0
		for i := range events.n {
			event, outcome := events.get(i)
			var row sense.Row
			eye.See(&event, &row)
			eye.Learn(&event, outcome)
			if sense.Stranger(kind, &row) {
				continue
			}
			seen++
			for _, p := range []*estimator.Part{&m.Full, &m.Quiet} {
				if p.Trees == nil {
					continue // payments have one part
				}
				if with, _ := p.Explain(&row); with != p.Probability(&row) {
					t.Fatalf("%s %d: %v with an explanation, %v without", kind, i, with, p.Probability(&row))
				}
			}
		}
		if seen < 500 {
			t.Errorf("%s: only %d events to score", kind, seen)
		}
	}
}
