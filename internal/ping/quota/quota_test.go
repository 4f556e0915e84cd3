package quota_test

import (
	"errors"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/ping/quota"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/testkit"
)

const book = ledger.BookID("bk_desk")

var began = time.Date(2026, 11, 30, 23, 0, 0, 0, time.UTC)

func each(t *testing.T, test func(t *testing.T, s *quota.Service, base *clock.Manual)) {
	t.Helper()
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		base := clock.NewManual(began)
		test(t, quota.New(quota.Deps{DB: db, Audit: audit.New(db), Clocks: clock.NewRealms(base), Standard: 100}), base)
	})
}

func (b bound) check(t *testing.T, s *quota.Service) {
	t.Helper()
	if checks, bounded := s.Of(book); (bound{checks, bounded}) != b {
		t.Errorf("%d, bounded: %t; want %+v", checks, bounded, b)
	}
}

type bound struct {
	checks  int64
	bounded bool
}

// A figure within its bounds is set, audited and known; one beyond them changes nothing, and
// neither does one with which something else cannot be written.
func TestChange(t *testing.T) {
	each(t, func(t *testing.T, s *quota.Service, base *clock.Manual) {
		for _, checks := range []int64{-1, quota.Max + 1} {
			_, err := s.Change(t.Context(), quota.Change{Book: book, Checks: &checks, Actor: "op/1"})
			if f := fault.From(err); f.Code != fault.InvalidRequest || f.Field != "checks_per_month" {
				t.Errorf("%d: %v", checks, err)
			}
		}
		torn := errors.New("torn")
		_, err := s.Change(t.Context(), quota.Change{Book: book, Checks: new(int64(7)), Actor: "op/1", Also: func(q quota.Quota) ([]storage.Effect, error) {
			if q.Checks != 7 {
				t.Errorf("told of %+v", q)
			}
			return nil, torn
		}})
		if !errors.Is(err, torn) {
			t.Errorf("torn: %v", err)
		}
		bound{100, true}.check(t, s)
		if found, err := s.Find(t.Context(), book); err != nil || found.Own || found.Checks != 100 || found.Period != "2026-11" || !found.EndsAt.Equal(began.Add(time.Hour)) {
			t.Errorf("found %+v, %v", found, err)
		}
		for _, checks := range []int64{0, 7, 7, quota.Max} {
			after, err := s.Change(t.Context(), quota.Change{Book: book, Checks: &checks, Actor: "op/1"})
			if err != nil || !after.Own || after.Checks != checks {
				t.Errorf("%d: %+v, %v", checks, after, err)
			}
			bound{checks, true}.check(t, s)
		}
		base.Advance(time.Hour)
		if found, err := s.Find(t.Context(), book); err != nil || found.Period != "2026-12" || found.Used != 0 {
			t.Errorf("next month %+v, %v", found, err)
		}
		entries, err := s.Audit.List(t.Context(), audit.Filter{Book: string(book)})
		if err != nil || len(entries) != 3 || entries[1].Action != "ping.quota" || entries[1].Detail["checks_per_month"] != "7" || entries[1].Actor != "op/1" {
			t.Errorf("audit %+v, %v", entries, err)
		}
	})
}

// Another process knows a figure, and that there is none any more, once it looked.
func TestRefresh(t *testing.T) {
	each(t, func(t *testing.T, s *quota.Service, base *clock.Manual) {
		other := quota.New(s.Deps)
		for _, checks := range []*int64{new(int64(7)), nil, new(int64(0))} {
			base.Advance(time.Minute)
			since := storage.Micros(base.Now())
			if _, err := s.Change(t.Context(), quota.Change{Book: book, Checks: checks, Actor: "op/1"}); err != nil {
				t.Fatal(err)
			}
			if err := other.Refresh(t.Context(), since); err != nil {
				t.Fatal(err)
			}
			want := bound{100, true}
			if checks != nil {
				want.checks = *checks
			}
			want.check(t, s)
			want.check(t, other)
		}
		late := quota.New(s.Deps)
		if err := late.Refresh(t.Context(), storage.Micros(base.Now().Add(time.Second))); err != nil {
			t.Fatal(err)
		}
		bound{100, true}.check(t, late)
		if err := late.Refresh(t.Context(), 0); err != nil {
			t.Fatal(err)
		}
		bound{0, true}.check(t, late)
	})
}
