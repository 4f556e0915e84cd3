package operator

import (
	"context"
	"net/http"
	"strings"

	"github.com/scripcards/scrip/internal/api/wire"
	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/platform/job"
	"github.com/scripcards/scrip/internal/platform/storage"
)

func (a *api) jobRoutes(s *surface) {
	const one = "/jobs/{job_id}"
	wire.Handle(s, get("jobs.list", "/jobs"), a.listJobs)
	wire.Handle(s, get("jobs.get", one), a.getJob)
	retry := post("jobs.retry", one+"/retry", administer)
	retry.Status = http.StatusNoContent
	wire.Handle(s, once(retry), a.retryJob)
	wire.Handle(s, once(remove("jobs.delete", one)), a.deleteJob)
}

type jobView struct {
	JobID  string `json:"job_id"`
	BookID string `json:"book_id,omitzero"`
	Realm  string `json:"realm"`
	Kind   string `json:"kind"`
	// Subject is what the work is about, such as a payout or an endpoint.
	Subject  string          `json:"subject,omitzero"`
	Attempts int             `json:"attempts"`
	Error    string          `json:"error"`
	DiedAt   wire.TimeMillis `json:"died_at"`
}

func viewJob(d job.Dead) jobView {
	return jobView{JobID: d.ID, BookID: d.Book, Realm: string(d.Realm), Kind: d.Kind, Subject: d.Unique, Attempts: d.Attempts,
		Error: audit.Clean(strings.Join(strings.Fields(d.LastError), " ")), DiedAt: at(d.DiedAt)}
}

// betweenKeys separates a book and a job in the place after which a list goes on.
const betweenKeys = "/"

// listJobs lists work that was given up, in the order of books.
func (a *api) listJobs(ctx context.Context, _ *call, in struct{ wire.CursorQuery }) (wire.Listing[jobView], error) {
	s, err := a.span(in.CursorQuery, "jobs")
	if err != nil {
		return wire.Listing[jobView]{}, err
	}
	book, last, _ := strings.Cut(s.after, betweenKeys)
	found, err := job.ListDead(ctx, a.DB, job.Key{Book: book, ID: last}, s.limit+1)
	found, next := cut(found, s, func(d job.Dead) string { return d.Book + betweenKeys + d.ID })
	list := page(found, viewJob)
	list.NextCursor = a.more(s, next)
	return list, err
}

type jobPath struct {
	JobID string `path:"job_id" json:"-"`
}

func (a *api) dead(ctx context.Context, in jobPath) (job.Dead, error) {
	if err := known("job", "job", in.JobID); err != nil {
		return job.Dead{}, err
	}
	return job.FindDead(ctx, a.DB, in.JobID)
}

func (a *api) getJob(ctx context.Context, _ *call, in jobPath) (jobView, error) {
	found, err := a.dead(ctx, in)
	return viewJob(found), err
}

// jobChange is what is done to work that was given up.
type jobChange struct {
	action string // for the audit log
	do     func(context.Context, *storage.Tx, job.Key) error
}

func (a *api) retryJob(ctx context.Context, c *call, in jobPath) (wire.None, error) {
	err := a.changeJob(ctx, c, in, jobChange{"job.retry", job.RetryDead})
	if err == nil {
		a.Jobs.Wake()
	}
	return wire.None{}, err
}

func (a *api) deleteJob(ctx context.Context, c *call, in jobPath) (wire.None, error) {
	return wire.None{}, a.changeJob(ctx, c, in, jobChange{"job.delete", job.DeleteDead})
}

// changeJob does so, with its record in the audit log and the answer of the call.
func (a *api) changeJob(ctx context.Context, c *call, in jobPath, change jobChange) error {
	found, err := a.dead(ctx, in)
	if err != nil {
		return a.raced(ctx, c, err)
	}
	answer, err := a.desk.Kept(c, wire.None{})
	if err != nil {
		return err
	}
	err = a.DB.Write(ctx, func(ctx context.Context, tx *storage.Tx) error {
		if err := change.do(ctx, tx, found.Key); err != nil {
			return err
		}
		if err := tx.Apply(ctx, answer); err != nil {
			return err
		}
		return a.Audit.Append(ctx, tx, audit.Record{Actor: actor(c), Action: change.action, Subject: found.ID, Book: found.Book,
			Detail: map[string]string{"kind": found.Kind}, At: a.Clocks.Now(realm.Live)})
	})
	return a.raced(ctx, c, err)
}
