package issuing

import (
	"context"
	"time"

	"github.com/scripcards/scrip/internal/api/operator/desk"
	"github.com/scripcards/scrip/internal/api/wire"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/issuing/authorization/decision"
)

// deciderView is whom a book wants asked about payments that the rules allow.
type deciderView struct {
	BookID     string `json:"book_id"`
	URL        string `json:"url"`
	DeadlineMS int64  `json:"deadline_ms"`
	// Otherwise is what happens without an answer in time.
	Otherwise string `json:"otherwise"`
	// Secret is shown by the call that made or changed it.
	Secret    string          `json:"secret,omitzero"`
	ChangedAt wire.TimeMillis `json:"changed_at"`
}

func viewDecider(d decision.Decider) deciderView {
	return deciderView{BookID: string(d.Book), URL: d.URL, DeadlineMS: d.Deadline.Milliseconds(), Otherwise: string(d.Otherwise), ChangedAt: desk.At(d.ChangedAt)}
}

func viewSaved(s decision.Saved) deciderView {
	view := viewDecider(s.Decider)
	view.Secret = s.Secret.Reveal()
	return view
}

type deciderChange struct {
	bookPath
	URL        string     `json:"url" wire:"required,max=2048"`
	DeadlineMS int64      `json:"deadline_ms"`
	Otherwise  string     `json:"otherwise"`
	Secret     pan.Secret `json:"secret"`
}

// maxDeadlineMS keeps what is asked for within what a duration holds.
const maxDeadlineMS = int64(time.Hour / time.Millisecond)

func (a *api) putDecider(ctx context.Context, c *call, in deciderChange) (deciderView, error) {
	owner, err := a.desk.Owner(ctx, in.BookID)
	if err != nil {
		return deciderView{}, err
	}
	deadline := time.Duration(min(max(in.DeadlineMS, -1), maxDeadlineMS)) * time.Millisecond
	saved, err := a.Deciders.Put(ctx, decision.Put{Secret: in.Secret, Actor: desk.Actor(c), Also: desk.Storing(a.desk, c, viewSaved),
		Decider: decision.Decider{Book: owner.Book, URL: in.URL, Deadline: deadline, Otherwise: decision.Otherwise(in.Otherwise)}})
	return viewSaved(saved), a.desk.Raced(ctx, c, err)
}

func (a *api) getDecider(ctx context.Context, _ *call, in bookPath) (deciderView, error) {
	owner, err := a.desk.Owner(ctx, in.BookID)
	if err != nil {
		return deciderView{}, err
	}
	found, err := a.Deciders.Find(ctx, owner.Book)
	return viewDecider(found), err
}

func (a *api) removeDecider(ctx context.Context, c *call, in bookPath) (wire.None, error) {
	owner, err := a.desk.Owner(ctx, in.BookID)
	if err != nil {
		return wire.None{}, err
	}
	return wire.None{}, a.Deciders.Delete(ctx, owner.Book, desk.Actor(c))
}
