package shell_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/scripcards/scrip/internal/cli/shell"
)

// A list is read a page after another, to its end or as far as was asked for, and no further.
func TestPages(t *testing.T) {
	for _, c := range []struct {
		there, limit, size int
		asked              []int
	}{
		{0, 10, 4, []int{4}},
		{3, 10, 4, []int{4}},
		{9, 10, 4, []int{4, 4, 2}},
		{9, 8, 4, []int{4, 4}},
		{9, 3, 4, []int{3}},
	} {
		var asked []int
		rows, err := shell.Pages(c.limit, c.size, func(limit int, last *int) ([]int, error) {
			asked = append(asked, limit)
			from := 0
			if last != nil {
				from = *last + 1
			}
			var page []int
			for n := from; n < min(from+limit, c.there); n++ {
				page = append(page, n)
			}
			return page, nil
		})
		if err != nil || !slices.Equal(asked, c.asked) || len(rows) != min(c.there, c.limit) {
			t.Errorf("%+v: %d rows, asked for %v, %v", c, len(rows), asked, err)
		}
		for n, row := range rows {
			if row != n {
				t.Errorf("%+v: row %d is %d", c, n, row)
			}
		}
	}
	failed := errors.New("failed")
	if _, err := shell.Pages(5, 5, func(int, *int) ([]int, error) { return nil, failed }); !errors.Is(err, failed) {
		t.Error(err)
	}
	for _, limit := range []int{-1, 0, 10_001} {
		if _, err := shell.Pages(limit, 5, func(int, *int) ([]int, error) { return nil, nil }); err == nil {
			t.Errorf("limit %d is taken", limit)
		}
	}
}
