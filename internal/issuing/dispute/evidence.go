package dispute

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// Evidence is a text or a file that speaks for a dispute, or for the merchant.
type Evidence struct {
	Place     int    // from 1
	MediaType string // one of MediaTypes
	Content   []byte // of Read alone
	Size      int
	Actor     string // who handed it in
	At        time.Time
}

const (
	text = "text/plain"
	// purposeEvidence is what evidence is sealed for.
	purposeEvidence = "dispute.evidence"
)

// magic is how the files of each kind begin.
var magic = map[string][]string{"application/pdf": {"%PDF-"}, "image/jpeg": {"\xff\xd8\xff"}, "image/png": {"\x89PNG\r\n\x1a\n"}}

// MediaTypes returns the kinds of evidence that are taken.
func MediaTypes() []string {
	return []string{text, "application/pdf", "image/jpeg", "image/png"}
}

func (e *Evidence) check() error {
	switch {
	case !slices.Contains(MediaTypes(), e.MediaType):
		return fault.New(fault.InvalidRequest, "evidence is %s", strings.Join(MediaTypes(), ", ")).At("media_type")
	case len(e.Content) == 0:
		return fault.New(fault.InvalidRequest, "there is nothing in it").At("content")
	case e.MediaType == text && (len(e.Content) > MaxText || !utf8.Valid(e.Content)):
		return fault.New(fault.InvalidRequest, "a text has at most %d bytes of UTF-8", MaxText).At("content")
	case len(e.Content) > MaxFile:
		return fault.New(fault.InvalidRequest, "a file has at most %d bytes", MaxFile).At("content")
	case e.MediaType != text && !slices.ContainsFunc(magic[e.MediaType], func(begin string) bool { return bytes.HasPrefix(e.Content, []byte(begin)) }):
		return fault.New(fault.InvalidRequest, "the file is no %s", e.MediaType).At("content")
	}
	return nil
}

// Addition is evidence for a dispute.
type Addition struct {
	Book     ledger.BookID
	Dispute  ID
	Evidence Evidence
	Actor    string
	Also     storage.Also[Dispute]
}

// Add keeps evidence for a dispute, sealed. It returns invalid_request, not_found,
// invalid_state for one that is decided, and quota_exceeded.
func (s *Service) Add(ctx context.Context, a Addition) (Dispute, error) {
	if err := a.Evidence.check(); err != nil {
		return Dispute{}, err
	}
	var d Dispute
	if _, err := s.current(ctx, a.Book, a.Dispute); err != nil {
		return d, err
	}
	err := s.DB.Write(ctx, func(ctx context.Context, tx *storage.Tx) error {
		found, ok, err := storage.One(ctx, tx, scanDispute, lockDispute, string(a.Book), string(a.Dispute))
		switch {
		case err != nil:
			return err
		case !ok:
			return unknown()
		case !found.State.Open():
			return fault.New(fault.InvalidState, "the dispute is %s", found.State)
		case found.Evidence >= MaxEvidence:
			return fault.New(fault.QuotaExceeded, "a dispute has at most %d pieces of evidence", MaxEvidence)
		}
		d = found
		d.Revision, d.Evidence, d.ChangedAt = d.Revision+1, d.Evidence+1, s.Clocks.Now(d.Realm)
		e := a.Evidence
		e.Place, e.Actor, e.At = d.Evidence, a.Actor, d.ChangedAt
		sealed, err := s.sealed(&d, &e)
		if err != nil {
			return err
		}
		effects, err := a.Also.With([]storage.Effect{d.revise(found.Revision), sealed}, d)
		if err != nil {
			return err
		}
		if err := tx.Apply(ctx, effects); err != nil {
			return err
		}
		return s.Audit.Append(ctx, tx, audit.Record{Actor: a.Actor, Action: "dispute.evidence", Subject: string(d.ID), Book: string(d.Book), At: d.ChangedAt,
			Detail: map[string]string{"place": strconv.Itoa(e.Place), "media_type": e.MediaType, "size": strconv.Itoa(len(e.Content))}})
	})
	return d, err
}

// rowOf names the row that evidence is sealed for.
func (d *Dispute) rowOf(place int) string { return fmt.Sprint(d.Book, "/", d.ID, "/", place) }

func (s *Service) sealed(d *Dispute, e *Evidence) (storage.Effect, error) {
	content, err := s.Vault.Seal(purposeEvidence, d.rowOf(e.Place), e.Content)
	return insertEvidence.Row(string(d.Book), string(d.ID), e.Place, e.MediaType, len(e.Content), content, e.Actor, storage.Micros(e.At)), err
}

// Evidence lists what there is for a dispute of a book, without its contents.
func (s *Service) Evidence(ctx context.Context, book ledger.BookID, dispute ID) ([]Evidence, error) {
	return storage.All(ctx, s.DB, scanEvidence, listEvidence, string(book), string(dispute), MaxEvidence)
}

// Reading asks for the contents of a piece of evidence.
type Reading struct {
	Book    ledger.BookID
	Dispute ID
	Place   int
	Actor   string
}

// Read returns a piece of evidence with its contents; the audit log knows before. It
// returns not_found.
func (s *Service) Read(ctx context.Context, r Reading) (Evidence, error) {
	d, err := s.Find(ctx, r.Book, r.Dispute)
	if err != nil {
		return Evidence{}, err
	}
	found, ok, err := storage.One(ctx, s.DB, scanContent, findEvidence, string(r.Book), string(r.Dispute), r.Place)
	if err == nil && !ok {
		err = fault.New(fault.NotFound, "no such evidence")
	}
	if err != nil {
		return Evidence{}, err
	}
	if err := s.audited(ctx, &d, "dispute.read_evidence", r.Actor); err != nil {
		return Evidence{}, err
	}
	found.Content, err = s.Vault.Unseal(purposeEvidence, d.rowOf(r.Place), found.Content)
	return found, err
}
