package image

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"path"
	"strings"
	"time"

	"github.com/scripcards/scrip/internal/cashout/image/policy"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// Upload is a file that somebody means to send.
type Upload struct {
	Owner Owner
	Kind  Kind
	// FileName ends in .jpg, .jpeg or .png, in any case.
	FileName string
	// Size is in bytes: 1 to MaxBytes.
	Size int64
}

// The fields that a refusal of Presign blames.
const (
	fieldName = "file_name"
	fieldSize = "file_size"
)

const maxFileName = 255

// types are the media types of file names' endings.
var types = map[string]string{".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".png": "image/png"}

// keyBytes is how much of a key nobody can guess.
const keyBytes = 32

// Presign returns a form with which one file can be uploaded within policy.Lifetime. It
// returns invalid_request for a name or a size that no image has, and quota_exceeded to an
// owner that has asked too often.
func (s *Service) Presign(ctx context.Context, u Upload) (Form, error) {
	if err := u.Owner.check(); err != nil {
		return Form{}, err
	}
	if !kindForm.MatchString(string(u.Kind)) {
		return Form{}, fmt.Errorf("presign: kind %q: want 1 to 32 letters and digits", u.Kind)
	}
	contentType, known := types[strings.ToLower(path.Ext(u.FileName))]
	if !known || len(u.FileName) > maxFileName {
		return Form{}, fault.New(fault.InvalidRequest, "the file must be a jpeg or png image").At(fieldName)
	}
	if u.Size < 1 || u.Size > MaxBytes {
		return Form{}, fault.New(fault.InvalidRequest, "the file must have 1 to %d bytes", MaxBytes).At(fieldSize)
	}
	secret := make([]byte, keyBytes)
	_, _ = rand.Read(secret) // never fails
	key := hex.EncodeToString(secret) + "_" + string(u.Kind)
	now := s.now()
	err := s.DB.Write(ctx, func(ctx context.Context, tx *storage.Tx) error {
		given, _, err := storage.One(ctx, tx, storage.Scalar[int], countForms, string(u.Owner.Realm), u.Owner.ID, string(u.Kind), storage.Micros(now.Add(-formsKept)))
		if err != nil {
			return err
		}
		if given >= s.Config.Forms {
			return fault.New(fault.QuotaExceeded, "at most %d uploads of one image a day", s.Config.Forms)
		}
		return tx.ExecRows(ctx, insertUpload, [][]any{{key, string(u.Owner.Realm), u.Owner.ID, string(u.Kind), contentType,
			stateOpen, storage.NullBytes(nil), "", storage.Micros(now), nil}})
	})
	if err != nil {
		return Form{}, fmt.Errorf("presign: %w", err)
	}
	form := policy.Sign(s.credential, policy.Upload{Bucket: s.Config.Bucket, Key: key, ContentType: contentType, Most: MaxBytes}, now)
	form.URL = s.Config.URL
	return form, nil
}

// formsKept is how long a form is remembered after it was given out.
const formsKept = 24 * time.Hour

// CloseUploads returns the effect of refusing what is still sent with an owner's forms, for
// the transaction after which nothing may change any more. A new form opens a new upload.
func (s *Service) CloseUploads(o Owner) storage.Effect {
	return closeUploads.With(string(o.Realm), o.ID, storage.Micros(s.now()))
}

// now is the machine's time, in whole microseconds: signatures follow it in both realms.
func (s *Service) now() time.Time { return s.Clocks.Now(realm.Live) }
