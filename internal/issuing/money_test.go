package issuing_test

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/issuing"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/testkit/check"
)

// script is one section of the text table while it is played.
type script struct {
	*process
	cards map[string]issuing.CardID
	holds map[string]ledger.HoldID
}

// Every call does to the money what the text table says, and after each of them what was
// paid in is on the wallet, on cards, or owed to card networks.
func TestMoney(t *testing.T) {
	for name, lines := range sections(t, "testdata/money.txt") {
		t.Run(name, func(t *testing.T) {
			eachEngine(t, func(t *testing.T, p *process) {
				s := &script{p, map[string]issuing.CardID{}, map[string]ledger.HoldID{}}
				for _, line := range lines {
					call, want, _ := strings.Cut(line, "|")
					before := s.state()
					err := s.play(strings.Fields(call))
					got := s.state()
					if code := fault.CodeOf(err); code != "" {
						if got != before {
							t.Errorf("%s: refused, and %s became %s", line, before, got)
						}
						got = string(code)
					}
					if want = strings.TrimSpace(want); got != want {
						t.Fatalf("%s: %s (%v)", line, got, err)
					}
					s.balanced()
				}
				s.verify()
			})
		})
	}
}

// sections reads a text table: the lines below each heading.
func sections(t *testing.T, path string) map[string][]string {
	t.Helper()
	file, err := os.Open(path)
	check.OK(t, err)
	defer func() { _ = file.Close() }()
	all, name := map[string][]string{}, ""
	for lines := bufio.NewScanner(file); lines.Scan(); {
		switch line := lines.Text(); {
		case strings.HasPrefix(line, "## "):
			name = strings.TrimPrefix(line, "## ")
		case line != "" && !strings.HasPrefix(line, "#"):
			all[name] = append(all[name], line)
		}
	}
	if len(all) < 8 {
		t.Fatalf("%d sections in %s", len(all), path)
	}
	return all
}

// play makes one call.
func (s *script) play(words []string) error {
	ctx := context.Background()
	words = append(words, "", "")
	verb, name := words[0], words[1]
	amount, err := money.ParseAmount(cmp.Or(words[2], "0"), money.USD)
	check.OK(s.t, err)
	card, known := s.cards[name]
	if verb != "issue" && verb != "preview" && !known {
		return s.setting(verb, name)
	}
	switch verb {
	case "issue":
		c, err := s.Issue(ctx, ann, issuing.NewCard{BIN: visa, Amount: amount})
		s.keep(name, c, err)
		return err
	case "preview":
		i, err := s.Preview(ctx, ann, pan.Visa, nil)
		s.keep(name, i.Card, err)
		return err
	case "fund":
		_, err = s.fund(ann, card, amount.Minor)
	case "withdraw":
		_, err = s.withdraw(ann, card, amount.Minor)
	case "hold":
		s.holds[name] = s.hold(ann, card, amount.Minor)
	case "capture":
		s.endHold(ann, s.holds[name], ledger.Capture, amount.Minor)
	case "release":
		_, err = s.Books.Submit(ctx, ledger.Operation{Book: ann.Book, Kind: "test.hold", At: s.Clocks.Now(ann.Realm),
			Holds: []ledger.HoldChange{{Action: ledger.Release, ID: s.holds[name], Amount: amount}}})
	case "force":
		s.force(card, amount.Minor)
	default:
		return s.each(ann, card)[verb]()
	}
	return err
}

// setting plays the lines that are about no card.
func (s *script) setting(verb, what string) error {
	switch verb {
	case "load":
		amount, err := money.ParseAmount(what, money.USD)
		check.OK(s.t, err)
		s.load(ann, amount.Minor)
	case "years":
		s.forward(epoch.AddDate(3, 0, 0).Sub(epoch))
	case "days":
		s.forward(day)
	case "sweep":
		_, err := s.Expire(context.Background())
		return err
	}
	return nil
}

func (s *script) keep(name string, c issuing.Card, err error) {
	if err == nil {
		s.cards[name] = c.ID
	}
}

// force takes cents of a card, and lends it what it lacks.
func (s *script) force(card issuing.CardID, minor int64) {
	has := s.get(ann, card).Balance.Minor
	if lack := minor - has; lack > 0 {
		s.overdraw(ann, card, lack)
		minor = has
	}
	if minor > 0 {
		s.endHold(ann, s.hold(ann, card, minor), ledger.Capture, 0)
	}
}

// state is the wallet and the cards as a line of the table.
func (s *script) state() string {
	text := usd(s.purse(ann)).String()
	marks := map[issuing.Status]string{issuing.PendingTopUp: "?", issuing.Frozen: "!", issuing.Terminated: "x"}
	for _, name := range slices.Sorted(maps.Keys(s.cards)) {
		c := s.get(ann, s.cards[name])
		text += fmt.Sprintf(" %s=%s", name, c.Balance)
		if !c.Held.IsZero() {
			text += "+" + c.Held.String()
		}
		text += marks[c.Status]
	}
	return text
}

// posted is what an account of a holder's book has.
func (p *process) posted(h issuing.Holder, account ledger.AccountID) int64 {
	p.t.Helper()
	a, err := p.Books.FindAccount(context.Background(), h.Book, account)
	if fault.CodeOf(err) == fault.NotFound {
		return 0
	}
	check.OK(p.t, err)
	return a.Posted().Minor
}

// balanced checks that what was paid in is somewhere.
func (p *process) balanced() {
	p.t.Helper()
	accounts, err := p.Books.ListAccounts(context.Background(), ann.Book, "card/", "", 1000)
	check.OK(p.t, err)
	cards := int64(0)
	for _, a := range accounts {
		cards += a.Posted().Minor
	}
	in, purse := p.posted(ann, "wallet.bank/USD"), p.posted(ann, "wallet/USD")
	owed, debt := p.posted(ann, issuing.Settlement(money.USD).ID), p.posted(ann, issuing.Receivable(money.USD).ID)
	if in != purse+cards+owed-debt {
		p.t.Errorf("%d were paid in; the wallet has %d, cards %d, networks get %d, the customer owes %d", in, purse, cards, owed, debt)
	}
}
