package account

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"regexp"
	"time"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/id"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/memo"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// SeedID names a seed ("seed_…"). It is public.
type SeedID string

// SeedRef names a seed in its book.
type SeedRef struct {
	Book ledger.BookID
	ID   SeedID
}

// Seed is the credential of a holder of virtual cards, without its text. Nothing of the
// text is kept to recognize it by: it has 64 random bits, and none to spare.
type Seed struct {
	SeedRef
	Life
	Customer   CustomerID
	Realm      realm.Realm
	Name       string // what it is for
	ReplacedBy SeedID // empty unless rotated
}

// NewSeed describes a seed.
type NewSeed struct {
	// Customer is whose it is; empty: a new customer, whom nobody knows.
	Customer CustomerID
	Realm    realm.Realm
	// Name has 1 to 128 characters; it may be empty for a new customer.
	Name string
	Also storage.Also[IssuedSeed]
}

// IssuedSeed is a seed with its text, such as "c4f4-6e88-036c-761c", which nothing returns again.
type IssuedSeed struct {
	Seed
	Secret pan.Secret
}

// SeedScopes is what every seed may do in its book.
const SeedScopes = Scopes(1<<ScopeCardRead | 1<<ScopeCardWrite | 1<<ScopeCardReveal | 1<<ScopeWalletRead | 1<<ScopeWalletWrite |
	1<<ScopeWebhookRead | 1<<ScopeWebhookWrite)

// maxSeeds bounds the active seeds of a book.
const maxSeeds = 100

// anonymous is what a customer is called who only ever asked for a seed.
const anonymous = "Anonymous"

// CreateSeed makes a seed for a customer, or for a new one, and returns the only copy of
// its text. It returns fault.NotFound for a customer that there is not, and
// fault.QuotaExceeded when the customer has 100 active seeds in the realm.
func (s *Service) CreateSeed(ctx context.Context, actor string, n NewSeed) (IssuedSeed, error) {
	if _, err := realm.Parse(string(n.Realm)); err != nil {
		return IssuedSeed{}, invalid("realm", "want live or test")
	}
	if n.Customer == "" && n.Name == "" {
		n.Name = anonymous
	}
	name, err := cleanText("name", n.Name, maxName)
	if err != nil {
		return IssuedSeed{}, err
	}
	secret := mintSeed()
	var issued IssuedSeed
	err = s.write(ctx, actor, func(ctx context.Context, c *change) error {
		owner, err := c.seedOwner(ctx, n)
		if err != nil {
			return err
		}
		seed := Seed{SeedRef: SeedRef{Book: owner.Book(n.Realm)}, Customer: owner.ID, Realm: n.Realm, Name: name}
		if issued, err = s.insertSeed(ctx, c, seed, secret); err != nil {
			return err
		}
		return n.Also.Apply(ctx, c.Tx, issued)
	})
	return issued, err
}

// seedOwner returns the customer whose seed it will be, its book locked, or a new one.
func (c *change) seedOwner(ctx context.Context, n NewSeed) (Customer, error) {
	if n.Customer == "" {
		return c.createCustomer(ctx, NewCustomer{Name: anonymous})
	}
	owner, err := findCustomer(ctx, c, readCustomer, n.Customer)
	if err == nil {
		_, err = findOwner(ctx, c, lockBook, owner.Book(n.Realm))
	}
	return owner, err
}

// insertSeed stores a seed with a new id under its text. The book's row is locked.
func (s *Service) insertSeed(ctx context.Context, c *change, seed Seed, secret string) (IssuedSeed, error) {
	active, _, err := storage.One(ctx, c, storage.Scalar[int], countSeeds, string(seed.Book), storage.Micros(c.at))
	if err != nil {
		return IssuedSeed{}, err
	}
	if active >= maxSeeds {
		return IssuedSeed{}, fault.New(fault.QuotaExceeded, "there are %d active seeds already", active)
	}
	seed.ID, seed.Life = SeedID(id.New("seed")), Life{CreatedAt: c.at}
	err = c.Apply(ctx, []storage.Effect{
		insertSeed.Row(string(seed.Book), string(seed.ID), seed.Name, storage.Micros(seed.CreatedAt)),
		insertSeedHash.Row(s.vault.Hash(purposeSeedHash, secret), string(seed.Book), string(seed.ID)),
	})
	if err != nil {
		return IssuedSeed{}, err
	}
	return IssuedSeed{Seed: seed, Secret: pan.NewSecret(secret)}, c.recordSeed(ctx, "seed.create", &seed)
}

func (c *change) recordSeed(ctx context.Context, action string, seed *Seed) error {
	detail := map[string]string{"customer": string(seed.Customer)}
	if seed.ReplacedBy != "" {
		detail["replaced_by"] = string(seed.ReplacedBy)
	}
	return c.record(ctx, note{action: action, subject: string(seed.ID), book: seed.Book, realm: seed.Realm, detail: detail})
}

// FindSeed returns a seed, or fault.NotFound.
func (s *Service) FindSeed(ctx context.Context, ref SeedRef) (Seed, error) {
	return findSeed(ctx, s.db, readSeed, ref)
}

func findSeed(ctx context.Context, q storage.Queryer, read *storage.Statement, ref SeedRef) (Seed, error) {
	found, ok, err := storage.One(ctx, q, scanSeed, read, string(ref.Book), string(ref.ID))
	if err == nil && !ok {
		err = notFound("seed", clip(string(ref.ID)))
	}
	return found.seed, err
}

// ListSeeds returns the seeds of a book, revoked and expired ones too, newest first.
func (s *Service) ListSeeds(ctx context.Context, book ledger.BookID, page Page) (List[Seed], error) {
	before, read, err := page.before("seed")
	if err != nil {
		return List[Seed]{}, err
	}
	rows, err := storage.All(ctx, s.db, scanSeed, listSeeds, string(book), before, read)
	if err != nil {
		return List[Seed]{}, err
	}
	owned := cut(rows, read, func(o ownedSeed) string { return string(o.seed.ID) })
	found := List[Seed]{Next: owned.Next, Items: make([]Seed, len(owned.Items))}
	for i := range owned.Items {
		found.Items[i] = owned.Items[i].seed
	}
	return found, nil
}

// SeedRotation says how a seed is rotated.
type SeedRotation struct {
	Grace time.Duration // for which the old seed works on, at most 30 days
	Also  storage.Also[IssuedSeed]
}

// RotateSeed makes a seed of the same name in the place of one, which works for the
// grace more, at most 30 days; with no grace it is revoked at once. It returns
// fault.InvalidState when the seed is not active or was rotated before, and
// fault.QuotaExceeded when the book has 100 active seeds and the old one is to work on.
func (s *Service) RotateSeed(ctx context.Context, actor string, ref SeedRef, r SeedRotation) (IssuedSeed, error) {
	if err := checkGrace(r.Grace); err != nil {
		return IssuedSeed{}, err
	}
	secret := mintSeed()
	var issued IssuedSeed
	err := s.changeSeed(ctx, actor, ref, func(ctx context.Context, c *change, old *Seed) error {
		if old.State(c.at) != KeyActive || old.ReplacedBy != "" {
			return fault.New(fault.InvalidState, "seed %s was rotated or is not active", ref.ID)
		}
		next := Seed{SeedRef: SeedRef{Book: old.Book}, Customer: old.Customer, Realm: old.Realm, Name: old.Name}
		old.retire(c.at, r.Grace)
		err := c.writeSeed(ctx, old) // one that has ended makes room
		if err != nil {
			return err
		}
		if issued, err = s.insertSeed(ctx, c, next, secret); err != nil {
			return err
		}
		old.ReplacedBy = issued.ID
		if err := c.recordSeed(ctx, "seed.rotate", old); err != nil {
			return err
		}
		return r.Also.Apply(ctx, c.Tx, issued)
	})
	return issued, err
}

// RevokeSeed ends a seed for good. What it owns stays its customer's. Revoking it twice changes nothing.
func (s *Service) RevokeSeed(ctx context.Context, actor string, ref SeedRef) error {
	return s.changeSeed(ctx, actor, ref, func(ctx context.Context, c *change, seed *Seed) error {
		if !seed.RevokedAt.IsZero() {
			return nil
		}
		seed.RevokedAt = c.at
		return c.recordSeed(ctx, "seed.revoke", seed)
	})
}

// changeSeed lets edit change the locked seed, writes it back and forgets what memory knew of it.
func (s *Service) changeSeed(ctx context.Context, actor string, ref SeedRef, edit func(context.Context, *change, *Seed) error) error {
	err := s.write(ctx, actor, func(ctx context.Context, c *change) error {
		seed, err := findSeed(ctx, c, lockSeed, ref)
		if err != nil {
			return err
		}
		if err := edit(ctx, c, &seed); err != nil {
			return err
		}
		return c.writeSeed(ctx, &seed)
	})
	s.seeds.Forget(func(g *seedGrant) bool { return g.principal.Credential == string(ref.ID) })
	return err
}

func (c *change) writeSeed(ctx context.Context, seed *Seed) error {
	write := updateSeed.With(string(seed.Book), string(seed.ID), storage.NullText(string(seed.ReplacedBy)),
		storage.NullMicros(seed.ExpiresAt), storage.NullMicros(seed.RevokedAt))
	return c.Apply(ctx, []storage.Effect{write.Exactly(1)})
}

// seedGrant is what memory keeps of a seed.
type seedGrant struct {
	principal Principal
	expiresAt time.Time // zero: never
	suspended bool
	use       use
}

// AuthenticateSeed says whose seed was presented. One that is missing, malformed,
// unknown, revoked or expired is fault.CredentialsInvalid, always with the same text; a
// right one of a suspended customer is fault.PermissionDenied. A seed has few bits: its
// caller must bound how many wrong ones an address presents.
func (s *Service) AuthenticateSeed(ctx context.Context, presented string) (Principal, error) {
	if !seedForm.MatchString(presented) || presented == DemoSeed && !s.demo.Load() {
		return Principal{}, errCredentials()
	}
	now := s.now()
	load := func(ctx context.Context) (*seedGrant, bool, error) { return s.loadSeed(ctx, presented, now) }
	g, ok, err := s.seeds.Find(ctx, memo.Query{Key: digest(presented), Now: now}, load)
	switch {
	case err != nil:
		return Principal{}, fmt.Errorf("authenticate seed: %w", err)
	case !ok || isOver(g.expiresAt, now):
		return Principal{}, errCredentials()
	case g.suspended:
		return Principal{}, errSuspended()
	}
	s.used.note(&g.use, now)
	return g.principal, nil
}

func (s *Service) loadSeed(ctx context.Context, presented string, now time.Time) (*seedGrant, bool, error) {
	row, err := s.seedRows.Ask(ctx, string(s.vault.Hash(purposeSeedHash, presented)))
	found := row.Value.seed
	if err != nil || !row.Found || found.State(now) != KeyActive {
		return nil, false, err
	}
	return &seedGrant{
		principal: Principal{Customer: found.Customer, Book: found.Book, Realm: found.Realm, Credential: string(found.ID), Scopes: SeedScopes},
		expiresAt: found.ExpiresAt,
		suspended: row.Value.owner != Active,
		use:       use{used: used{useSeed, string(found.Book), string(found.ID)}},
	}, true, nil
}

// presentedSeed is a seed under the keyed hash of what was presented.
type presentedSeed struct {
	hash string
	ownedSeed
}

// readSeeds returns the seeds under some hashes. Those who present one at once share a look.
func (s *Service) readSeeds(ctx context.Context, hashes []string) ([]presentedSeed, error) {
	values := make([][]any, len(hashes))
	for i, hash := range hashes {
		values[i] = []any{[]byte(hash)}
	}
	scan := func(r storage.Row) (presentedSeed, error) {
		var hash []byte
		found, err := scanSeedAfter(r, &hash)
		return presentedSeed{string(hash), found}, err
	}
	return storage.AllOf(ctx, s.db, scan, findSeeds, values)
}

// ownedSeed is a seed with the state of whose it is.
type ownedSeed struct {
	seed  Seed
	owner State
}

// seedForm is how every seed is written.
var seedForm = regexp.MustCompile(`^[0-9a-f]{4}(-[0-9a-f]{4}){3}$`)

// mintSeed returns the text of a new seed, 64 random bits, never the one that demonstrations publish.
func mintSeed() string {
	var random [8]byte
	_, _ = rand.Read(random[:]) // never fails: crypto/rand ends the process instead
	digits := hex.EncodeToString(random[:])
	text := digits[:4] + "-" + digits[4:8] + "-" + digits[8:12] + "-" + digits[12:]
	if text == DemoSeed {
		return mintSeed()
	}
	return text
}
