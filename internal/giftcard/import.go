package giftcard

import (
	"context"
	"encoding/csv"
	"errors"
	"io"
	"slices"
	"strconv"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/plain"
)

// Report is what an import made: the rows in their order, or what is wrong with them.
type Report struct {
	Made []Made
	Bad  []BadField
}

// Made is one row of a file and its card.
type Made struct {
	Line int // from 1, the header's
	Issued
}

// BadField is why a row was refused: one of possibly several reasons.
type BadField struct {
	Line   int
	Field  string // empty: the whole row
	Reason string
}

// WriteMade writes the cards as CSV: line, cardId, cardNumber, key. The last two are secrets.
func (r *Report) WriteMade(w io.Writer) error {
	out := csv.NewWriter(w)
	_ = out.Write([]string{"line", "cardId", "cardNumber", "key"}) // its error stays until Flush
	for _, made := range r.Made {
		_ = out.Write([]string{strconv.Itoa(made.Line), string(made.Card.ID), made.Card.Number.Reveal(), made.Key.Reveal()})
	}
	out.Flush()
	return out.Error()
}

// WriteBad writes what is wrong as CSV: line, field, reason.
func (r *Report) WriteBad(w io.Writer) error {
	out := csv.NewWriter(w)
	_ = out.Write([]string{"line", "field", "reason"}) // its error stays until Flush
	for _, bad := range r.Bad {
		_ = out.Write([]string{strconv.Itoa(bad.Line), bad.Field, bad.Reason})
	}
	out.Flush()
	return out.Error()
}

// Import makes the cards that a CSV file lists, all or none. The header names the
// columns title, templateId, currency, amount and, if there is one, reference; a
// field may be quoted but not hold a line break (RFC 4180 otherwise, UTF-8).
//
// Every row is checked first: when some are wrong it returns invalid_request and a
// report of all that is wrong. A row whose reference made the same card before
// returns that card, so that a file with references may be sent again. It returns
// body_too_large for more than MaxImportBytes or MaxIssues rows. progress, when not nil, is
// told how many are done; it starts again when the transaction has to.
func (s *Service) Import(ctx context.Context, m Merchant, r io.Reader, progress func(done int)) (Report, error) {
	list, err := parseList(r)
	if err != nil {
		return Report{}, err
	}
	if err := s.checkList(ctx, m, list); err != nil {
		return Report{}, err
	}
	if len(list.bad) > 0 {
		if err := s.findConflicts(ctx, m, list); err != nil {
			return Report{}, err
		}
		return list.refuse()
	}
	if err := s.note(ctx, m, audited{action: "giftcard.import", detail: map[string]string{"rows": strconv.Itoa(len(list.issues))}}); err != nil {
		return Report{}, err
	}
	issued, err := s.createAll(ctx, m, list.issues, progress)
	if fault.CodeOf(err) == fault.IdempotencyConflict {
		err = errors.Join(err, s.findConflicts(ctx, m, list))
		if len(list.bad) > 0 {
			return list.refuse()
		}
	}
	if err != nil {
		return Report{}, err
	}
	report := Report{Made: make([]Made, len(issued))}
	for i, card := range issued {
		report.Made[i] = Made{Line: list.lines[i], Issued: card}
	}
	return report, nil
}

// checkList adds what the operator's rules say of each row, and of the templates of rows that
// are badly written. Each template is looked up once, and what was made before is let through.
func (s *Service) checkList(ctx context.Context, m Merchant, list *list) error {
	looked := map[string]error{}
	usable := func(template string) error {
		if _, known := looked[template]; !known {
			looked[template] = s.usable(ctx, template)
		}
		return looked[template]
	}
	for i, issue := range list.issues {
		for _, wrong := range []error{s.bounded(issue.Amount), usable(issue.TemplateID)} {
			err := s.unlessRepeated(ctx, s.operation(m, kindCreate, issue.Reference), wrong)
			if err := list.object(list.lines[i], err); err != nil {
				return err
			}
		}
	}
	for line, template := range list.others {
		if err := list.object(line, usable(template)); err != nil {
			return err
		}
	}
	return nil
}

// object blames a row for what the rules have against it, and returns what says nothing of it.
func (l *list) object(line int, err error) error {
	switch fault.CodeOf(err) {
	case "":
	case fault.InvalidRequest, fault.InvalidAmount, fault.TemplateInactive:
		l.blame(line, err)
	default:
		return err
	}
	return nil
}

// findConflicts blames the rows whose references made other cards.
func (s *Service) findConflicts(ctx context.Context, m Merchant, list *list) error {
	for i, issue := range list.issues {
		if issue.Reference == "" {
			continue
		}
		first, done, err := s.Books.FindByKey(ctx, m.Book, keyOf(kindCreate, issue.Reference))
		if err != nil {
			return err
		}
		if !done {
			continue
		}
		card, err := s.behind(ctx, m.Book, first.Moves[0].Credit)
		if err != nil {
			return err
		}
		if card.Title != issue.Title || card.TemplateID != issue.TemplateID || card.Amount != issue.Amount {
			list.add(list.lines[i], columnReference, "it made another card before")
		}
	}
	return nil
}

// refuse returns the report of a file with wrong rows, in the order of the lines.
func (l *list) refuse() (Report, error) {
	slices.SortStableFunc(l.bad, func(a, b BadField) int { return a.Line - b.Line })
	wrong, last := 0, 0
	for _, bad := range l.bad {
		if bad.Line != last {
			wrong, last = wrong+1, bad.Line
		}
	}
	return Report{Bad: l.bad}, fault.New(fault.InvalidRequest, "%s wrong: no card was made", plain.Count(wrong, "row is", "rows are")).At("file")
}
