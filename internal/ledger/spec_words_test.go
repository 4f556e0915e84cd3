package ledger_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// option takes "name value" out of words and returns the value.
func (s *script) option(words *[]string, name string) string {
	i := slices.Index(*words, name)
	if i < 0 || i+1 >= len(*words) {
		return ""
	}
	value := (*words)[i+1]
	*words = slices.Delete(slices.Clone(*words), i, i+2)
	return value
}

// options reads what any operation may carry.
func (s *script) options(op *ledger.Operation, words []string) []string {
	op.Key = s.option(&words, "key")
	op.Intent = s.option(&words, "intent")
	op.Reference = s.option(&words, "reference")
	if original := s.option(&words, "follows"); original != "" {
		op.Follows = []ledger.TransactionID{s.transaction(original)}
	}
	if i := slices.Index(words, "stands"); i >= 0 {
		op.Final, words = true, slices.Delete(slices.Clone(words), i, i+1)
	}
	if account := s.option(&words, "solvent"); account != "" {
		op.Solvent = append(op.Solvent, ledger.AccountID(account))
	}
	if kind := s.option(&words, "kind"); kind != "" {
		op.Kind = kind
	}
	return words
}

// part adds what one line describes to op.
func (s *script) part(op *ledger.Operation, words []string) {
	switch verb, rest := words[0], words[1:]; verb {
	case "open":
		s.partOpen(op, rest)
	case "post":
		var p ledger.Posting
		p.Debit, p.Credit = s.between(rest)
		p.Forced = rest[len(rest)-1] == "forced"
		rest = slices.DeleteFunc(slices.Clone(rest), func(w string) bool { return w == "forced" })
		if p.All = rest[3] == "all"; !p.All {
			p.Amount = s.amount(rest[3:])
		}
		op.Postings = append(op.Postings, p)
	case "hold":
		h := ledger.HoldChange{Action: ledger.Place, ID: ledger.HoldID(rest[0])}
		h.Debit, h.Credit = s.between(rest[1:])
		if expires := s.option(&rest, "expires"); expires != "" {
			h.ExpiresAt = op.At.Add(s.duration(expires))
		}
		h.Amount = s.amount(rest[4:])
		op.Holds = append(op.Holds, h)
	case "increase", "capture", "release", "expire":
		h := ledger.HoldChange{Action: ledger.HoldAction(verb), ID: ledger.HoldID(rest[0]), Final: rest[len(rest)-1] == "final"}
		if rest = slices.DeleteFunc(slices.Clone(rest), func(w string) bool { return w == "final" }); len(rest) > 1 {
			h.Amount = s.amount(rest[1:])
		}
		op.Holds = append(op.Holds, h)
	case "freeze", "unfreeze", "close":
		to := map[string]ledger.State{"freeze": ledger.Frozen, "unfreeze": ledger.Open, "close": ledger.Closed}[verb]
		op.States = append(op.States, ledger.StateChange{Account: ledger.AccountID(rest[0]), To: to})
	case "count":
		var g ledger.Guard
		_, err := fmt.Sscan(strings.Join(rest, " "), &g.Counter, &g.Add, new(string), &g.Limit)
		s.must(err)
		op.Guards = append(op.Guards, g)
	case "reverse":
		op.Reverses = s.transaction(rest[0])
	default:
		s.fail("%s is not a word of this language", verb)
	}
}

// transaction is the id of a transaction that was named, or of none.
func (s *script) transaction(named string) ledger.TransactionID {
	if o, ok := s.named[named]; ok {
		return o.Transaction
	}
	return ledger.TransactionID("txn_" + named)
}

// partOpen reads "wallet credit USD", "cash debit USD unbounded".
func (s *script) partOpen(op *ledger.Operation, words []string) {
	currency, err := money.Parse(words[2])
	s.must(err)
	op.Open = append(op.Open, ledger.NewAccount{ID: ledger.AccountID(words[0]), Side: ledger.Side(words[1]), Currency: currency, Unbounded: slices.Contains(words, "unbounded")})
}

// between reads "wallet -> merchant".
func (s *script) between(words []string) (debit, credit ledger.AccountID) {
	if len(words) < 3 || words[1] != "->" {
		s.fail("want account -> account, not %q", strings.Join(words, " "))
	}
	return ledger.AccountID(words[0]), ledger.AccountID(words[2])
}

// amount reads "40.00", in US dollars unless a currency follows.
func (s *script) amount(words []string) money.Amount {
	currency := usd
	if len(words) > 1 {
		var err error
		currency, err = money.Parse(words[1])
		s.must(err)
	}
	a, err := money.ParseSigned(words[0], currency)
	s.must(err)
	return a
}

// outcomeDiff compares two answers, whether replayed or not.
func outcomeDiff(got, want ledger.Outcome) string {
	return cmp.Diff(want, got, cmpopts.IgnoreUnexported(ledger.Outcome{}), cmpopts.IgnoreFields(ledger.Outcome{}, "Replayed"), cmpopts.EquateEmpty())
}

func codeOf(err error) string { return string(fault.CodeOf(err)) }

func detail(err error, name string) string { return fault.From(err).Details[name] }

// verified proves the books of a whole database and returns what was looked at.
func verified(t testing.TB, db *storage.DB) ledger.Report {
	t.Helper()
	var report ledger.Report
	err := db.Snapshot(context.Background(), func(ctx context.Context, q storage.Queryer) (err error) {
		report, err = ledger.Verify(ctx, q, nil)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, problem := range report.Problems {
		t.Errorf("verify: %s", problem)
	}
	return report
}

// TestMain draws fewer random cases than rapid would, so that every run can afford both
// engines. It also lets the program be the process that a test kills.
func TestMain(m *testing.M) {
	if where := os.Getenv(victimVariable); where != "" {
		fmt.Fprintln(os.Stderr, runVictim(where))
		os.Exit(1)
	}
	for name, value := range map[string]string{"rapid.checks": "25", "rapid.nofailfile": "true"} {
		if err := flag.Set(name, value); err != nil {
			panic(err)
		}
	}
	m.Run()
}
