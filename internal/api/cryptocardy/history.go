package cryptocardy

import (
	"context"

	"github.com/scripcards/scrip/internal/api/wire"
	"github.com/scripcards/scrip/internal/issuing"
	"github.com/scripcards/scrip/internal/issuing/authorization"
)

func (a *api) historyRoutes(s *surface) {
	wire.Handle(s, get("transactions.list", "/transactions"), a.listTransactions)
	wire.Handle(s, get("transactions.get", "/transactions/{txn_id}"), a.getTransaction)
	wire.Handle(s, get("threeds.list", "/3ds"), a.listChallenges)
	wire.Handle(s, get("threeds.get", "/3ds/{challenge_id}"), a.getChallenge)
}

func (a *api) listTransactions(ctx context.Context, c *call, in transactionsQuery) (pages[transactionLine], error) {
	page, f, err := in.filter(c)
	if err != nil {
		return pages[transactionLine]{}, err
	}
	found, err := a.Payments.List(ctx, f)
	out := pages[transactionLine]{Data: make([]transactionLine, 0, len(found.Transactions)), Pagination: page.Totals(found.Total)}
	for i := range found.Transactions {
		out.Data = append(out.Data, viewTransactionLine(&found.Transactions[i]))
	}
	return out, err
}

func (a *api) getTransaction(ctx context.Context, c *call, in transactionPath) (transactionView, error) {
	found, err := a.Payments.Get(ctx, c.Principal.Book, authorization.TransactionID(in.ID))
	if err != nil {
		return transactionView{}, err
	}
	return viewTransaction(&found), nil
}

func (a *api) listChallenges(ctx context.Context, c *call, in challengesQuery) (pages[challengeView], error) {
	problems, page := pageOf(in.PageQuery, issuing.MaxPerPage)
	f := authorization.ChallengeFilter{Book: c.Principal.Book, Realm: c.Principal.Realm, Card: issuing.CardID(in.CardID), Offset: page.Offset, Limit: page.Size}
	f.Status = choice(&problems, "status", in.Status, authorization.ChallengePending, authorization.ChallengeCompleted, authorization.ChallengeExpired)
	if err := problems.Err(); err != nil {
		return pages[challengeView]{}, err
	}
	found, err := a.Payments.ListChallenges(ctx, f)
	out := pages[challengeView]{Data: make([]challengeView, 0, len(found.Challenges)), Pagination: page.Totals(found.Total)}
	for _, ch := range found.Challenges {
		out.Data = append(out.Data, viewChallenge(ch))
	}
	return out, err
}

func (a *api) getChallenge(ctx context.Context, c *call, in challengePath) (challengeView, error) {
	found, err := a.Payments.FindChallenge(ctx, c.Principal.Book, authorization.ChallengeID(in.ID))
	if err != nil {
		return challengeView{}, err
	}
	return viewChallenge(found), nil
}
