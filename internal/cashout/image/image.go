// Package image takes in the photos that an order is judged by: forms to upload them with,
// what is kept of them, which of them were seen before, and their end.
//
// A photo is kept as its pixels alone, sealed, in the database. Every look at one is in the
// audit log before anybody sees it, a redaction destroys what it paints over, and a clock
// erases each photo after its owner's decision, or after Config.KeepFor without one. A
// second clock then forgets what later photos of the same card are found by: the row, the
// hash of what the photo was and two records of the audit log stay.
//
// It knows no orders: an owner is a name. It must never keep or give out a byte of an
// upload as it came, and it decides nothing about what a photo shows.
package image

import (
	"context"
	"encoding/hex"
	"errors"
	"regexp"
	"time"

	"github.com/scripcards/scrip/internal/audit"
	"github.com/scripcards/scrip/internal/cashout/image/policy"
	"github.com/scripcards/scrip/internal/cashout/image/scene"
	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/platform/job"
	"github.com/scripcards/scrip/internal/platform/picture"
	"github.com/scripcards/scrip/internal/platform/sigv4"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/platform/vault"
)

// ID names an image ("img_…"). It is not a secret, and opens nothing by itself.
type ID string

const idPrefix = "img"

// Kind is what an image is of, in the owner's words: 1 to 32 letters and digits.
type Kind string

// Owner is whose an image is: 1 to 64 printable characters without spaces.
type Owner struct {
	Realm realm.Realm
	ID    string
}

// MaxBytes is how large an uploaded file may be: 5 MiB.
const MaxBytes = picture.MaxPhotoBytes

// Image is one that was accepted.
type Image struct {
	ID    ID
	Owner Owner
	Kind  Kind
	// Type is image/jpeg or image/png.
	Type string
	// SHA256 is that of the content as it is kept, or was when it was erased, in hex.
	SHA256 string
	// Bytes is the length of the content, Width and Height are in pixels.
	Bytes, Width, Height int
	UploadedAt           time.Time
	// EraseAt is when the content is erased at the latest; ErasedAt when it was, zero before.
	EraseAt, ErasedAt time.Time
	// ForgetAt is when what later images are found by is erased, not before the content;
	// ForgottenAt when it was, zero before.
	ForgetAt, ForgottenAt time.Time
	// Redactions counts what was painted over.
	Redactions int
	// Twins are images of other owners in the same realm that look alike, closest first, and
	// those of the owner that are the same photo for another kind.
	Twins []Twin
}

// Twin is another image that looks alike.
type Twin struct {
	Image ID
	Owner string
	Kind  Kind
	// Resemblance is in which way.
	Resemblance Resemblance
	// Distance is how much they differ: of 64 bits for SamePhoto, 0 to picture.MaxDistance;
	// of 1000 parts that were compared for the others.
	Distance int
}

// Resemblance is in which way two images look alike.
type Resemblance string

// The resemblances, closest first.
const (
	// SamePhoto is one photo, whatever was done to the file.
	SamePhoto Resemblance = "same_photo"
	// SameCard is another photo in which nothing differs where both can be compared:
	// probably of the same card.
	SameCard Resemblance = "same_card"
	// SameDesign is a photo of much the same that differs in places: probably of another
	// card of the design. Earlier images do not know of later ones like that.
	SameDesign Resemblance = "same_design"
)

// Bucket is a store that speaks Amazon S3's interface, where one is used.
type Bucket interface {
	// Fetch returns an object of at most so many bytes, and false where there is none. A
	// larger one is an error.
	Fetch(ctx context.Context, key string, most int64) (object []byte, found bool, err error)
	// Remove removes an object. One that is not there is removed.
	Remove(ctx context.Context, key string) error
}

// Config is where files are sent to, and for how long they are kept; zero values have sane
// defaults.
type Config struct {
	// URL is where forms are sent: the address of the bucket.
	URL string
	// Bucket is its name: "cardcoins-images".
	Bucket string
	// Region is the one that signatures name: "us-east-1".
	Region string
	// AccessKey and Secret are for a store elsewhere. The built-in one has its own.
	AccessKey string
	Secret    pan.Secret
	// KeepFor is how long an image is kept whose owner is never decided about: 90 days.
	KeepFor time.Duration
	// KeepMarks is how long later images are held against one whose owner is never decided
	// about: 400 days, and at least KeepFor.
	KeepMarks time.Duration
	// Decoders bounds the images that are decoded at once by this process: 2. Each takes
	// 160 MiB at worst.
	Decoders int
	// Forms bounds the forms of one owner and kind that can be given out in a day: 20.
	Forms int
}

// Deps are what the service uses.
type Deps struct {
	DB     *storage.DB
	Vault  *vault.Vault
	Audit  *audit.Log
	Clocks *clock.Realms
	// Jobs erase what is due.
	Jobs *job.Queue
	// Bucket is a store elsewhere; nil: the built-in one, whose endpoint calls Accept and Take.
	Bucket Bucket
	Config Config
}

// Service keeps images. It is safe for concurrent use.
type Service struct {
	Deps
	credential sigv4.Credential
	decoders   chan struct{}
	scenes     *scene.Memory
}

// KeepMarks is how long later images are held against one, unless somebody says otherwise: a
// card that is used again is so within its life.
const KeepMarks = 400 * 24 * time.Hour

const (
	sweepEvery = time.Minute
	purgeEvery = time.Hour
)

// New returns the service.
func New(d Deps) *Service {
	c := &d.Config
	if c.Bucket == "" {
		c.Bucket = "cardcoins-images"
	}
	if c.Region == "" {
		c.Region = "us-east-1"
	}
	if c.KeepFor <= 0 {
		c.KeepFor = 90 * 24 * time.Hour
	}
	if c.KeepMarks <= 0 {
		c.KeepMarks = KeepMarks
	}
	c.KeepMarks = max(c.KeepMarks, c.KeepFor)
	if c.Decoders <= 0 {
		c.Decoders = 2
	}
	if c.Forms <= 0 {
		c.Forms = 20
	}
	s := &Service{Deps: d, decoders: make(chan struct{}, c.Decoders), scenes: scene.New(d.Vault)}
	s.credential = sigv4.Credential{AccessKey: c.AccessKey, Secret: c.Secret, Region: c.Region}
	if d.Bucket == nil {
		s.credential = ownCredential(d.Vault, c)
	}
	d.Jobs.Every("image.erase", sweepEvery, s.EraseDue)
	d.Jobs.Every("image.purge", purgeEvery, s.Purge)
	return s
}

// ownCredential is that of the built-in store: the same in every process, and no other
// installation's.
func ownCredential(v *vault.Vault, c *Config) sigv4.Credential {
	const nameBytes = 8
	name := v.Hash("image.access_key", c.Bucket)[:nameBytes]
	return sigv4.Credential{
		AccessKey: "SCRIP" + hex.EncodeToString(name),
		Secret:    pan.NewSecret(hex.EncodeToString(v.Hash("image.secret_key", c.Bucket))),
		Region:    c.Region,
	}
}

// Address is where forms are sent, without a slash at the end.
func (s *Service) Address() string { return s.Config.URL }

// BucketName is what the store's one bucket is called.
func (s *Service) BucketName() string { return s.Config.Bucket }

// Form is what a file is uploaded with.
type Form = policy.Form

var (
	kindForm  = regexp.MustCompile(`^[A-Za-z0-9]{1,32}$`)
	ownerForm = regexp.MustCompile(`^[!-~]{1,64}$`)
)

// check refuses owners that could not be stored: they are the caller's mistake.
func (o Owner) check() error {
	if _, err := realm.Parse(string(o.Realm)); err != nil || !ownerForm.MatchString(o.ID) {
		return errors.New("an image needs an owner of a realm, with an id of 1 to 64 characters")
	}
	return nil
}

func errNoImage() error { return fault.New(fault.NotFound, "no such image") }
