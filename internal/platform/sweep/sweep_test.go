package sweep

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scripcards/scrip/internal/core/realm"
)

// rows are what is due in the test realm: numbers in their order, some of which wait or break.
type rows struct {
	mu     sync.Mutex
	due    []int
	waits  map[int]bool
	broken map[int]bool
	down   bool
	pages  []string
}

func (s *rows) read(_ context.Context, r realm.Realm, after, most int) ([]int, error) {
	if s.down {
		return nil, errors.New("the database is down")
	}
	if r != realm.Test {
		return nil, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var page []int
	for _, row := range s.due {
		if row > after && len(page) < most {
			page = append(page, row)
		}
	}
	s.pages = append(s.pages, fmt.Sprint(page))
	return page, nil
}

func (s *rows) end(_ context.Context, _ realm.Realm, row int) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.broken[row] {
		return false, fmt.Errorf("row %d is broken", row)
	}
	if s.waits[row] {
		return false, nil
	}
	s.due = slices.DeleteFunc(s.due, func(other int) bool { return other == row })
	return true, nil
}

// Every row that is due is ended, page by page; what waits or breaks keeps no other from it.
func TestRun(t *testing.T) {
	s := &rows{due: []int{1, 2, 3, 4, 5}, waits: map[int]bool{2: true}, broken: map[int]bool{1: true}}
	sweep := Sweep[int]{Page: 2, AtOnce: 2, Due: s.read, End: s.end}
	n, err := sweep.Run(t.Context())
	if n != 3 || err == nil || err.Error() != "row 1 is broken" {
		t.Errorf("ended %d rows: %v", n, err)
	}
	if diff := cmp.Diff([]string{"[1 2]", "[3 4]", "[5]"}, s.pages); diff != "" {
		t.Errorf("pages (-want +got):\n%s", diff)
	}
	s.pages, s.broken = nil, nil
	if n, err := sweep.Run(t.Context()); n != 1 || err != nil {
		t.Errorf("ended %d rows: %v", n, err)
	}
	if diff := cmp.Diff([]string{"[1 2]", "[]"}, s.pages); diff != "" {
		t.Errorf("pages of the second run (-want +got):\n%s", diff)
	}
}

// A run that found more than its pages hold is gone on with by the next, and one that
// cannot read begins where it was.
func TestRunGoesOn(t *testing.T) {
	s := &rows{waits: map[int]bool{}}
	for row := range 2*pages + 1 {
		s.due = append(s.due, row+1)
		s.waits[row+1] = true
	}
	sweep := Sweep[int]{Page: 1, AtOnce: 1, Due: s.read, End: s.end}
	for range 2 {
		if n, err := sweep.Run(t.Context()); n != 0 || err != nil {
			t.Errorf("ended %d rows: %v", n, err)
		}
		s.down = true
		if _, err := sweep.Run(t.Context()); err == nil {
			t.Error("a run without a database has no error")
		}
		s.down = false
	}
	last := len(s.pages) - 1
	if len(s.pages) != 2*pages || s.pages[0] != "[1]" || s.pages[last] != fmt.Sprint([]int{2 * pages}) {
		t.Errorf("pages %v", s.pages)
	}
}
