// Package audit owns the record of who did what: operators, customers' keys and
// the program itself.
//
// A record is appended in the transaction of the change it tells about, so one
// never exists without the other. The records of a book are numbered without
// gaps and chained by hashes; records that concern no customer are in the
// installation's own book, named "". Verify finds any change, gap or missing end.
// Whoever can rewrite the whole database can also rewrite a chain: keep the
// Digest of a report elsewhere to notice that.
//
// It must never change or remove a record, and it refuses to keep what looks
// like a card number, a key or another secret.
package audit

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"time"

	"github.com/scripcards/scrip/internal/platform/storage"
)

// Record is one thing that was done.
type Record struct {
	// Actor did it: "operator/…", "key/…" or "system". At most 200 bytes.
	Actor string
	// Action names it in dotted lower case, such as "webhook.create". At most 64 bytes.
	Action string
	// Subject is the id of what it was done to; may be empty. At most 200 bytes.
	Subject string
	// Book is the customer's book it belongs to; "" is the installation's own.
	Book string
	// Detail is what else to know: at most 16 names of at most 64 bytes, with
	// values of at most 512.
	Detail map[string]string
	// At is when, in the realm's time.
	At time.Time
}

// Entry is a record in its place.
type Entry struct {
	Record
	// Seq counts the records of the book from 1.
	Seq int64
	// Hash covers this record and, through the hash before it, all earlier ones of the book.
	Hash [sha256.Size]byte
}

// Log is the audit log. It is safe for concurrent use.
type Log struct{ db *storage.DB }

// New returns the log in db.
func New(db *storage.DB) *Log { return &Log{db: db} }

// Append adds r at the end of its book's chain within tx, which keeps the book's
// chain locked until it ends. It returns an error, and nothing is stored, when r
// is too long, is not text, or holds what looks like a secret. The error does not
// repeat the offending text.
func (l *Log) Append(ctx context.Context, tx *storage.Tx, r Record) error {
	if err := r.validate(); err != nil {
		return fmt.Errorf("audit %s: %w", r.Action, err)
	}
	detail, err := encodeDetail(r.Detail)
	if err != nil {
		return fmt.Errorf("audit %s: %w", r.Action, err)
	}
	last, err := lockHead(ctx, tx, r.Book)
	if err != nil {
		return fmt.Errorf("audit %s: %w", r.Action, err)
	}
	s := stored{
		book: r.Book, seq: last.seq + 1, actor: r.Actor, action: r.Action,
		subject: r.Subject, detail: detail, at: storage.Micros(r.At),
	}
	hash := s.chain(last.hash)
	row := []any{s.book, s.seq, s.actor, s.action, s.subject, s.detail, s.at, hash[:]}
	if err := tx.ExecRows(ctx, insertRecord, [][]any{row}); err != nil {
		return fmt.Errorf("audit %s: %w", r.Action, err)
	}
	return tx.ExecRows(ctx, moveHead, [][]any{{s.book, s.seq, hash[:]}})
}

// lockHead returns the end of a book's chain, which no other transaction can move before tx ends.
func lockHead(ctx context.Context, tx *storage.Tx, book string) (head, error) {
	last, found, err := storage.One(ctx, tx, scanHead, findHead, book)
	if err != nil || found {
		return last, err
	}
	// Two transactions may begin the same chain: one inserts, the other waits for it here.
	if _, err := tx.Exec(ctx, beginChain, book, []byte{}); err != nil {
		return head{}, err
	}
	last, found, err = storage.One(ctx, tx, scanHead, findHead, book)
	if err == nil && !found {
		err = fmt.Errorf("chain of book %q has no head", book)
	}
	return last, err
}

// encodeDetail writes names and values in the order of names; no details are "{}".
func encodeDetail(detail map[string]string) (string, error) {
	if len(detail) == 0 {
		return "{}", nil
	}
	text, err := json.Marshal(detail) // sorts the names
	return string(text), err
}

// stored is a record as its row holds it.
type stored struct {
	book, actor, action, subject, detail string
	seq, at                              int64
	hash                                 []byte
}

// chainDomain begins what is hashed, so that no other hash of Scrip can be taken for one.
const chainDomain = "scrip/audit/1"

// chain returns the hash of s after the record with hash previous: SHA-256 over
// previous and every field of the row, each preceded by its length.
func (s *stored) chain(previous []byte) [sha256.Size]byte {
	buf := make([]byte, 0, 512)
	for _, field := range []string{chainDomain, string(previous), s.book, s.actor, s.action, s.subject, s.detail} {
		buf = binary.BigEndian.AppendUint64(buf, uint64(len(field)))
		buf = append(buf, field...)
	}
	buf = binary.BigEndian.AppendUint64(buf, uint64(s.seq))
	buf = binary.BigEndian.AppendUint64(buf, uint64(s.at))
	return sha256.Sum256(buf)
}

// entry reads the row back.
func (s *stored) entry() (Entry, error) {
	e := Entry{
		Record: Record{Actor: s.actor, Action: s.action, Subject: s.subject, Book: s.book, At: storage.Time(s.at)},
		Seq:    s.seq,
	}
	copy(e.Hash[:], s.hash)
	if s.detail != "{}" {
		if err := json.Unmarshal([]byte(s.detail), &e.Detail); err != nil {
			return e, fmt.Errorf("read audit record %q/%d: the detail is damaged: %w", s.book, s.seq, err)
		}
	}
	return e, nil
}
