package giftcard

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"regexp"
	"time"
	"unicode/utf8"

	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/id"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// Template is a cover design that merchants put on their cards.
type Template struct {
	ID        string
	Name      string
	Active    bool
	CoverType string // image/png or image/jpeg
	CoverHash string // SHA-256 of the cover, hex: changes when the cover does
	CreatedAt time.Time
	UpdatedAt time.Time
}

// Cover is a template's image.
type Cover struct {
	Type string
	Hash string
	Data []byte
}

// NewTemplate asks for a template. ID is made when empty.
type NewTemplate struct {
	ID    string
	Name  string
	Image []byte // png or jpeg as uploaded
	Actor string
}

// Limits of templates.
const (
	maxTemplates    = 1000
	maxTemplateName = 128
)

var templateID = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

const templateColumns = `template_id, name, status, cover_type, cover_hash, created_at, updated_at`

var (
	insertTemplate = storage.Insert("giftcard.insert_template", "giftcard_templates",
		"template_id", "name", "status", "cover_type", "cover_hash", "cover", "created_at", "updated_at")
	listTemplates    = storage.SQL("giftcard.list_templates", `SELECT `+templateColumns+` FROM giftcard_templates ORDER BY template_id LIMIT $1`)
	findTemplate     = storage.SQL("giftcard.find_template", `SELECT `+templateColumns+` FROM giftcard_templates WHERE template_id = $1`)
	findCover        = storage.SQL("giftcard.find_cover", `SELECT cover_type, cover_hash, cover FROM giftcard_templates WHERE template_id = $1`)
	setTemplate      = storage.SQL("giftcard.set_template", `UPDATE giftcard_templates SET name = $2, status = $3, updated_at = $4 WHERE template_id = $1`)
	setTemplateCover = storage.SQL("giftcard.set_template_cover",
		`UPDATE giftcard_templates SET cover_type = $2, cover_hash = $3, cover = $4, updated_at = $5 WHERE template_id = $1`)
)

// AddTemplate stores a template with its cover, active. The image is decoded and
// encoded anew, so that nothing but pixels is kept. It returns invalid_request or already_exists.
func (s *Service) AddTemplate(ctx context.Context, n NewTemplate) (Template, error) {
	if n.ID == "" {
		n.ID = id.New("tpl")
	}
	if !templateID.MatchString(n.ID) {
		return Template{}, fault.New(fault.InvalidRequest, "a template id has 1 to 64 letters, digits, - and _").At("template_id")
	}
	if err := checkTemplateName(n.Name); err != nil {
		return Template{}, err
	}
	cover, err := newCover(n.Image)
	if err != nil {
		return Template{}, err
	}
	now := s.Clocks.Now(realm.Live)
	t := Template{ID: n.ID, Name: n.Name, Active: true, CoverType: cover.Type, CoverHash: cover.Hash, CreatedAt: now, UpdatedAt: now}
	err = s.DB.Write(ctx, func(ctx context.Context, tx *storage.Tx) error {
		row := []any{t.ID, t.Name, statusOf(true), cover.Type, cover.Hash, cover.Data, storage.Micros(now), storage.Micros(now)}
		if err := tx.ExecRows(ctx, insertTemplate, [][]any{row}); err != nil {
			return err
		}
		return s.Audit.Append(ctx, tx, audit.Record{Actor: n.Actor, Action: "template.create", Subject: t.ID, At: now})
	})
	if storage.IsUnique(err) {
		return Template{}, fault.New(fault.AlreadyExists, "the template exists").At("template_id")
	}
	return t, err
}

// Templates returns every template, by id.
func (s *Service) Templates(ctx context.Context) ([]Template, error) {
	return storage.All(ctx, s.DB, scanTemplate, listTemplates, maxTemplates)
}

// Template returns one template, or not_found.
func (s *Service) Template(ctx context.Context, id string) (Template, error) {
	t, ok, err := s.findTemplate(ctx, id)
	if err == nil && !ok {
		err = fault.New(fault.NotFound, "no such template")
	}
	return t, err
}

func (s *Service) findTemplate(ctx context.Context, id string) (Template, bool, error) {
	return storage.One(ctx, s.DB, scanTemplate, findTemplate, id)
}

// TemplateCover returns a template's image, or not_found.
func (s *Service) TemplateCover(ctx context.Context, id string) (Cover, error) {
	cover, ok, err := storage.One(ctx, s.DB, func(r storage.Row) (c Cover, err error) {
		err = r.Scan(&c.Type, &c.Hash, &c.Data)
		return c, err
	}, findCover, id)
	if err == nil && !ok {
		err = fault.New(fault.NotFound, "no such template")
	}
	return cover, err
}

// TemplateChange is what to change of a template; nil and empty leave as it is.
type TemplateChange struct {
	Name   string
	Active *bool
	Image  []byte
	Actor  string
}

// ChangeTemplate renames, switches or redraws a template. Cards made with it keep it.
func (s *Service) ChangeTemplate(ctx context.Context, id string, change TemplateChange) (Template, error) {
	t, err := s.Template(ctx, id)
	if err != nil {
		return Template{}, err
	}
	if change.Name != "" {
		if err := checkTemplateName(change.Name); err != nil {
			return Template{}, err
		}
		t.Name = change.Name
	}
	if change.Active != nil {
		t.Active = *change.Active
	}
	t.UpdatedAt = s.Clocks.Now(realm.Live)
	effects := []storage.Effect{setTemplate.With(t.ID, t.Name, statusOf(t.Active), storage.Micros(t.UpdatedAt)).Exactly(1)}
	if len(change.Image) > 0 {
		cover, err := newCover(change.Image)
		if err != nil {
			return Template{}, err
		}
		t.CoverType, t.CoverHash = cover.Type, cover.Hash
		effects = append(effects, setTemplateCover.With(t.ID, cover.Type, cover.Hash, cover.Data, storage.Micros(t.UpdatedAt)).Exactly(1))
	}
	return t, s.DB.Write(ctx, func(ctx context.Context, tx *storage.Tx) error {
		if err := tx.Apply(ctx, effects); err != nil {
			return err
		}
		return s.Audit.Append(ctx, tx, audit.Record{Actor: change.Actor, Action: "template.change", Subject: t.ID, At: t.UpdatedAt})
	})
}

func checkTemplateName(name string) error {
	if n := utf8.RuneCountInString(name); n < 1 || n > maxTemplateName || !utf8.ValidString(name) {
		return fault.New(fault.InvalidRequest, "a template name has 1 to %d characters", maxTemplateName).At("name")
	}
	return nil
}

func statusOf(active bool) string {
	if active {
		return "active"
	}
	return "inactive"
}

func scanTemplate(r storage.Row) (t Template, err error) {
	var (
		status           string
		created, updated int64
	)
	err = r.Scan(&t.ID, &t.Name, &status, &t.CoverType, &t.CoverHash, &created, &updated)
	t.Active, t.CreatedAt, t.UpdatedAt = status == statusOf(true), storage.Time(created), storage.Time(updated)
	return t, err
}

func hashOf(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}
