package ping

import (
	"testing"

	"github.com/scripcards/scrip/internal/fraud"
)

// Signals that are not as they were written are an error, and not others.
func TestDamagedSignals(t *testing.T) {
	for _, text := range []string{"[]", "a\tb\t1\t2\t3\t4", "a\tb\t1\t2\t3\t4\tx", "a\tb\t1\t2\t3\t4\t1\n\n", "a\tb\t1\t2\t3\t4\t1\t9"} {
		if all, err := readSignals(text); err == nil {
			t.Errorf("%q: %+v", text, all)
		}
	}
}

// A score has two decimals and never leaves its scale.
func TestAppendScore(t *testing.T) {
	for hundredths, want := range map[int]string{-1: "0.00", 0: "0.00", 2: "0.02", 10: "0.10", 99: "0.99", 100: "1.00", 101: "1.00"} {
		want = `,"fraud_score":` + want + `,"fraud_signals":[]`
		if got := string(appendScore(nil, fraud.Score{Hundredths: hundredths})); got != want {
			t.Errorf("%d: %s, want %s", hundredths, got, want)
		}
	}
}
