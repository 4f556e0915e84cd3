package gather

import (
	"context"
	"time"
)

// Row is what is found under a key, if anything is.
type Row[V any] struct {
	Value V
	Found bool
}

// Rows returns a Gather of look-ups that find one row at the most, such as a card by its id.
// find returns the rows that there are of some keys, in any order and perhaps twice; of says
// under which key a row is. Who asks for the same row gets a copy of its own.
func Rows[K comparable, V any](limit time.Duration, find func(ctx context.Context, keys []K) ([]V, error), of func(*V) K) *Gather[K, Row[V]] {
	return New(limit, func(ctx context.Context, keys []K) ([]Row[V], error) {
		found, err := find(ctx, keys)
		if err != nil {
			return nil, err
		}
		byKey := make(map[K]*V, len(found))
		for i := range found {
			byKey[of(&found[i])] = &found[i]
		}
		rows := make([]Row[V], len(keys))
		for i, key := range keys {
			if v := byKey[key]; v != nil {
				rows[i] = Row[V]{*v, true}
			}
		}
		return rows, nil
	})
}
