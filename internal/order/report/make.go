package report

import (
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/webhook"
)

const (
	// settled is how long after a day its report is made: what was posted at its end is on disk.
	settled = 15 * time.Minute
	// backlog is how many days are made up for that nobody made a report of.
	backlog      = 7
	system       = "system"
	eventDiffers = "report.differs"
)

// Make makes the report of a day and keeps it, in place of an earlier one. It tells the
// operator of differences. It returns invalid_state for a day that is not over.
func (s *Service) Make(ctx context.Context, r realm.Realm, day Day) (Report, error) {
	begin, err := day.start()
	if err != nil {
		return Report{}, fault.Wrap(err, fault.InvalidRequest, "want a day such as 2026-11-27").At("day")
	}
	if now := s.Clocks.Now(r); now.Before(begin.AddDate(0, 0, 1)) {
		return Report{}, fault.New(fault.InvalidState, "the day %s is not over in the %s realm", day, r).At("day")
	}
	var made Report
	err = s.DB.Snapshot(ctx, func(ctx context.Context, q storage.Queryer) (err error) {
		made, err = reconcile(ctx, q, r, day)
		return err
	})
	if err != nil {
		return Report{}, err
	}
	made.MadeAt = s.Clocks.Now(r)
	err = s.DB.Write(ctx, func(ctx context.Context, tx *storage.Tx) error { return s.keep(ctx, tx, &made) })
	if err == nil && made.Found > 0 {
		s.differences.Add(made.Found)
		s.Logger.ErrorContext(ctx, "orders, codes and postings differ", "realm", string(r), "day", string(day), "differences", made.Found,
			"first", made.Differences[0].String())
	}
	return made, err
}

// keep writes a report within tx, and the audit record that tells of differences.
func (s *Service) keep(ctx context.Context, tx *storage.Tx, r *Report) error {
	for _, statement := range []*storage.Statement{deleteDifferences, deleteRows, deleteDay} {
		if _, err := tx.Exec(ctx, statement, string(r.Realm), string(r.Day)); err != nil {
			return err
		}
	}
	if err := tx.Apply(ctx, r.effects()); err != nil || r.Found == 0 {
		return err
	}
	data := &webhook.Data{}
	data.Text("day", string(r.Day)).Int("differences", r.Found).Text("first", audit.Clean(r.Differences[0].String()))
	if err := tx.Apply(ctx, s.Outbox.Operators(webhook.Event{Realm: r.Realm, Type: eventDiffers, Data: data.JSON(), At: r.MadeAt})); err != nil {
		return err
	}
	return s.Audit.Append(ctx, tx, audit.Record{Actor: system, Action: "report.differs", Subject: string(r.Realm) + "/" + string(r.Day), At: r.MadeAt,
		Detail: map[string]string{"differences": strconv.FormatInt(r.Found, 10), "first": audit.Clean(r.Differences[0].String())}})
}

// String says what differs, in one line.
func (d Difference) String() string {
	text := string(d.Kind)
	if d.Book != "" {
		text += " of " + string(d.Book)
	}
	if d.Order != 0 {
		text += "/" + strconv.FormatInt(int64(d.Order), 10)
	}
	if d.Subject != "" {
		text += ", " + d.Subject
	}
	if d.Want != "" || d.Got != "" {
		text += ": " + d.Got + ", not " + d.Want
	}
	return text
}

// MakeDue makes the reports of the days that are over and have none, a week back at most
// and never of days before the first report but the last one. It is run from time to time.
func (s *Service) MakeDue(ctx context.Context) error {
	for _, r := range realm.All() {
		days, err := s.due(ctx, r)
		if err != nil {
			return err
		}
		for _, day := range days {
			if _, err := s.Make(ctx, r, day); err != nil {
				return err
			}
		}
	}
	return nil
}

// due returns the days to make reports of, the first first. One that somebody asked for
// before its turn keeps none of the days before it from being made up for.
func (s *Service) due(ctx context.Context, r realm.Realm) ([]Day, error) {
	first, found, err := storage.One(ctx, s.DB, storage.Scalar[string], firstDay, string(r))
	if err != nil {
		return nil, err
	}
	over := s.Clocks.Now(r).Add(-settled)
	oldest := DayOf(over.AddDate(0, 0, -backlog))
	made, err := storage.All(ctx, s.DB, storage.Scalar[string], daysSince, string(r), string(oldest))
	if err != nil {
		return nil, err
	}
	var days []Day
	for back := backlog; back >= 1; back-- {
		day := DayOf(over.AddDate(0, 0, -back))
		if found && string(day) > first && !slices.Contains(made, string(day)) || !found && back == 1 {
			days = append(days, day)
		}
	}
	return days, nil
}

// Find returns the report of a day that was made; not_found without one.
func (s *Service) Find(ctx context.Context, r realm.Realm, day Day) (Report, error) {
	var found Report
	err := s.DB.Snapshot(ctx, func(ctx context.Context, q storage.Queryer) (err error) {
		var ok bool
		if found, ok, err = storage.One(ctx, q, scanDay, findDay, string(r), string(day)); err != nil {
			return err
		}
		if !ok {
			return fault.New(fault.NotFound, "there is no report of %s in the %s realm", day, r).At("day")
		}
		if found.Rows, err = storage.All(ctx, q, scanRow, listRows, string(r), string(day)); err != nil {
			return err
		}
		found.Differences, err = storage.All(ctx, q, scanDifference, listDifferences, string(r), string(day))
		return err
	})
	return found, err
}
