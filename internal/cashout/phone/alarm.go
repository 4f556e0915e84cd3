package phone

import (
	"context"

	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/limit"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// Traffic is what went to one country on one day.
type Traffic struct {
	Day, Country   string
	Sent, Verified int64
	// Alarmed: too few of the codes were entered, and somebody was told.
	Alarmed bool
}

// mostTraffic bounds a list: there are fewer countries.
const mostTraffic = 300

// Today lists what went to each country on the present day, most first.
func (s *Service) Today(ctx context.Context, book ledger.BookID, r realm.Realm) ([]Traffic, error) {
	return storage.All(ctx, s.DB, scanTraffic, listTraffic, string(book), limit.Day(s.Clocks.Now(r)), mostTraffic)
}

// Watch looks for countries to which codes are sent that nobody enters, as those do who earn
// by messages, and says so once a day and country. It returns those it found.
func (s *Service) Watch(ctx context.Context, book ledger.BookID, r realm.Realm) ([]Traffic, error) {
	policy := s.lines[r].Policy
	all, err := s.Today(ctx, book, r)
	if err != nil {
		return nil, err
	}
	var found []Traffic
	for _, t := range all {
		if t.Alarmed || t.Sent < policy.AlarmFrom || t.Verified*100 >= t.Sent*policy.AlarmBelow {
			continue
		}
		var first int64
		err := s.DB.Write(ctx, func(ctx context.Context, tx *storage.Tx) (err error) {
			first, err = tx.Exec(ctx, markAlarmed, string(book), t.Day, t.Country)
			return err
		})
		if err != nil {
			return found, err
		}
		if first == 1 {
			t.Alarmed = true
			found = append(found, t)
			s.Logger.ErrorContext(ctx, "few of the codes sent are entered: is somebody pumping messages?", "realm", string(r), "country", t.Country,
				"sent", t.Sent, "verified", t.Verified)
		}
	}
	return found, nil
}
