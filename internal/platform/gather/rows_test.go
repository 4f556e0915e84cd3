package gather_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/platform/gather"
	"github.com/scripcards/scrip/internal/testkit/crowd"
)

type person struct{ id, name string }

// Everybody gets the row under the own key, or hears that there is none; rows may come in any
// order, and more than once.
func TestRows(t *testing.T) {
	there := map[string]string{"a": "Ann", "b": "Bob", "c": "Cem"}
	find := func(_ context.Context, keys []string) (found []person, err error) {
		for i := range keys {
			id := keys[len(keys)-1-i]
			if name, ok := there[id]; ok {
				found = append(found, person{id, name}, person{id, name})
			}
		}
		return found, nil
	}
	rows := gather.Rows(time.Minute, find, func(p *person) string { return p.id })
	keys := []string{"a", "nobody", "b", "a", "c", ""}
	crowd.AtOnce(len(keys), func(i int) {
		got, err := rows.Ask(t.Context(), keys[i])
		if want, ok := there[keys[i]]; err != nil || got.Found != ok || got.Value.name != want {
			t.Errorf("under %q there is %+v, %v", keys[i], got, err)
		}
	})
	away := errors.New("away")
	failing := gather.Rows(time.Minute, func(context.Context, []string) ([]person, error) { return nil, away }, func(p *person) string { return p.id })
	if got, err := failing.Ask(t.Context(), "a"); !errors.Is(err, away) || got.Found {
		t.Errorf("found %+v, %v", got, err)
	}
}
