package issuing_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/fraud"
	"github.com/scripcards/scrip/internal/fraud/notice"
	"github.com/scripcards/scrip/internal/fraud/pseudonym"
	"github.com/scripcards/scrip/internal/issuing"
	"github.com/scripcards/scrip/internal/testkit/check"
)

// heard is what the fraud engine is told of a card, by the bytes that tell cards apart.
type heard struct {
	Kind        fraud.Kind
	At          time.Time
	Card, Payer fraud.Hash
}

func (p *process) heard() (all []heard) {
	p.t.Helper()
	found, err := notice.List(p.t.Context(), p.DB, 100)
	check.OK(p.t, err)
	for _, n := range found {
		all = append(all, heard{n.Event.Kind, n.Event.At, n.Event.Card, n.Event.Payer})
	}
	return all
}

func short(full fraud.Hash) (s fraud.Hash) {
	copy(s[:8], full[:])
	return s
}

// The fraud engine is told once when a card can pay, which is when it is issued or first funded, when it is funded again and when it gets another number; of what comes again or is refused it is told nothing.
func TestFraudHears(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := t.Context()
		named := func(n pan.Number) fraud.Hash {
			return short(pseudonym.Names{Vault: p.Vault, Realm: ann.Realm, Network: pseudonym.Own}.Card(n.Reveal()))
		}
		p.load(ann, 50_000)
		var made issuing.Card
		for range 2 {
			var err error
			made, err = p.Issue(ctx, ann, issuing.NewCard{BIN: visa, Amount: usd(5000), Key: "one"})
			check.OK(t, err)
		}
		waiting, err := p.Preview(ctx, ann, pan.Visa, nil)
		check.OK(t, err)
		var at []time.Time
		for _, key := range []string{"f1", "f1", "f2"} {
			p.forward(time.Hour)
			moved, err := p.Fund(ctx, ann, issuing.Transfer{Card: waiting.Card.ID, Amount: usd(2000), Key: key})
			check.OK(t, err)
			at = append(at, moved.At)
		}
		if _, err := p.fund(ann, waiting.Card.ID, 400_000); fault.CodeOf(err) != fault.InsufficientFunds {
			t.Errorf("more than the wallet has: %v", err)
		}
		other, err := p.Replace(ctx, ann, issuing.Replacement{Card: made.ID, Reason: issuing.ReasonLost})
		check.OK(t, err)
		_, err = p.withdraw(ann, waiting.Card.ID, 500)
		check.OK(t, err)
		want := []heard{{fraud.Activation, made.CreatedAt, named(made.Number), short(made.Alias())},
			{fraud.Activation, at[0], named(waiting.Number), short(waiting.Card.Alias())}, {fraud.Reload, at[2], named(waiting.Number), short(waiting.Card.Alias())},
			{fraud.Activation, at[2], named(other.Number), fraud.Hash{}}}
		if diff := cmp.Diff(want, p.heard()); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}
