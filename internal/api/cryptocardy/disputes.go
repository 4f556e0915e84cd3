package cryptocardy

import (
	"context"

	"github.com/scripcards/scrip/internal/api/wire"
	"github.com/scripcards/scrip/internal/issuing/authorization"
	"github.com/scripcards/scrip/internal/issuing/dispute"
)

func (a *api) disputeRoutes(s *surface) {
	wire.Handle(s, creating("disputes.create", "/disputes"), a.openDispute)
	wire.Handle(s, get("disputes.list", "/disputes"), a.listDisputes)
	wire.Handle(s, get("disputes.get", "/disputes/{dispute_id}"), a.getDispute)
}

func viewDispute(d dispute.Dispute) disputeView {
	return disputeView{ID: string(d.ID), AuthorizationID: string(d.Payment), CardID: string(d.Card), Reason: string(d.Reason), Note: d.Note,
		Amount: wire.Major(d.Amount), Refunded: wire.Major(d.Refunded), Currency: d.Amount.Currency.String(), Credited: d.Credited, Status: string(d.State),
		Decision: d.Decision, Evidence: int64(d.Evidence), DueAt: moments(d.DueAt), CreatedAt: wire.TimeSecond(d.CreatedAt)}
}

func (a *api) openDispute(ctx context.Context, c *call, in newDispute) (disputeView, error) {
	amount, err := part("amount", in.Amount)
	if err != nil {
		return disputeView{}, err
	}
	o := dispute.Opening{Holder: holder(c), Transaction: authorization.TransactionID(in.TransactionID), Reason: dispute.Reason(in.Reason), Note: in.Note, Text: in.Evidence}
	if amount != nil {
		o.Amount = *amount
	}
	return once(ctx, &made[dispute.Dispute, disputeView]{a, c, viewDispute}, func(keep also[dispute.Dispute]) (dispute.Dispute, error) {
		o.Also = keep
		return a.Disputes.Open(ctx, o)
	})
}

// listDisputes lists the seed's disputes, the newest first, as many as a page has.
func (a *api) listDisputes(ctx context.Context, c *call, in disputesQuery) (list[disputeView], error) {
	var problems wire.Problems
	f := dispute.Filter{Book: c.Principal.Book, Before: dispute.ID(in.Before), Limit: dispute.MaxPage}
	f.State = choice(&problems, "status", in.Status, dispute.States()...)
	if err := problems.Err(); err != nil {
		return list[disputeView]{}, err
	}
	found, err := a.Disputes.List(ctx, f)
	out := list[disputeView]{Data: make([]disputeView, 0, len(found))}
	for _, d := range found {
		out.Data = append(out.Data, viewDispute(d))
	}
	return out, err
}

func (a *api) getDispute(ctx context.Context, c *call, in disputePath) (disputeView, error) {
	found, err := a.Disputes.Find(ctx, c.Principal.Book, dispute.ID(in.ID))
	if err != nil {
		return disputeView{}, err
	}
	return viewDispute(found), nil
}
