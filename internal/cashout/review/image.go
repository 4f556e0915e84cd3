package review

import (
	"context"
	"crypto/subtle"
	"encoding/base64"
	"strconv"
	"strings"
	"time"

	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/cashout"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// purposeLink is what the vault hashes links for.
const purposeLink = "review.link"

// Link leads to a picture, for a moment, without a credential: whoever has it is taken for
// who asked for it.
type Link struct {
	Text      string
	ExpiresAt time.Time
}

// Show makes a link to a picture of an order that the actor has in hand, and records it. It
// returns not_found, and invalid_state for an order that is not in hand and a picture that
// another reviewer hid.
func (s *Service) Show(ctx context.Context, r Ref, image string) (Link, error) {
	c, err := s.held(ctx, r)
	if err != nil {
		return Link{}, err
	}
	if _, err := s.pictureOf(ctx, &c.Order, image); err != nil {
		return Link{}, err
	}
	if err := s.visible(ctx, r, image); err != nil {
		return Link{}, err
	}
	at := s.Clocks.Now(realm.Live).Add(s.Policy.Link)
	body := strings.Join([]string{string(c.Realm), string(r.Book), string(r.Order), image, r.Actor, strconv.FormatInt(at.UnixMicro(), 10)}, "\n")
	text := base64.RawURLEncoding.EncodeToString([]byte(body)) + "." + base64.RawURLEncoding.EncodeToString(s.Vault.Hash(purposeLink, body))
	return Link{text, at}, s.DB.Write(ctx, func(ctx context.Context, tx *storage.Tx) error {
		return s.record(ctx, tx, &c, audit.Record{Actor: r.Actor, Action: "review.show", Detail: map[string]string{"image": image}})
	})
}

// visible refuses a picture that another reviewer hid.
func (s *Service) visible(ctx context.Context, r Ref, image string) error {
	who, found, err := storage.One(ctx, s.DB, storage.Scalar[string], findHidden, string(r.Book), image)
	if err == nil && found && who != r.Actor {
		err = fault.New(fault.InvalidState, "another reviewer has to cover something on this image first")
	}
	return err
}

// Follow opens the picture that a link leads to. It returns not_found for a link that is
// none, is over, or leads nowhere any more.
func (s *Service) Follow(ctx context.Context, text string) (Content, error) {
	gone := fault.New(fault.NotFound, "no such link")
	head, tail, _ := strings.Cut(text, ".")
	body, err := base64.RawURLEncoding.DecodeString(head)
	if err != nil {
		return Content{}, gone
	}
	proof, err := base64.RawURLEncoding.DecodeString(tail)
	if err != nil || subtle.ConstantTimeCompare(proof, s.Vault.Hash(purposeLink, string(body))) != 1 {
		return Content{}, gone
	}
	parts := strings.Split(string(body), "\n")
	micros, err := strconv.ParseInt(parts[len(parts)-1], 10, 64)
	if err != nil || len(parts) != 6 || !s.Clocks.Now(realm.Live).Before(storage.Time(micros)) {
		return Content{}, gone
	}
	album := s.Albums[realm.Realm(parts[0])]
	if album == nil {
		return Content{}, gone
	}
	r := Ref{Book: ledger.BookID(parts[1]), Order: cashout.ID(parts[2]), Actor: parts[4]}
	if err := s.visible(ctx, r, parts[3]); err != nil {
		return Content{}, gone
	}
	return album.Open(ctx, r.Actor, parts[3])
}

// Hide keeps everybody else from a picture on which something can be seen that nobody may
// see, such as a card's verification code, until it is covered.
func (s *Service) Hide(ctx context.Context, r Ref, image string) error {
	c, err := s.held(ctx, r)
	if err != nil {
		return err
	}
	if _, err := s.pictureOf(ctx, &c.Order, image); err != nil {
		return err
	}
	if err := s.visible(ctx, r, image); err != nil {
		return err
	}
	return s.DB.Write(ctx, func(ctx context.Context, tx *storage.Tx) error {
		now := s.Clocks.Now(c.Realm)
		if _, err := tx.Exec(ctx, hideImage, string(r.Book), image, string(r.Order), r.Actor, storage.Micros(now)); err != nil {
			return err
		}
		return s.record(ctx, tx, &c, audit.Record{Actor: r.Actor, Action: "review.hide", Detail: map[string]string{"image": image}})
	})
}

// Cover blackens a part of a picture for good; then others may see the rest. It returns
// what Show does, and invalid_request for a part that is none.
func (s *Service) Cover(ctx context.Context, r Ref, image string, area Rect) error {
	c, err := s.held(ctx, r)
	if err != nil {
		return err
	}
	picture, err := s.pictureOf(ctx, &c.Order, image)
	if err != nil {
		return err
	}
	if err := s.visible(ctx, r, image); err != nil {
		return err
	}
	if area.X < 0 || area.Y < 0 || area.Width < 1 || area.Height < 1 || area.X >= picture.Width || area.Y >= picture.Height {
		return fault.New(fault.InvalidRequest, "the area must lie within the image").At("area")
	}
	album := s.Albums[c.Realm]
	if album == nil {
		return fault.New(fault.Unavailable, "there are no images just now")
	}
	if err := album.Redact(ctx, r.Actor, image, area); err != nil {
		return err
	}
	return s.DB.Write(ctx, func(ctx context.Context, tx *storage.Tx) error {
		if _, err := tx.Exec(ctx, unhideImage, string(r.Book), image, r.Actor); err != nil {
			return err
		}
		return s.record(ctx, tx, &c, audit.Record{Actor: r.Actor, Action: "review.cover", Detail: map[string]string{"image": image}})
	})
}
