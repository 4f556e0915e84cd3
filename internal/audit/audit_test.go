package audit_test

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/testkit"
)

var start = time.Date(2026, 11, 21, 9, 0, 0, 0, time.UTC)

func record(book string, n int) audit.Record {
	return audit.Record{
		Actor: "operator/op_1", Action: "card.block", Subject: fmt.Sprintf("gc_%d", n), Book: book,
		Detail: map[string]string{"reason": "lost", "note": fmt.Sprintf("call %d", n)},
		At:     start.Add(time.Duration(n) * time.Second),
	}
}

func appendAll(t *testing.T, db *storage.DB, records ...audit.Record) {
	t.Helper()
	log := audit.New(db)
	err := db.Write(t.Context(), func(ctx context.Context, tx *storage.Tx) error {
		for _, r := range records {
			if err := log.Append(ctx, tx, r); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// fill appends 1…n to the books "", bk_a and bk_b, several in one transaction.
func fill(t *testing.T, db *storage.DB, n int) {
	t.Helper()
	var records []audit.Record
	for i := 1; i <= n; i++ {
		records = append(records, record("", i), record("bk_a", i), record("bk_b", i))
	}
	appendAll(t, db, records...)
}

func verify(t *testing.T, db *storage.DB) audit.Report {
	t.Helper()
	var report audit.Report
	err := db.Snapshot(t.Context(), func(ctx context.Context, q storage.Queryer) error {
		var err error
		report, err = audit.Verify(ctx, q)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// What was appended is intact, each book a chain of its own; the digest moves with every record.
func TestVerifyIntact(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		if empty := verify(t, db); len(empty.Breaks) > 0 || empty.Records != 0 {
			t.Errorf("empty log: %+v", empty)
		}
		fill(t, db, 5)
		before := verify(t, db)
		if len(before.Breaks) > 0 || before.Chains != 3 || before.Records != 15 {
			t.Errorf("report = %+v", before)
		}
		if again := verify(t, db); again.Digest != before.Digest {
			t.Error("the digest moved though nothing was appended")
		}
		appendAll(t, db, record("bk_b", 6))
		if after := verify(t, db); after.Digest == before.Digest || len(after.Breaks) > 0 {
			t.Errorf("after one more record: %+v", after)
		}
	})
}

// The hash of a record is SHA-256 over the one before it and its fields, each after its length,
// and never another one: what other versions appended is intact to this one.
func TestChainIsForGood(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		appendAll(t, db, record("bk_a", 1), record("bk_a", 2))
		entries, err := audit.New(db).List(t.Context(), audit.Filter{Book: "bk_a"})
		if err != nil || len(entries) != 2 {
			t.Fatal(entries, err)
		}
		for i, want := range []string{
			"1d06da21084e221b8e64523c54efb3a3d2d41ed2d5ce8843b3dd6c32af1421c4",
			"5d505c6441fbea3079466f793add7c2143b7b554d7eb0435e6f20129c196dd9c",
		} {
			if got := hex.EncodeToString(entries[i].Hash[:]); got != want {
				t.Errorf("record %d has the hash %s, want %s", entries[i].Seq, got, want)
			}
		}
	})
}

var (
	tamperNothing = storage.SQL("audit_test.nothing", `UPDATE audit_records SET actor = actor`)
	tampers       = []struct {
		name string
		do   *storage.Statement
		want audit.Break
	}{
		{"actor", storage.SQL("audit_test.actor", `UPDATE audit_records SET actor = 'operator/op_2' WHERE book_id = 'bk_a' AND seq = 2`), audit.Break{Book: "bk_a", Seq: 2}},
		{"action", storage.SQL("audit_test.action", `UPDATE audit_records SET action = 'card.unblock' WHERE book_id = 'bk_a' AND seq = 1`), audit.Break{Book: "bk_a", Seq: 1}},
		{"who and what", storage.SQL("audit_test.edge", `UPDATE audit_records SET actor = actor || 'c', action = 'ard.block' WHERE book_id = 'bk_a' AND seq = 3`), audit.Break{Book: "bk_a", Seq: 3}},
		{"subject", storage.SQL("audit_test.subject", `UPDATE audit_records SET subject = '' WHERE book_id = 'bk_b' AND seq = 4`), audit.Break{Book: "bk_b", Seq: 4}},
		{"detail", storage.SQL("audit_test.detail", `UPDATE audit_records SET detail = '{}' WHERE book_id = '' AND seq = 3`), audit.Break{Book: "", Seq: 3}},
		{"time", storage.SQL("audit_test.time", `UPDATE audit_records SET recorded_at = recorded_at + 1 WHERE book_id = 'bk_a' AND seq = 4`), audit.Break{Book: "bk_a", Seq: 4}},
		{"hash", storage.SQL("audit_test.hash", `UPDATE audit_records SET hash = (SELECT hash FROM audit_records WHERE book_id = 'bk_b' AND seq = 1) WHERE book_id = 'bk_a' AND seq = 2`), audit.Break{Book: "bk_a", Seq: 2}},
		{"number", storage.SQL("audit_test.number", `UPDATE audit_records SET seq = 9 WHERE book_id = 'bk_a' AND seq = 4`), audit.Break{Book: "bk_a", Seq: 4}},
		{"book", storage.SQL("audit_test.book", `UPDATE audit_records SET book_id = 'bk_c' WHERE book_id = 'bk_a'`), audit.Break{Book: "bk_c", Seq: 1}},
		{"first deleted", storage.SQL("audit_test.first", `DELETE FROM audit_records WHERE book_id = 'bk_a' AND seq = 1`), audit.Break{Book: "bk_a", Seq: 1}},
		{"middle deleted", storage.SQL("audit_test.middle", `DELETE FROM audit_records WHERE book_id = 'bk_a' AND seq = 2`), audit.Break{Book: "bk_a", Seq: 2}},
		{"last deleted", storage.SQL("audit_test.last", `DELETE FROM audit_records WHERE book_id = 'bk_b' AND seq = 4`), audit.Break{Book: "bk_b", Seq: 4}},
		{"chain deleted", storage.SQL("audit_test.chain", `DELETE FROM audit_records WHERE book_id = 'bk_b'`), audit.Break{Book: "bk_b", Seq: 1}},
		{"head deleted", storage.SQL("audit_test.head", `DELETE FROM audit_heads WHERE book_id = 'bk_b'`), audit.Break{Book: "bk_b", Seq: 1}},
		{"head moved back", storage.SQL("audit_test.back", `UPDATE audit_heads SET seq = 3, hash = (SELECT hash FROM audit_records WHERE book_id = 'bk_b' AND seq = 3) WHERE book_id = 'bk_b'`), audit.Break{Book: "bk_b", Seq: 4}},
		{"head changed", storage.SQL("audit_test.head_hash", `UPDATE audit_heads SET hash = (SELECT hash FROM audit_records WHERE book_id = 'bk_b' AND seq = 3) WHERE book_id = 'bk_b'`), audit.Break{Book: "bk_b", Seq: 4}},
		{"two swapped", storage.SQL("audit_test.swap", `UPDATE audit_records SET
			actor = (SELECT actor FROM audit_records o WHERE o.book_id = 'bk_a' AND o.seq = 5 - audit_records.seq),
			subject = (SELECT subject FROM audit_records o WHERE o.book_id = 'bk_a' AND o.seq = 5 - audit_records.seq),
			detail = (SELECT detail FROM audit_records o WHERE o.book_id = 'bk_a' AND o.seq = 5 - audit_records.seq),
			recorded_at = (SELECT recorded_at FROM audit_records o WHERE o.book_id = 'bk_a' AND o.seq = 5 - audit_records.seq),
			hash = (SELECT hash FROM audit_records o WHERE o.book_id = 'bk_a' AND o.seq = 5 - audit_records.seq)
			WHERE book_id = 'bk_a' AND seq IN (2, 3)`), audit.Break{Book: "bk_a", Seq: 2}},
	}
)

var errUndo = errors.New("undo")

// Whatever is changed, removed or exchanged in the tables is found at the first record that it touches.
func TestVerifyFindsTampering(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		fill(t, db, 4)
		tamper := func(s *storage.Statement) (found audit.Report) {
			err := db.Write(t.Context(), func(ctx context.Context, tx *storage.Tx) error {
				if n, err := tx.Exec(ctx, s); err != nil || n == 0 {
					return fmt.Errorf("changed %d rows: %w", n, err)
				}
				var err error
				if found, err = audit.Verify(ctx, tx); err != nil {
					return err
				}
				return errUndo
			})
			if !errors.Is(err, errUndo) {
				t.Fatal(err)
			}
			return found
		}
		if report := tamper(tamperNothing); len(report.Breaks) > 0 {
			t.Fatalf("rewriting the same values: %v", report.Breaks)
		}
		for _, c := range tampers {
			report := tamper(c.do)
			if len(report.Breaks) == 0 {
				t.Errorf("%s: not found", c.name)
				continue
			}
			got := report.Breaks[0]
			if got.Book != c.want.Book || got.Seq != c.want.Seq || got.Reason == "" {
				t.Errorf("%s: %s, want record %d of %q", c.name, got, c.want.Seq, c.want.Book)
			}
		}
		if report := verify(t, db); len(report.Breaks) > 0 {
			t.Errorf("afterwards: %v", report.Breaks)
		}
	})
}

// Transactions that append to one book at once wait for each other: no gap, no fork, and an undone one leaves none.
func TestAppendConcurrently(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		log := audit.New(db)
		var group sync.WaitGroup
		for i := 1; i <= 24; i++ {
			group.Go(func() {
				err := db.Write(t.Context(), func(ctx context.Context, tx *storage.Tx) error {
					if err := log.Append(ctx, tx, record("bk_a", i)); err != nil {
						return err
					}
					if err := log.Append(ctx, tx, record("bk_a", i)); err != nil {
						return err
					}
					if i%4 == 0 {
						return errUndo
					}
					return nil
				})
				if (i%4 == 0) != errors.Is(err, errUndo) || (i%4 != 0 && err != nil) {
					t.Errorf("append %d: %v", i, err)
				}
			})
		}
		group.Wait()
		report := verify(t, db)
		if len(report.Breaks) > 0 || report.Records != 36 {
			t.Errorf("report = %+v", report)
		}
	})
}

// A page reads newest first, both ways from a cursor, filtered, in one book or everywhere.
func TestList(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		fill(t, db, 5)
		log := audit.New(db)
		list := func(f audit.Filter) (seqs []string, entries []audit.Entry) {
			t.Helper()
			entries, err := log.List(t.Context(), f)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range entries {
				seqs = append(seqs, fmt.Sprintf("%s%d", e.Book, e.Seq))
			}
			return seqs, entries
		}
		check := func(f audit.Filter, want ...string) []audit.Entry {
			t.Helper()
			got, entries := list(f)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%+v: -want +got\n%s", f, diff)
			}
			return entries
		}
		page := check(audit.Filter{Book: "bk_a", Limit: 2}, "bk_a5", "bk_a4")
		if diff := cmp.Diff(record("bk_a", 5), page[0].Record); diff != "" {
			t.Errorf("record: -want +got\n%s", diff)
		}
		page = check(audit.Filter{Book: "bk_a", Limit: 2, Before: page[1].Cursor()}, "bk_a3", "bk_a2")
		check(audit.Filter{Book: "bk_a", Limit: 2, Before: page[1].Cursor()}, "bk_a1")
		check(audit.Filter{Book: "bk_a", Limit: 1, After: page[0].Cursor()}, "bk_a4")
		check(audit.Filter{Book: "bk_a", After: page[0].Cursor()}, "bk_a5", "bk_a4")
		check(audit.Filter{Limit: 1}, "5")
		check(audit.Filter{Book: "bk_a", Subject: "gc_2"}, "bk_a2")
		check(audit.Filter{Book: "bk_a", Actor: "operator/op_9"})
		check(audit.Filter{Book: "bk_a", Action: "card.block", Limit: 1}, "bk_a5")
		page = check(audit.Filter{Everywhere: true, Limit: 4}, "bk_b5", "bk_a5", "5", "bk_b4")
		check(audit.Filter{Everywhere: true, Limit: 2, Before: page[3].Cursor()}, "bk_a4", "4")
		check(audit.Filter{Everywhere: true, Limit: 2, After: page[3].Cursor()}, "bk_a5", "5")
		for _, bad := range []audit.Filter{
			{Before: "?"}, {Before: "eA"}, {Before: page[0].Cursor()}, {Everywhere: true, Before: page[0].Cursor(), After: page[1].Cursor()},
			{Book: page[0].Book, Before: page[0].Cursor() + "?"}, {Everywhere: true, Before: cursor("1.0.")}, {Everywhere: true, Before: cursor("x.1.")},
			{Everywhere: true, Before: cursor("1.x.")}, {Everywhere: true, Before: cursor("1.1")},
		} {
			if _, err := log.List(t.Context(), bad); fault.CodeOf(err) != fault.InvalidCursor {
				t.Errorf("%+v: %v", bad, err)
			}
		}
	})
}

func cursor(text string) audit.Cursor {
	return audit.Cursor(base64.RawURLEncoding.EncodeToString([]byte(text)))
}

// A search for few among many looks at so many records at a time, and finds all in the end.
func TestSearch(t *testing.T) {
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		fill(t, db, 5)
		log := audit.New(db)
		for _, c := range []struct {
			f    audit.Filter
			want string // on each page how many, and whether it goes on
		}{
			{audit.Filter{Book: "bk_a", Subject: "gc_2", Look: 2}, "[0 true 1 true 0 false]"},
			{audit.Filter{Book: "bk_a", Actor: "operator/op_9", Look: 5}, "[0 true 0 false]"},
			{audit.Filter{Book: "bk_a", Action: "card.none"}, "[0 false]"},
			{audit.Filter{Book: "bk_a", Look: 1}, "[5 false]"},
			{audit.Filter{Book: "bk_a", Action: "card.block", Limit: 2, Look: 3}, "[2 false]"},
			{audit.Filter{Everywhere: true, Subject: "gc_2", Look: 3}, "[0 true 0 true 0 true 3 true 0 true 0 false]"},
		} {
			got := []string{}
			for f, more := c.f, audit.Cursor("?"); more != "" && len(got) < 10; f.Before = more {
				var found []audit.Entry
				var err error
				if found, more, err = log.Search(t.Context(), f); err != nil {
					t.Fatal(err)
				}
				got = append(got, fmt.Sprint(len(found), more != ""))
			}
			if fmt.Sprint(got) != c.want {
				t.Errorf("%+v: %v, want %s", c.f, got, c.want)
			}
		}
	})
}

// What is too long, is not text or looks like a secret is refused without repeating it.
func TestAppendRefuses(t *testing.T) {
	long := strings.Repeat("x", 600)
	many := map[string]string{}
	for i := range 17 {
		many[fmt.Sprintf("d%d", i)] = "x"
	}
	bad := map[string]func(*audit.Record){
		"no actor":      func(r *audit.Record) { r.Actor = "" },
		"no action":     func(r *audit.Record) { r.Action = "" },
		"action form":   func(r *audit.Record) { r.Action = "Card Block" },
		"no time":       func(r *audit.Record) { r.At = time.Time{} },
		"long actor":    func(r *audit.Record) { r.Actor = long[:201] },
		"long action":   func(r *audit.Record) { r.Action = long[:65] },
		"long subject":  func(r *audit.Record) { r.Subject = long[:201] },
		"long value":    func(r *audit.Record) { r.Detail = map[string]string{"note": long[:513]} },
		"long name":     func(r *audit.Record) { r.Detail = map[string]string{long[:65]: "x"} },
		"many details":  func(r *audit.Record) { r.Detail = many },
		"not text":      func(r *audit.Record) { r.Subject = "a\xff" },
		"escape":        func(r *audit.Record) { r.Detail = map[string]string{"note": "a\x1b[2J"} },
		"turned around": func(r *audit.Record) { r.Actor = "op/\u202enna" },
		"null byte":     func(r *audit.Record) { r.Subject = "a\x00" },
		"secret name":   func(r *audit.Record) { r.Detail = map[string]string{"pin": "1"} },
		"PAN":           func(r *audit.Record) { r.Detail = map[string]string{"note": "card 4111 1111 1111 1111."} },
		"PAN dashes":    func(r *audit.Record) { r.Subject = "6006-4913-0000-0011" },
		"PAN and date":  func(r *audit.Record) { r.Subject = "41111111111111110427" + "1" },
		"digits alone":  func(r *audit.Record) { r.Subject = strings.Repeat("4111111111111111", 4) },
		"in hex alone":  func(r *audit.Record) { r.Subject = "0x" + "4111111111111111" + strings.Repeat("1", 24) },
		"in more hex":   func(r *audit.Record) { r.Subject = "0xa4111111111111111b" + strings.Repeat("0f", 12) },
		"beside digest": func(r *audit.Record) { r.Subject = strings.Repeat("0f", 32) + " 4111111111111111" },
		"API key":       func(r *audit.Record) { r.Actor = "cp_live_sk_9aBc9aBc" },
		"key of dashes": func(r *audit.Record) { r.Actor = "cp_test_sk_a-_b9aBc" },
		"another's key": func(r *audit.Record) { r.Subject = "sk_live_-4eC39HqLyjW" },
		"operator key":  func(r *audit.Record) { r.Actor = "op_" + strings.Repeat("aZ09_-", 8) },
		"signing":       func(r *audit.Record) { r.Subject = "ms_" + strings.Repeat("aZ09_", 8) },
		"gift card":     func(r *audit.Record) { r.Detail = map[string]string{"note": "lost GC1234567890123452."} },
		"in small":      func(r *audit.Record) { r.Detail = map[string]string{"note": "lost gc8070605040302010."} },
		"in groups":     func(r *audit.Record) { r.Detail = map[string]string{"note": "GC12-3456-7890-1234-52"} },
		"gift card key": func(r *audit.Record) {
			r.Detail = map[string]string{"note": "she has KEY_0123456789abcdef0123456789abcdef"}
		},
		"URL": func(r *audit.Record) {
			r.Detail = map[string]string{"reference": "see https://ada:hush@bank.example/4711"}
		},
		"webhook":       func(r *audit.Record) { r.Subject = "whsec_0123456789" },
		"PEM":           func(r *audit.Record) { r.Subject = "-----BEGIN EC PRIVATE KEY-----" },
		"bearer":        func(r *audit.Record) { r.Subject = "Authorization: Bearer abcdefghijk" },
		"wallet seed":   func(r *audit.Record) { r.Subject = "seed c4f4-6e88-036c-761c" },
		"JSON token":    func(r *audit.Record) { r.Subject = "eyJhbGciOiJI.eyJzdWIiOiIx.c2ln" },
		"extended key":  func(r *audit.Record) { r.Subject = "xprv9s21ZrQH143K3QTDL4LXw2F" },
		"book too long": func(r *audit.Record) { r.Book = long },
	}
	good := map[string]func(*audit.Record){
		"micros":     func(r *audit.Record) { r.Detail = map[string]string{"at": "1795251600000000"} },
		"date":       func(r *audit.Record) { r.Subject = "2026-11-21 09:00:00.123456" },
		"not Luhn":   func(r *audit.Record) { r.Subject = "4111111111111112" },
		"masked PAN": func(r *audit.Record) { r.Subject = "411111******1111" },
		"port":       func(r *audit.Record) { r.Subject = "https://bank.example:8443/a@b" },
		"UUID":       func(r *audit.Record) { r.Subject = "019aa6f0-12ab-7c3d-8e4f-0123456789ab" },
		"txid":       func(r *audit.Record) { r.Subject = strings.Repeat("0f1e2d3c", 8) },
		"digest": func(r *audit.Record) {
			r.Detail = map[string]string{"sha256": "a4111111111111111b" + strings.Repeat("0f", 23)}
		},
		"digits in a UUID": func(r *audit.Record) {
			r.Subject = "4111111a-1111-4111-9111-411111111111"
			r.Detail = map[string]string{"card": "a9aa6f0b-4111-1111-1111-1111aaaaaaaa"}
		},
		"on a chain": func(r *audit.Record) { r.Subject = "0xA4111111111111111B" + strings.Repeat("0f", 11) },
		"address": func(r *audit.Record) {
			r.Detail = map[string]string{"from": "192.0.2.10", "range": "10.0.0.0-10.0.0.255"}
		},
		"ids": func(r *audit.Record) {
			r.Actor, r.Subject = "key_01m7yqwt92e81v2cwcx6nn5pgh", "gc_01m7yqwt92e81v2cwcx6nn5pgh"
			r.Detail = map[string]string{"note": "KEY_FILE of opr_01m7yqwt92e81v2cwcx6nn5pgh, shop_" + strings.Repeat("a", 40)}
		},
		"no details": func(r *audit.Record) { r.Detail = nil },
		"at its bounds": func(r *audit.Record) {
			r.Actor, r.Action, r.Subject, r.Detail = long[:200], long[:64], long[:200], map[string]string{}
			for i := range 16 {
				r.Detail[fmt.Sprintf("%02d", i)+long[:62]] = long[:512]
			}
		},
	}
	testkit.EachEngine(t, func(t *testing.T, db *storage.DB) {
		log := audit.New(db)
		try := func(change func(*audit.Record)) (audit.Record, error) {
			r := record("bk_a", 1)
			change(&r)
			return r, db.Write(t.Context(), func(ctx context.Context, tx *storage.Tx) error { return log.Append(ctx, tx, r) })
		}
		for name, change := range bad {
			r, err := try(change)
			if err == nil {
				t.Errorf("%s: accepted", name)
				continue
			}
			for _, text := range []string{r.Subject, r.Actor, r.Detail["note"]} {
				if len(text) > 12 && r.Subject != "gc_1" && strings.Contains(err.Error(), text) {
					t.Errorf("%s: the error repeats the text: %v", name, err)
				}
			}
		}
		for name, change := range good {
			if _, err := try(change); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		if report := verify(t, db); len(report.Breaks) > 0 || report.Records != int64(len(good)) {
			t.Errorf("report = %+v", report)
		}
	})
}

// Nothing in the package can change or remove a record.
func TestNoStatementChangesRecords(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	words := regexp.MustCompile(`(?i)\b(UPDATE|DELETE|TRUNCATE|REPLACE)\s+(FROM\s+|INTO\s+|TABLE\s+)?(audit_\w+|SET)|Upsert\("[^"]*", "audit_records"`)
	read := 0
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		read++
		if found := words.Find(text); found != nil {
			t.Errorf("%s: %s", name, found)
		}
	}
	if read == 0 {
		t.Error("no source file was read")
	}
}
