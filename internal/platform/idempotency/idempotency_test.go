package idempotency

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/testkit"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func entry(key, request, answer string) Entry {
	return Entry{
		Scope:       Scope{Book: "bk_1", Name: "order.place", Key: key},
		Fingerprint: Fingerprint([]byte("POST"), []byte(request)),
		Answer:      Answer{Status: 201, Body: []byte(answer)},
		At:          noon, TTL: 24 * time.Hour,
	}
}

func keep(db *storage.DB, entries ...Entry) error {
	return db.Write(context.Background(), func(ctx context.Context, tx *storage.Tx) error {
		var effects []storage.Effect
		for _, e := range entries {
			effects = append(effects, e.Effect())
		}
		return tx.Apply(ctx, effects)
	})
}

// The same request gets the same bytes again, another one is refused, and books, names and keys are apart.
func TestFind(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		ctx := context.Background()
		e := entry("k1", "a", "{\"id\": 1}\n\x00\xff")
		if _, found, err := Find(ctx, db, e.Scope, e.Fingerprint); found || err != nil {
			t.Fatal(found, err)
		}
		empty := entry("k2", "a", "")
		empty.Answer.Body, empty.Answer.Status = nil, 204
		if err := keep(db, e, empty); err != nil {
			t.Fatal(err)
		}
		got, found, err := Find(ctx, db, e.Scope, e.Fingerprint)
		if err != nil || !found || got.Status != 201 || !bytes.Equal(got.Body, e.Answer.Body) || !got.At.Equal(noon) {
			t.Errorf("again: %+v %v %v", got, found, err)
		}
		got, found, err = Find(ctx, db, empty.Scope, empty.Fingerprint)
		if err != nil || !found || got.Status != 204 || len(got.Body) != 0 {
			t.Errorf("again: %+v %v %v", got, found, err)
		}
		_, found, err = Find(ctx, db, e.Scope, entry("k1", "b", "").Fingerprint)
		if f := fault.From(err); found || f.Code != fault.IdempotencyConflict || f.Field != "idempotency_key" {
			t.Errorf("another request: %v %v", found, err)
		}
		for _, s := range []Scope{{"bk_2", "order.place", "k1"}, {"bk_1", "order.cancel", "k1"}, {"bk_1", "order.place", "k"}} {
			if _, found, err := Find(ctx, db, s, e.Fingerprint); found || err != nil {
				t.Errorf("%+v: %v %v", s, found, err)
			}
		}
	})
}

// Of many requests with one key at once, one acts and all get its answer; with another request, none does.
func TestConcurrentDuplicates(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		ctx := context.Background()
		var mu sync.Mutex
		var group sync.WaitGroup
		acted, answers := 0, map[string]int{}
		for i := range 20 {
			group.Go(func() {
				e := entry("k", "a", fmt.Sprint("answer of ", i))
				answer, replayed, err := Resolve(ctx, db, e, keep(db, e))
				mu.Lock()
				defer mu.Unlock()
				switch {
				case err != nil:
					t.Error(err)
				case replayed:
					answers[string(answer.Body)]++
				default:
					acted++
					answers[string(e.Answer.Body)]++
				}
			})
		}
		group.Wait()
		if acted != 1 || len(answers) != 1 {
			t.Errorf("%d acted, answers %v", acted, answers)
		}
		other := entry("k", "b", "")
		if _, replayed, err := Resolve(ctx, db, other, keep(db, other)); replayed || fault.CodeOf(err) != fault.IdempotencyConflict {
			t.Errorf("another request: %v %v", replayed, err)
		}
	})
}

// An error that is not about this key comes back as it is.
func TestResolveOther(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		ctx := context.Background()
		refused := errors.New("refused")
		if _, replayed, err := Resolve(ctx, db, entry("k", "a", ""), refused); replayed || !errors.Is(err, refused) {
			t.Errorf("%v %v", replayed, err)
		}
		if _, replayed, err := Resolve(ctx, db, entry("k", "a", ""), nil); replayed || err != nil {
			t.Errorf("%v %v", replayed, err)
		}
		if err := keep(db, entry("k1", "a", "")); err != nil {
			t.Fatal(err)
		}
		twice := keep(db, entry("k1", "a", ""))
		if _, replayed, err := Resolve(ctx, db, entry("k2", "a", ""), twice); replayed || !errors.Is(err, twice) {
			t.Errorf("another key's: %v %v", replayed, err)
		}
	})
}

// A key has 1 to 255 printable bytes; the table refuses what is out of bounds in an answer.
func TestLimits(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		ctx := context.Background()
		for key, ok := range map[string]bool{
			"": false, "a": true, strings.Repeat("k", 255): true, strings.Repeat("k", 256): false, strings.Repeat("é", 127): true, strings.Repeat("é", 128): false,
			"with space": true, "tab\t": false, "nul\x00": false, "bad\xff": false, "ключ-7": true,
		} {
			_, _, err := Find(ctx, db, Scope{Book: "bk_1", Name: "n", Key: key}, Fingerprint())
			if (err == nil) != ok || (err != nil && fault.CodeOf(err) != fault.InvalidRequest) {
				t.Errorf("key %.20q: %v", key, err)
			}
		}
		if err := (Scope{Key: "k"}).Validate(); err == nil {
			t.Error("a scope without a name was accepted")
		}
		for name, change := range map[string]func(*Entry){
			"fingerprint": func(e *Entry) { e.Fingerprint = []byte("short") },
			"status":      func(e *Entry) { e.Answer.Status = 0 },
			"body":        func(e *Entry) { e.Answer.Body = make([]byte, MaxBody+1) },
			"ttl":         func(e *Entry) { e.TTL = 0 },
			"key":         func(e *Entry) { e.Key = "" },
		} {
			e := entry("bad", "a", "")
			change(&e)
			if err := keep(db, e); err == nil || storage.IsUnique(err) {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

// Purge takes what is over its time and nothing else.
func TestPurge(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		ctx := context.Background()
		const many = 10
		var entries []Entry
		for i := range many {
			entries = append(entries, entry(fmt.Sprint(i), "a", ""))
		}
		long := entry("long", "a", "")
		long.TTL += time.Microsecond
		if err := keep(db, append(entries, long)...); err != nil {
			t.Fatal(err)
		}
		if n, err := Purge(ctx, db, noon.Add(24*time.Hour)); n != 0 || err != nil {
			t.Errorf("too early: %d, %v", n, err)
		}
		if n, err := Purge(ctx, db, noon.Add(24*time.Hour+time.Microsecond)); n != many || err != nil {
			t.Errorf("%d, %v; want %d", n, err, many)
		}
		if _, found, err := Find(ctx, db, long.Scope, long.Fingerprint); !found || err != nil {
			t.Error(found, err)
		}
	})
}

// Parts of a fingerprint do not run into each other.
func TestFingerprint(t *testing.T) {
	seen := map[string]bool{}
	for _, parts := range [][]string{{}, {""}, {"ab"}, {"a", "b"}, {"", "ab"}, {"ab", ""}, {"1:a"}, {"a1:b"}} {
		var raw [][]byte
		for _, p := range parts {
			raw = append(raw, []byte(p))
		}
		f := Fingerprint(raw...)
		if len(f) != 32 || seen[string(f)] {
			t.Errorf("%q: %x", parts, f)
		}
		seen[string(f)] = true
	}
}
