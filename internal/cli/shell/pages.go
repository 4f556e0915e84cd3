package shell

import "fmt"

// mostRows bounds the rows of a list that a command shows.
const mostRows = 10_000

// Pages reads the first limit rows of a list, or all where there are fewer, in pages of size
// rows. What read is given is how many rows to return, and the last row before them: nil at first.
func Pages[T any](limit, size int, read func(limit int, last *T) ([]T, error)) ([]T, error) {
	if limit < 1 || limit > mostRows {
		return nil, fmt.Errorf("limit %d: want 1 to %d", limit, mostRows)
	}
	var rows []T
	var last *T
	for len(rows) < limit {
		wanted := min(limit-len(rows), size)
		page, err := read(wanted, last)
		if err != nil {
			return nil, err
		}
		if rows = append(rows, page...); len(page) < wanted {
			break
		}
		last = &rows[len(rows)-1]
	}
	return rows, nil
}
