package giftcard

import (
	"context"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/id"
	"github.com/scripcards/scrip/internal/core/plain"
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
	Also  storage.Also[Template]
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
	listTemplates  = storage.SQL("giftcard.list_templates", `SELECT `+templateColumns+` FROM giftcard_templates ORDER BY template_id LIMIT $1`)
	findTemplate   = storage.SQL("giftcard.find_template", `SELECT `+templateColumns+` FROM giftcard_templates WHERE template_id = $1`)
	findCover      = storage.SQL("giftcard.find_cover", `SELECT cover_type, cover_hash, cover FROM giftcard_templates WHERE template_id = $1`)
	changeTemplate = storage.SQL("giftcard.change_template", `UPDATE giftcard_templates SET name = COALESCE($2, name),
		status = COALESCE($3, status), cover_type = COALESCE($4, cover_type), cover_hash = COALESCE($5, cover_hash),
		cover = COALESCE($6, cover), updated_at = $7 WHERE template_id = $1`)
	countTemplates = storage.SQL("giftcard.count_templates", `SELECT COUNT(*) FROM giftcard_templates`)
)

// AddTemplate stores a template with its cover, active. The image is decoded and
// encoded anew, so that nothing but pixels is kept. It returns invalid_request,
// already_exists, or quota_exceeded when there are as many as can be listed.
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
		count, _, err := storage.One(ctx, tx, scanCount, countTemplates)
		if err != nil {
			return err
		}
		if count >= maxTemplates {
			return fault.New(fault.QuotaExceeded, "there are %d templates, the most is %d", count, maxTemplates)
		}
		row := []any{t.ID, t.Name, statusOf(true), cover.Type, cover.Hash, cover.Data, storage.Micros(now), storage.Micros(now)}
		if err := tx.ExecRows(ctx, insertTemplate, [][]any{row}); err != nil {
			return err
		}
		if err := s.Audit.Append(ctx, tx, audit.Record{Actor: n.Actor, Action: "template.create", Subject: t.ID, At: now}); err != nil {
			return err
		}
		return n.Also.Apply(ctx, tx, t)
	})
	if storage.IsUnique(err) {
		return Template{}, fault.New(fault.AlreadyExists, "the template exists").At("template_id")
	}
	return t, err
}

// Templates returns every template, by id in the order of bytes.
func (s *Service) Templates(ctx context.Context) ([]Template, error) {
	all, err := storage.All(ctx, s.DB, scanTemplate, listTemplates, maxTemplates)
	// A database may sort letters by a language's rules instead.
	slices.SortFunc(all, func(a, b Template) int { return strings.Compare(a.ID, b.ID) })
	return all, err
}

// Template returns one template, or not_found.
func (s *Service) Template(ctx context.Context, id string) (Template, error) {
	if !templateID.MatchString(id) {
		return Template{}, noTemplate()
	}
	t, ok, err := s.findTemplate(ctx, id)
	if err == nil && !ok {
		err = noTemplate()
	}
	return t, err
}

func noTemplate() error { return fault.New(fault.NotFound, "no such template") }

func (s *Service) findTemplate(ctx context.Context, id string) (Template, bool, error) {
	return storage.One(ctx, s.DB, scanTemplate, findTemplate, id)
}

// TemplateCover returns a template's image, or not_found.
func (s *Service) TemplateCover(ctx context.Context, id string) (Cover, error) {
	if !templateID.MatchString(id) {
		return Cover{}, noTemplate()
	}
	cover, ok, err := storage.One(ctx, s.DB, func(r storage.Row) (c Cover, err error) {
		err = r.Scan(&c.Type, &c.Hash, &c.Data)
		return c, err
	}, findCover, id)
	if err == nil && !ok {
		err = noTemplate()
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

// ChangeTemplate renames, switches or redraws a template, or returns not_found or
// invalid_request. Cards made with it keep it. What it is already changes nothing.
func (s *Service) ChangeTemplate(ctx context.Context, id string, change TemplateChange) (Template, error) {
	if !templateID.MatchString(id) {
		return Template{}, noTemplate()
	}
	if change.Name != "" {
		if err := checkTemplateName(change.Name); err != nil {
			return Template{}, err
		}
	}
	var cover Cover
	if len(change.Image) > 0 {
		var err error
		if cover, err = newCover(change.Image); err != nil {
			return Template{}, err
		}
	}
	now := s.Clocks.Now(realm.Live)
	var changed Template
	err := s.DB.Write(ctx, func(ctx context.Context, tx *storage.Tx) error {
		was, ok, err := storage.One(ctx, tx, scanTemplate, findTemplate, id)
		if err != nil {
			return err
		}
		if !ok {
			return noTemplate()
		}
		set, detail := change.columns(was, cover)
		if changed = was; len(detail) == 0 {
			return nil
		}
		if _, err := tx.Exec(ctx, changeTemplate, append(append([]any{id}, set...), storage.Micros(now))...); err != nil {
			return err
		}
		if changed, _, err = storage.One(ctx, tx, scanTemplate, findTemplate, id); err != nil {
			return err
		}
		return s.Audit.Append(ctx, tx, audit.Record{Actor: change.Actor, Action: "template.change", Subject: id, At: now, Detail: detail})
	})
	return changed, err
}

// columns returns the values of the columns that become others, nil for those that stay,
// and what the audit log is told of it.
func (c *TemplateChange) columns(was Template, cover Cover) (set []any, detail map[string]string) {
	set, detail = make([]any, 5), map[string]string{}
	if c.Name != "" && c.Name != was.Name {
		set[0] = c.Name
		detail["name_changed"] = strconv.FormatBool(true)
	}
	if c.Active != nil && *c.Active != was.Active {
		set[1] = statusOf(*c.Active)
		detail["active"] = strconv.FormatBool(*c.Active)
	}
	if cover.Hash != "" && cover.Hash != was.CoverHash {
		set[2], set[3], set[4] = cover.Type, cover.Hash, cover.Data
		detail["cover_sha256"] = cover.Hash
	}
	return set, detail
}

func checkTemplateName(name string) error {
	if !plain.Line(name, 1, maxTemplateName) {
		return fault.New(fault.InvalidRequest, "a template name has 1 to %d characters of plain text", maxTemplateName).At("name")
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

func scanCount(r storage.Row) (n int, err error) {
	err = r.Scan(&n)
	return n, err
}
