package cryptocardy

import (
	"context"
	"net/http"

	"github.com/scripcards/scrip/internal/account"
	"github.com/scripcards/scrip/internal/api/wire"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/id"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/issuing"
)

func (a *api) cardRoutes(s *surface) {
	const all, one = "/cards", "/cards/{card_id}"
	wire.Handle(s, limited(creating("cards.create", all), perCreation), a.createCard)
	wire.Handle(s, get("cards.list", all), a.listCards)
	wire.Handle(s, get("cards.get", one), a.getCard)
	wire.Handle(s, limited(get("cards.details", one+"/details"), perDetails), a.details)
	wire.Handle(s, changing("cards.update", http.MethodPatch, one), a.changeCard)
	wire.Handle(s, changing("cards.freeze", http.MethodPost, one+"/freeze"), a.freeze)
	wire.Handle(s, changing("cards.unfreeze", http.MethodPost, one+"/unfreeze"), a.unfreeze)
	wire.Handle(s, changing("cards.terminate", http.MethodDelete, one), a.terminate)
	wire.Handle(s, changing("cards.fund", http.MethodPost, one+"/fund"), a.fund)
	wire.Handle(s, changing("cards.withdraw", http.MethodPost, one+"/withdraw"), a.withdraw)
	wire.Handle(s, get("bins.list", "/bins"), a.bins)
}

// generator is the actor of what GET /v1/api/ makes.
const generator = "cryptocardy"

// generate makes a seed for a customer whom nobody knows, and with it a card and an
// address to fund. Should a later step fail, an empty customer stays that nobody can reach.
func (a *api) generate(ctx context.Context, c *call, in generateQuery) (generated, error) {
	if !a.Cards.Programme.IssuingOn {
		return generated{}, fault.New(fault.FeatureDisabled, issuingIsOff)
	}
	network, err := networkOf(in.Card)
	if err != nil {
		return generated{}, err
	}
	paid, err := a.assetOf(in.Asset)
	if err != nil {
		return generated{}, err
	}
	if err := a.Cards.MayPreview(ctx, network); err != nil {
		return generated{}, err
	}
	made, err := a.Accounts.CreateSeed(ctx, generator, account.NewSeed{Realm: a.Realm})
	if err != nil {
		return generated{}, err
	}
	where, err := a.addressOf(ctx, made.Book, paid)
	if err != nil {
		return generated{}, err
	}
	issued, err := a.Cards.Preview(ctx, issuing.Holder{Book: made.Book, Realm: made.Realm, Actor: string(made.ID)}, network, nil)
	if err != nil {
		return generated{}, err
	}
	return generated{Success: true, RequestID: c.RequestID, Seed: made.Secret.Reveal(), Card: viewPreview(issued),
		Wallet: fundingWallet{Asset: string(paid), Address: where}, CreatedAt: wire.TimeOffset(a.Clocks.Now(a.Realm).UTC())}, nil
}

// cardID reads the id of a path.
func cardID(text string) (issuing.CardID, error) {
	if !id.Valid("card", text) {
		return "", unknown("card")
	}
	return issuing.CardID(text), nil
}

func (a *api) createCard(ctx context.Context, c *call, in newCard) (card, error) {
	n, err := in.read()
	if err != nil {
		return card{}, err
	}
	view, err := once(ctx, &made[issuing.Card, card]{a, c, viewCard}, func(keep also[issuing.Card]) (issuing.Card, error) {
		n.Also = keep
		return a.Cards.Issue(ctx, holder(c), n)
	})
	return view, short(err, walletTooLow)
}

func (a *api) listCards(ctx context.Context, c *call, in cardsQuery) (pages[cardLine], error) {
	page, f, err := in.filter(holder(c))
	if err != nil {
		return pages[cardLine]{}, err
	}
	found, err := a.Cards.List(ctx, f)
	out := pages[cardLine]{Data: make([]cardLine, 0, len(found.Cards)), Pagination: page.Totals(found.Total)}
	for i := range found.Cards {
		out.Data = append(out.Data, viewLine(&found.Cards[i]))
	}
	return out, err
}

func (a *api) getCard(ctx context.Context, c *call, in cardPath) (card, error) {
	which, err := cardID(in.ID)
	if err != nil {
		return card{}, err
	}
	found, err := a.Cards.Get(ctx, holder(c), which)
	if err != nil {
		return card{}, err
	}
	return viewCard(found), nil
}

func (a *api) details(ctx context.Context, c *call, in cardPath) (details, error) {
	which, err := cardID(in.ID)
	if err != nil {
		return details{}, err
	}
	found, err := a.Cards.Details(ctx, holder(c), which)
	if err != nil {
		return details{}, err
	}
	return viewDetails(found), nil
}

func (a *api) changeCard(ctx context.Context, c *call, in cardChange) (card, error) {
	if _, err := cardID(in.ID); err != nil {
		return card{}, err
	}
	ch, err := in.read()
	if err != nil {
		return card{}, err
	}
	return once(ctx, &made[issuing.Card, card]{a, c, viewCard}, func(keep also[issuing.Card]) (issuing.Card, error) {
		ch.Also = keep
		return a.Cards.Change(ctx, holder(c), ch)
	})
}

func (a *api) freeze(ctx context.Context, c *call, in cardPath) (frozen, error) {
	which, err := cardID(in.ID)
	if err != nil {
		return frozen{}, err
	}
	return once(ctx, &made[issuing.Card, frozen]{a, c, viewFrozen}, func(keep also[issuing.Card]) (issuing.Card, error) {
		return a.Cards.Freeze(ctx, holder(c), issuing.Step{Card: which, Also: keep})
	})
}

func (a *api) unfreeze(ctx context.Context, c *call, in cardPath) (card, error) {
	which, err := cardID(in.ID)
	if err != nil {
		return card{}, err
	}
	return once(ctx, &made[issuing.Card, card]{a, c, viewCard}, func(keep also[issuing.Card]) (issuing.Card, error) {
		return a.Cards.Unfreeze(ctx, holder(c), issuing.Step{Card: which, Also: keep})
	})
}

func (a *api) terminate(ctx context.Context, c *call, in cardPath) (terminated, error) {
	which, err := cardID(in.ID)
	if err != nil {
		return terminated{}, err
	}
	return once(ctx, &made[issuing.Ended, terminated]{a, c, viewTerminated}, func(keep also[issuing.Ended]) (issuing.Ended, error) {
		return a.Cards.Terminate(ctx, holder(c), issuing.Ending{Card: which, Also: keep})
	})
}

// read is the transfer that a request asks for.
func (in *transfer) read() (issuing.Transfer, error) {
	which, err := cardID(in.ID)
	if err != nil {
		return issuing.Transfer{}, err
	}
	amount, err := amountIn("amount", in.Amount)
	return issuing.Transfer{Card: which, Amount: amount}, err
}

func (a *api) fund(ctx context.Context, c *call, in transfer) (funded, error) {
	t, err := in.read()
	if err != nil {
		return funded{}, err
	}
	view, err := once(ctx, &made[issuing.Moved, funded]{a, c, viewFunded}, func(keep also[issuing.Moved]) (issuing.Moved, error) {
		t.Also = keep
		return a.Cards.Fund(ctx, holder(c), t)
	})
	return view, short(err, walletTooLow)
}

func (a *api) withdraw(ctx context.Context, c *call, in transfer) (withdrawn, error) {
	t, err := in.read()
	if err != nil {
		return withdrawn{}, err
	}
	view, err := once(ctx, &made[issuing.Moved, withdrawn]{a, c, viewWithdrawn}, func(keep also[issuing.Moved]) (issuing.Moved, error) {
		t.Also = keep
		return a.Cards.Withdraw(ctx, holder(c), t)
	})
	return view, short(err, cardTooLow)
}

// bins shows what new cards can be made of.
func (a *api) bins(ctx context.Context, _ *call, _ wire.None) (list[binView], error) {
	all, err := a.Cards.BINs(ctx)
	out := list[binView]{Data: make([]binView, 0, len(all))}
	for i := range all {
		if all[i].Active && all[i].Currency == dollars {
			out.Data = append(out.Data, viewBIN(&all[i]))
		}
	}
	return out, err
}

// sandbox refuses what is for the test realm alone.
func sandbox(c *call) error {
	if c.Principal.Realm != realm.Test {
		return fault.New(fault.FeatureDisabled, notInLive)
	}
	return nil
}
