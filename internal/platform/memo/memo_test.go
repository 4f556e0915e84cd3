package memo_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/platform/memo"
)

var began = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

var errAway = errors.New("the database is away")

// source is what is looked up, and how often it was.
type source struct {
	*memo.Memo[string]
	t     *testing.T
	truth map[string]string
	loads int
	err   error
}

func newSource(t *testing.T) *source {
	config := memo.Config{Present: 64, Absent: 32, Fresh: time.Second, Life: 2 * time.Second}
	return &source{Memo: memo.New[string](config), t: t, truth: map[string]string{}}
}

func key(name string) memo.Key { return sha256.Sum256([]byte(name)) }

// find looks name up at a time after the beginning.
func (s *source) find(name string, after time.Duration) (string, bool, error) {
	query := memo.Query{Key: key(name), Now: began.Add(after)}
	return s.Find(s.t.Context(), query, func(context.Context) (string, bool, error) {
		s.loads++
		value, ok := s.truth[name]
		return value, ok, s.err
	})
}

// want checks the answer and that it took a number of look-ups.
func (s *source) want(name string, after time.Duration, value string, loads int) {
	s.t.Helper()
	before := s.loads
	got, ok, err := s.find(name, after)
	if got != value || ok != (value != "") || err != nil || s.loads-before != loads {
		s.t.Errorf("%s after %s: %q, %t, %v with %d look-ups; want %q with %d", name, after, got, ok, err, s.loads-before, value, loads)
	}
}

// An answer is used while it is fresh, looked up by one caller when it is stale, and by every caller after its life.
func TestLife(t *testing.T) {
	s := newSource(t)
	s.truth["a"] = "one"
	s.want("a", 0, "one", 1)
	s.want("a", 999*time.Millisecond, "one", 0)
	s.truth["a"] = "two"
	s.want("a", 999*time.Millisecond, "one", 0)
	s.want("a", time.Second, "two", 1)
	s.want("a", 1999*time.Millisecond, "two", 0)
	s.truth["a"] = "three"
	s.want("a", 3*time.Second, "three", 1)
	s.want("b", 0, "", 1)
	s.want("b", 500*time.Millisecond, "", 0)
	s.truth["b"] = "one"
	s.want("b", time.Second, "one", 1)
	delete(s.truth, "b")
	s.want("b", 2*time.Second, "", 1)
	s.want("b", 2*time.Second, "", 0)
}

// Of callers at once that find a stale answer, one looks again; the others are not kept waiting.
func TestOneLooksAgain(t *testing.T) {
	s := newSource(t)
	s.truth["a"] = "one"
	s.want("a", 0, "one", 1)
	query := memo.Query{Key: key("a"), Now: began.Add(time.Second)}
	inside, leave := make(chan struct{}), make(chan struct{})
	var group sync.WaitGroup
	group.Go(func() {
		got, ok, err := s.Find(t.Context(), query, func(context.Context) (string, bool, error) {
			close(inside)
			<-leave
			return "two", true, nil
		})
		if got != "two" || !ok || err != nil {
			t.Errorf("who looked again got %q, %t, %v", got, ok, err)
		}
	})
	<-inside
	for range 3 {
		s.want("a", 1500*time.Millisecond, "one", 0)
	}
	close(leave)
	group.Wait()
	s.want("a", 1500*time.Millisecond, "two", 0)
}

// An error is not remembered, and an answer that lives outlasts it.
func TestErrors(t *testing.T) {
	s := newSource(t)
	s.err = errAway
	for range 2 {
		if _, ok, err := s.find("a", 0); ok || !errors.Is(err, errAway) {
			t.Errorf("found %t, %v", ok, err)
		}
	}
	s.err, s.truth["a"] = nil, "one"
	s.want("a", 0, "one", 1)
	s.err = errAway
	s.want("a", time.Second, "one", 1)
	s.want("a", 1999*time.Millisecond, "one", 0)
	if _, _, err := s.find("a", 2*time.Second); !errors.Is(err, errAway) {
		t.Errorf("a dead answer was used: %v", err)
	}
}

// After a look that failed, or never came back, the next one is not put off until the answer's life is over.
func TestLooksAgainAfterError(t *testing.T) {
	s := newSource(t)
	s.Memo = memo.New[string](memo.Config{Present: 64, Absent: 32, Fresh: time.Second, Life: time.Hour})
	s.truth["a"] = "one"
	s.want("a", 0, "one", 1)
	s.err = errAway
	s.want("a", time.Second, "one", 1)
	s.want("a", 1999*time.Millisecond, "one", 0)
	s.want("a", 2*time.Second, "one", 1)
	s.err, s.truth["a"] = nil, "two"
	s.want("a", 3*time.Second, "two", 1)
	s.want("b", 0, "", 1)
	s.err = errAway
	if _, ok, err := s.find("b", time.Second); ok || !errors.Is(err, errAway) {
		t.Errorf("found %t, %v", ok, err)
	}
	s.want("b", 1999*time.Millisecond, "", 0)
	s.err, s.truth["b"] = nil, "one"
	s.want("b", 2*time.Second, "one", 1)
}

// Forget drops what matches and every absence, and keeps an answer out that was being looked up.
func TestForget(t *testing.T) {
	s := newSource(t)
	s.truth["a"], s.truth["b"] = "one", "two"
	s.want("a", 0, "one", 1)
	s.want("b", 0, "two", 1)
	s.want("c", 0, "", 1)
	s.Forget(func(value string) bool { return value == "one" })
	s.want("a", 0, "one", 1)
	s.want("b", 0, "two", 0)
	s.want("c", 0, "", 1)
	_, _, err := s.Find(t.Context(), memo.Query{Key: key("d"), Now: began}, func(context.Context) (string, bool, error) {
		s.Forget(func(string) bool { return false }) // a change was made while this was read
		return "old", true, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	s.truth["d"] = "new"
	s.want("d", 0, "new", 1)
}

// After Drop neither what was remembered under the key nor what was being looked up under
// it is returned; what stands under other keys stays.
func TestDrop(t *testing.T) {
	s := newSource(t)
	s.truth["a"], s.truth["b"] = "one", "two"
	s.want("a", 0, "one", 1)
	s.want("b", 0, "two", 1)
	s.want("c", 0, "", 1)
	s.truth["a"], s.truth["c"] = "new", "there"
	s.Drop(key("a"))
	s.Drop(key("c"))
	s.want("a", 0, "new", 1)
	s.want("b", 0, "two", 0)
	s.want("c", 0, "there", 1)
	old, _, err := s.Find(t.Context(), memo.Query{Key: key("d"), Now: began}, func(context.Context) (string, bool, error) {
		s.truth["d"] = "changed"
		s.Drop(key("d"))
		return "read before", true, nil
	})
	if old != "read before" || err != nil {
		t.Errorf("%q, %v", old, err)
	}
	s.want("d", 0, "changed", 1)
}

// Memory is bounded, the last used stay, and absences do not push answers out.
func TestBounds(t *testing.T) {
	s := newSource(t)
	s.truth["kept"] = "one"
	s.want("kept", 0, "one", 1)
	for i := range 1_000 {
		s.want(fmt.Sprintf("absent%d", i), 0, "", 1)
	}
	s.want("kept", 0, "one", 0)
	for i := range 1_000 {
		name := fmt.Sprintf("present%d", i)
		s.truth[name] = name
		s.want(name, 0, name, 1)
		s.want("kept", 0, "one", 0)
	}
	if present, absent := s.Len(); present > 64 || absent > 32 || present < 32 {
		t.Errorf("%d answers and %d absences are held", present, absent)
	}
}

// A clock that goes back does not make an answer immortal.
func TestClockGoesBack(t *testing.T) {
	s := newSource(t)
	s.truth["a"] = "one"
	s.want("a", time.Hour, "one", 1)
	s.want("a", time.Hour-time.Millisecond, "one", 0)
	s.truth["a"] = "two"
	s.want("a", 0, "two", 1)
}

// Many goroutines look up, forget and push each other out; an answer is always the key's own.
func TestConcurrency(t *testing.T) {
	m := memo.New[string](memo.Config{Present: 32, Absent: 32, Fresh: time.Second, Life: 2 * time.Second})
	var group sync.WaitGroup
	for worker := range 8 {
		group.Go(func() {
			for i := range 2_000 {
				name := fmt.Sprintf("key%d", (i*7+worker)%100)
				query := memo.Query{Key: key(name), Now: began.Add(time.Duration(i) * time.Millisecond)}
				got, ok, err := m.Find(t.Context(), query, func(context.Context) (string, bool, error) { return name, i%3 > 0, nil })
				if err != nil || ok && got != name {
					t.Errorf("%s gave %q, %v", name, got, err)
				}
				if i%100 == worker {
					m.Forget(func(value string) bool { return value == name })
				}
			}
		})
	}
	group.Wait()
	if present, absent := m.Len(); present > 32 || absent > 32 {
		t.Errorf("%d answers and %d absences are held", present, absent)
	}
}
