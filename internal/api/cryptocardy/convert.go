package cryptocardy

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/scripcards/scrip/internal/api/wire"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/issuing"
	"github.com/scripcards/scrip/internal/issuing/authorization"
	"github.com/scripcards/scrip/internal/webhook"
)

// until is the end of a span: a day that belongs to it, a second, as which answers show
// times, or an instant within one.
type until time.Time

// WireType implements wire.Typed.
func (until) WireType() string { return "string" }

// WireHint implements wire.Hinter.
func (until) WireHint() string { return wire.Since{}.WireHint() }

// UnmarshalText reads the time. It accepts what wire.Since does.
func (u *until) UnmarshalText(text []byte) error {
	var last wire.Since
	if err := last.UnmarshalText(text); err != nil {
		return err
	}
	step := time.Second
	switch {
	case len(text) == len(time.DateOnly):
		step = 24 * time.Hour
	case bytes.ContainsAny(text, ".,"):
		step = time.Microsecond
	}
	*u = until(last.Time().Add(step))
	return nil
}

// amountIn reads an amount that is required.
func amountIn(field string, text wire.Number) (money.Amount, error) {
	amount, err := money.ParseAmount(string(text), dollars)
	if err != nil {
		return money.Amount{}, fault.New(fault.InvalidAmount, "%s must be an amount in US dollars, such as 12.50", field).At(field)
	}
	return amount, nil
}

// optional reads an amount that may be left out; nil then.
func optional(field string, text wire.Number) (*money.Amount, error) {
	if text == "" {
		return nil, nil
	}
	amount, err := amountIn(field, text)
	return &amount, err
}

// part reads how much of a payment is meant; nil where it is left out, which is all of it.
// Nothing is no part of it: whoever says 0 would get all of it.
func part(field string, text wire.Number) (*money.Amount, error) {
	amount, err := optional(field, text)
	if err == nil && amount != nil && amount.IsZero() {
		return nil, fault.New(fault.InvalidAmount, "%s must be above zero, or left out for all of it", field).At(field)
	}
	return amount, err
}

// choice reads a word of a list; empty stays empty.
func choice[T ~string](problems *wire.Problems, field, text string, from ...T) T {
	if text == "" || slices.Contains(from, T(text)) {
		return T(text)
	}
	words := make([]string, len(from))
	for i, word := range from {
		words[i] = string(word)
	}
	problems.Add(field, "must be one of "+strings.Join(words, ", "))
	return ""
}

// pageOf reads a page's number and size; what is wrong with them comes first.
func pageOf(q wire.PageQuery, size int) (wire.Problems, wire.Page) {
	page, err := q.Resolve(size, issuing.MaxPerPage)
	if err != nil {
		return wire.ProblemsOf(fault.From(err)), page
	}
	return nil, page
}

func (in *cardsQuery) filter(h issuing.Holder) (wire.Page, issuing.Filter, error) {
	problems, page := pageOf(in.PageQuery, issuing.DefaultPerPage)
	f := issuing.Filter{Holder: h, BIN: in.BINID, Label: in.Label, Offset: page.Offset, Limit: page.Size}
	f.Status = choice(&problems, "status", in.Status, issuing.Statuses()...)
	f.Sort = choice(&problems, "sort", in.Sort, issuing.ByCreated, issuing.ByBalance, issuing.ByLastUsed)
	f.Ascending = choice(&problems, "order", in.Order, "asc", "desc") == "asc"
	return page, f, problems.Err()
}

func (in *newCard) read() (issuing.NewCard, error) {
	n := issuing.NewCard{BIN: in.BINID, Label: in.Label, Categories: in.AllowedCategories, Metadata: map[string]string{}}
	for name, value := range in.Metadata {
		if value != nil {
			n.Metadata[name] = *value
		}
	}
	var err error
	if n.Amount, err = amountIn("amount", in.Amount); err != nil {
		return n, err
	}
	limit, err := optional("spending_limit", in.SpendingLimit)
	if err != nil {
		return n, err
	}
	threshold, err := optional("auto_freeze_at", in.AutoFreezeAt)
	if err != nil {
		return n, err
	}
	if limit != nil {
		n.SpendingLimit = *limit
	}
	if threshold != nil {
		n.AutoFreezeAt = *threshold
	}
	return n, nil
}

func (in *cardChange) read() (issuing.Change, error) {
	ch := issuing.Change{Card: issuing.CardID(in.ID), Label: in.Label, Categories: in.AllowedCategories, Metadata: in.Metadata}
	var err error
	if ch.SpendingLimit, err = optional("spending_limit", in.SpendingLimit); err != nil {
		return ch, err
	}
	ch.AutoFreezeAt, err = optional("auto_freeze_at", in.AutoFreezeAt)
	return ch, err
}

func viewLine(c *issuing.Card) cardLine {
	return cardLine{ID: string(c.ID), BINID: c.BIN.ID, Network: string(c.BIN.Network), Last4: c.Last4, Status: string(c.Status),
		Balance: wire.Major(c.Balance), Currency: foreign(c.BIN.Currency), Label: c.Label, CreatedAt: wire.TimeSecond(c.CreatedAt)}
}

func viewCard(c issuing.Card) card {
	l := viewLine(&c)
	return card{ID: l.ID, BINID: l.BINID, Network: l.Network, Last4: l.Last4, Status: l.Status, Balance: l.Balance, Currency: l.Currency, Label: l.Label,
		CreatedAt: l.CreatedAt, SpendingLimit: wire.Major(c.SpendingLimit()), TotalSpent: wire.Major(atLeastNothing(c.Spent)), TransactionCount: c.Transactions,
		AllowedCategories: c.Controls.Categories, AutoFreezeAt: inDollars(c.Controls.AutoFreezeAt), Metadata: c.Metadata,
		ExpiresAt: wire.TimeSecond(c.ExpiresAt), LastUsedAt: moments(c.LastUsedAt)}
}

// foreign names a currency that is not dollars, which amounts are in unless it says otherwise.
func foreign(currency money.Currency) string {
	if currency == dollars {
		return ""
	}
	return currency.String()
}

// inDollars gives an amount of nothing a currency.
func inDollars(a money.Amount) wire.Major {
	if !a.Currency.IsValid() {
		a.Currency = dollars
	}
	return wire.Major(a)
}

// atLeastNothing is an amount that is shown as nothing where it is below zero: a card to which
// more came back than it paid, by refunds that name no payment, spent nothing.
func atLeastNothing(a money.Amount) money.Amount {
	a.Minor = max(0, a.Minor)
	return a
}

// moments is a time, or null.
func moments(t time.Time) *wire.TimeSecond {
	if t.IsZero() {
		return nil
	}
	at := wire.TimeSecond(t)
	return &at
}

// grouped writes a number as it is printed on a card: "4916 5301 2345 2039".
func grouped(number pan.Number) string {
	text := number.Reveal()
	var groups []string
	for len(text) > 4 {
		groups, text = append(groups, text[:4]), text[4:]
	}
	return strings.Join(append(groups, text), " ")
}

func viewPreview(i issuing.Issued) preview {
	return preview{ID: string(i.Card.ID), State: string(i.Card.Status), Network: string(i.Card.BIN.Network), CardNumber: grouped(i.Number),
		CVVMasked: "***", Expiry: i.Card.ExpiresAt.Format("01/06")}
}

func viewDetails(d issuing.Details) details {
	return details{ID: string(d.Card), PAN: d.Number.Reveal(), CVV: d.CVC.Reveal(), ExpMonth: d.Month, ExpYear: d.Year, HolderName: d.HolderName,
		BillingAddress: billing(d.Billing)}
}

func viewFrozen(c issuing.Card) frozen {
	return frozen{ID: string(c.ID), Status: string(c.Status), FrozenAt: wire.TimeSecond(c.FrozenAt)}
}

func viewTerminated(e issuing.Ended) terminated {
	return terminated{ID: string(e.Card.ID), Status: string(e.Card.Status), RefundedAmount: wire.Major(e.Refunded),
		Currency: foreign(e.Refunded.Currency), TerminatedAt: wire.TimeSecond(e.At)}
}

func viewFunded(m issuing.Moved) funded {
	return funded{ID: string(m.Card.ID), PreviousBalance: wire.Major(m.Previous), FundedAmount: wire.Major(m.Amount), NewBalance: wire.Major(m.New),
		WalletBalance: wire.Major(m.Wallet), Repaid: unlessNothing(m.Repaid)}
}

// unlessNothing is an amount that is shown where there is one.
func unlessNothing(a money.Amount) *wire.Major {
	if !a.IsPositive() {
		return nil
	}
	shown := wire.Major(a)
	return &shown
}

func viewWithdrawn(m issuing.Moved) withdrawn {
	return withdrawn{ID: string(m.Card.ID), PreviousBalance: wire.Major(m.Previous), WithdrawnAmount: wire.Major(m.Amount), NewBalance: wire.Major(m.New),
		WalletBalance: wire.Major(m.Wallet)}
}

func viewBIN(b *issuing.BIN) binView {
	return binView{ID: b.ID, Network: string(b.Network), Type: b.Type, IssuerCountry: b.IssuerCountry, ThreeDS: b.ThreeDS, ApplePay: b.ApplePay,
		GooglePay: b.GooglePay, MaxTransaction: wire.Major(b.MaxTransaction), MaxMonthly: wire.Major(b.MaxMonthly),
		AcceptanceRate: wire.Number(fmt.Sprintf("%d.%d", b.AcceptanceTenths/10, b.AcceptanceTenths%10)), BestFor: b.BestFor}
}

func (in *transactionsQuery) filter(c *call) (wire.Page, authorization.Filter, error) {
	problems, page := pageOf(in.PageQuery, authorization.DefaultPerPage)
	f := authorization.Filter{Book: c.Principal.Book, Card: issuing.CardID(in.CardID), From: in.From.Time(), To: time.Time(in.To), Merchant: in.Merchant,
		Offset: page.Offset, Limit: page.Size}
	f.Type = choice(&problems, "type", in.Type, authorization.TypeAuthorization, authorization.TypeSettlement, authorization.TypeRefund, authorization.TypeDecline)
	if err := problems.Err(); err != nil {
		return page, f, err
	}
	least, err := optional("min_amount", in.MinAmount)
	if err != nil {
		return page, f, err
	}
	most, err := optional("max_amount", in.MaxAmount)
	if least != nil {
		f.Min = least.Minor
	}
	if most != nil {
		f.Max = &most.Minor
	}
	return page, f, err
}

func viewTransactionLine(t *authorization.Transaction) transactionLine {
	return transactionLine{ID: string(t.ID), CardID: string(t.Card), Type: string(t.Type), Amount: wire.Major(t.Amount), Currency: t.Amount.Currency.String(),
		Merchant:     merchant{Name: t.Merchant.Name, Category: t.Category, MCC: t.Merchant.MCC, Country: t.Merchant.Country},
		BalanceAfter: wire.Major(t.Balance), CreatedAt: wire.TimeSecond(t.At)}
}

// Whether a payment was proved by its card's owner.
const (
	authenticated    = "authenticated"
	notAuthenticated = "not_authenticated"
)

func viewTransaction(t *authorization.Transaction) transactionView {
	view := transactionView{transactionLine: viewTransactionLine(t), AuthorizationID: string(t.Payment), Status: string(t.State),
		ThreeDS: threeDS{Status: notAuthenticated, ChallengeID: string(t.Challenge)}, Timeline: make([]moment, 0, len(t.Timeline))}
	if t.Challenge != "" {
		view.ThreeDS.Status = authenticated
	}
	if t.Original.Currency.IsValid() {
		original := wire.Major(t.Original)
		view.OriginalAmount, view.OriginalCurrency = &original, t.Original.Currency.String()
	}
	if t.Reason != authorization.ReasonNone {
		view.Decline = &decline{Reason: string(t.Reason), Message: t.Sentence, Advice: t.Advice}
	}
	for i := range t.Timeline {
		step := &t.Timeline[i]
		view.Timeline = append(view.Timeline, moment{TransactionID: string(step.Transaction), Event: string(step.Type), Amount: wire.Major(step.Amount),
			BalanceAfter: wire.Major(step.Balance), Reason: string(step.Reason), At: wire.TimeSecond(step.At)})
	}
	return view
}

func viewChallenge(ch *authorization.Challenge) challengeView {
	return challengeView{ID: string(ch.ID), CardID: string(ch.Card), Merchant: ch.Merchant.Name, Amount: wire.Major(ch.Amount),
		Currency: foreign(ch.Amount.Currency), OTP: ch.OTP.Reveal(), Status: string(ch.Status), ExpiresAt: wire.TimeSecond(ch.ExpiresAt), CreatedAt: wire.TimeSecond(ch.CreatedAt)}
}

func viewWebhook(e webhook.Endpoint) webhookView {
	return webhookView{ID: string(e.ID), URL: e.URL, Events: e.Events, Active: e.Active, Reason: e.Reason, CreatedAt: wire.TimeSecond(e.CreatedAt)}
}

// networkOf reads the network that a card is wanted of; empty: any.
func networkOf(text string) (pan.Network, error) {
	var problems wire.Problems
	network := choice(&problems, "card", text, pan.Visa, pan.Mastercard)
	return network, problems.Err()
}
