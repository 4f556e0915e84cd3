package lite

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"modernc.org/libc"
)

// known is what a cache was asked for: its pages by number, and which are in use.
type known struct {
	t     *testing.T
	tls   *libc.TLS
	cache *cache
	pages map[uint32]*page
	inUse map[uint32]bool
}

// A cache finds what was put in and nothing else, forgets only what nobody uses, and keeps
// no more than it may, whatever it is asked in whatever order.
func TestCacheKeepsPages(t *testing.T) {
	tls := libc.NewTLS()
	defer tls.Close()
	for seed := range uint64(8) {
		r := rand.New(rand.NewPCG(seed, 8))
		k := &known{t: t, tls: tls, cache: cacheAt(newCache(tls, 512, 40, 1)), pages: map[uint32]*page{}, inUse: map[uint32]bool{}}
		k.cache.resize(tls, 64)
		for range 6000 {
			k.step(r)
			k.compare()
		}
		k.cache.destroy(tls)
	}
}

// step does one thing that an engine may.
func (k *known) step(r *rand.Rand) {
	number := uint32(1 + r.IntN(300))
	switch r.IntN(20) {
	default:
		k.fetch(number, int32(r.IntN(3)))
	case 8, 9, 10, 11, 12, 13, 14, 15, 16:
		for n := range k.inUse {
			delete(k.inUse, n)
			k.cache.unpin(k.tls, k.pages[n], r.IntN(8) == 0)
			break
		}
	case 17:
		if k.inUse[number] {
			k.renumber(number, 1000+uint32(r.IntN(3)))
		}
		for far := range uint32(3) { // and back, mostly
			if k.inUse[1000+far] && r.IntN(3) > 0 {
				k.renumber(1000+far, number)
			}
		}
	case 18:
		if r.IntN(20) == 0 {
			k.cache.truncate(k.tls, number)
			maps.DeleteFunc(k.pages, func(n uint32, _ *page) bool { return n >= number })
			maps.DeleteFunc(k.inUse, func(n uint32, _ bool) bool { return n >= number })
		}
	case 19:
		if r.IntN(50) == 0 {
			k.cache.resize(k.tls, 20+r.IntN(100))
		}
	}
}

// renumber gives a page in use another number, if there is no page with that.
func (k *known) renumber(from, to uint32) {
	if k.there()[to] != nil {
		return
	}
	p := k.pages[from]
	k.cache.renumber(p, to)
	delete(k.pages, from)
	delete(k.inUse, from)
	k.pages[to], k.inUse[to] = p, true
	*contentOf(p) = byte(to)
}

func contentOf(p *page) *byte { return (*byte)(memoryAt(p.content)) }

func (k *known) fetch(number uint32, make int32) {
	k.t.Helper()
	had, there := k.pages[number], k.there()[number] != nil
	p := k.cache.fetch(k.tls, number, make)
	switch {
	case there && p != had:
		k.t.Fatalf("page %d is %p, was %p", number, p, had)
	case p == nil && make == 2:
		k.t.Fatalf("no page %d was made", number)
	case p != nil && !there && make == 0:
		k.t.Fatalf("page %d was made", number)
	case p == nil:
		return
	case !there && *pointerAt(p.extra) != 0:
		k.t.Fatalf("page %d is new and does not look so", number)
	}
	if there && *contentOf(p) != byte(number) {
		k.t.Fatalf("page %d has another's content", number)
	}
	*contentOf(p), *pointerAt(p.extra) = byte(number), 1
	k.pages[number], k.inUse[number] = p, true
}

// there is what the cache has.
func (k *known) there() map[uint32]*page {
	k.t.Helper()
	there := map[uint32]*page{}
	for _, first := range k.cache.table() {
		for p := first; p != nil; p = p.next {
			if there[p.number] != nil {
				k.t.Fatalf("page %d is there twice", p.number)
			}
			there[p.number] = p
		}
	}
	return there
}

// compare finds what the cache lost, made up or miscounted, and forgets what it may forget.
func (k *known) compare() {
	k.t.Helper()
	there, c := k.there(), k.cache
	for number, p := range there {
		if k.pages[number] != p || p.pinned != k.inUse[number] {
			k.t.Fatalf("page %d is %p, in use %t, want %p, %t", number, p, p.pinned, k.pages[number], k.inUse[number])
		}
	}
	for number := range k.inUse {
		if there[number] == nil {
			k.t.Fatalf("page %d is in use and gone", number)
		}
	}
	maps.DeleteFunc(k.pages, func(number uint32, _ *page) bool { return there[number] == nil })
	for number := range there {
		if number > c.top || number != c.top && number > c.next || c.next > c.top {
			k.t.Fatalf("page %d is beyond %d and %d", number, c.top, c.next)
		}
	}
	if c.count != len(there) || c.pinned != len(k.inUse) || c.count > max(c.most, c.pinned) {
		k.t.Fatalf("%d pages are counted and %d in use, want %d and %d, of %d", c.count, c.pinned, len(there), len(k.inUse), c.most)
	}
}

// A database that is larger than the cache, and transactions that are, are read back whole:
// what was changed and did not fit was written, and what was forgotten is read again.
func TestCacheIsTooSmall(t *testing.T) {
	c, err := Open(filepath.Join(t.TempDir(), "db"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	run := func(text string, args ...any) {
		t.Helper()
		if _, err := c.Exec(text, args); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
	}
	run("PRAGMA journal_mode = WAL")
	run("PRAGMA cache_size = 20")
	run("CREATE TABLE t (id INTEGER PRIMARY KEY, text TEXT NOT NULL)")
	run("CREATE INDEX t_by_text ON t (text)")
	for round, end := range []string{"COMMIT", "ROLLBACK", "COMMIT"} {
		run("BEGIN")
		for i := range 2000 {
			run("INSERT INTO t (id, text) VALUES ($1, $2)", int64(round*2000+i), fmt.Sprintf("%0200d", 7*i%2000))
		}
		run("DELETE FROM t WHERE id % 5 = 0")
		run(end)
	}
	run("VACUUM")
	rows, err := c.Query("SELECT COUNT(*), COUNT(DISTINCT text) FROM t WHERE text IN (SELECT text FROM t)", nil)
	if err != nil {
		t.Fatal(err)
	}
	var all, texts int64
	if !rows.Next() {
		t.Fatal("no row")
	}
	if err := rows.Scan(&all, &texts); err != nil || all != 3200 || texts != 1600 {
		t.Errorf("%d rows of %d texts (%v), want 3200 of 1600", all, texts, err)
	}
	if err := rows.Close(); err != nil {
		t.Fatal(err)
	}
	rows, err = c.Query("PRAGMA integrity_check", nil)
	if err != nil {
		t.Fatal(err)
	}
	var said string
	if !rows.Next() || rows.Scan(&said) != nil || said != "ok" {
		t.Errorf("the database is %q", said)
	}
	_ = rows.Close()
}
