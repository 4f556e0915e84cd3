package storage

import (
	"slices"
	"testing"
)

// Parents come before children, otherwise by name; a circle and a table that names itself are refused.
func TestSortTables(t *testing.T) {
	sorted, err := sortTables([]Table{{Name: "a", parents: []string{"c"}}, {Name: "b"}, {Name: "c", parents: []string{"b", "d"}}, {Name: "d"}, {Name: "e"}})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, table := range sorted {
		names = append(names, table.Name)
	}
	if !slices.Equal(names, []string{"b", "d", "c", "a", "e"}) {
		t.Errorf("sorted to %v", names)
	}
	for _, circle := range [][]Table{
		{{Name: "a", parents: []string{"a"}}},
		{{Name: "a", parents: []string{"b"}}, {Name: "b", parents: []string{"a"}}},
		{{Name: "a", parents: []string{"gone"}}},
	} {
		if _, err := sortTables(circle); err == nil {
			t.Errorf("%v was sorted", circle)
		}
	}
}
