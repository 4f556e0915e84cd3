package account

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/id"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/memo"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// ClientID names a merchant's signing credential, in the header
// X-GatePay-Certificate-ClientId: 3 to 64 letters, digits, "_" and "-".
type ClientID string

var clientIDForm = regexp.MustCompile(`^[A-Za-z0-9_-]{3,64}$`)

// maxClientDigits keeps client ids from looking like card numbers, which the audit log refuses.
const maxClientDigits = 12

func (c ClientID) check() error {
	digits := 0
	for _, r := range c {
		if r >= '0' && r <= '9' {
			digits++
		}
	}
	switch {
	case !clientIDForm.MatchString(string(c)) || digits > maxClientDigits:
		return invalid("client_id", "want 3 to 64 letters, digits, _ and -, of which at most %d digits", maxClientDigits)
	case c == demoClientID:
		return invalid("client_id", "%s is reserved", c)
	}
	return nil
}

// MerchantState says whether a signing credential works.
type MerchantState string

// The states of a signing credential.
const (
	MerchantActive   MerchantState = "active"
	MerchantDisabled MerchantState = "disabled"
)

// MerchantRef names a signing credential in its book.
type MerchantRef struct {
	Book     ledger.BookID
	ClientID ClientID
}

// MerchantCredential is a signing credential without its secrets.
type MerchantCredential struct {
	MerchantRef
	Realm      realm.Realm
	Name       string
	State      MerchantState
	CreatedAt  time.Time
	RotatedAt  time.Time // when the newest secret was made
	GraceUntil time.Time // until then the secret before works too; zero: there is none
	LastUsedAt time.Time // up to a minute behind
}

// IssuedMerchant is a signing credential with its newest secret, which nothing shows again.
type IssuedMerchant struct {
	MerchantCredential
	Secret pan.Secret
}

// NewMerchant describes a signing credential. An empty ClientID means a generated one ("mch_…").
type NewMerchant struct {
	Book     ledger.BookID
	Name     string
	ClientID ClientID
	Also     storage.Also[IssuedMerchant]
}

const (
	maxMerchants         = 100 // of a book
	merchantSecretPrefix = "ms_"
)

// CreateMerchant makes a signing credential. It returns fault.AlreadyExists when
// the client id is taken, and fault.QuotaExceeded when the book has 100.
func (s *Service) CreateMerchant(ctx context.Context, actor string, n NewMerchant) (IssuedMerchant, error) {
	name, err := cleanText("name", n.Name, maxName)
	if err != nil {
		return IssuedMerchant{}, err
	}
	if n.ClientID == "" {
		n.ClientID = ClientID(id.New("mch"))
	} else if err := n.ClientID.check(); err != nil {
		return IssuedMerchant{}, err
	}
	n.Name = name
	issued := IssuedMerchant{Secret: pan.NewSecret(merchantSecretPrefix + randomText(randomLen))}
	err = s.write(ctx, actor, func(ctx context.Context, c *change) error {
		var err error
		if issued.MerchantCredential, err = s.insertMerchant(ctx, c, n, issued.Secret); err != nil {
			return err
		}
		return n.Also.Apply(ctx, c.Tx, issued)
	})
	s.forgetMerchant(n.ClientID)
	if storage.IsUnique(err) {
		return IssuedMerchant{}, fault.New(fault.AlreadyExists, "the client id %s is taken", n.ClientID).At("client_id")
	}
	if err != nil {
		return IssuedMerchant{}, err
	}
	return issued, nil
}

func (s *Service) insertMerchant(ctx context.Context, c *change, n NewMerchant, secret pan.Secret) (MerchantCredential, error) {
	owner, err := findOwner(ctx, c, lockBook, n.Book)
	if err != nil {
		return MerchantCredential{}, err
	}
	count, _, err := storage.One(ctx, c, storage.Scalar[int], countMerchants, string(n.Book))
	if err != nil {
		return MerchantCredential{}, err
	}
	if count >= maxMerchants {
		return MerchantCredential{}, fault.New(fault.QuotaExceeded, "there are %d signing credentials already", count)
	}
	sealed, err := s.sealMerchant(n.ClientID, secret)
	if err != nil {
		return MerchantCredential{}, err
	}
	made := MerchantCredential{
		MerchantRef: MerchantRef{n.Book, n.ClientID}, Realm: owner.Realm, Name: n.Name,
		State: MerchantActive, CreatedAt: c.at, RotatedAt: c.at,
	}
	err = c.Apply(ctx, []storage.Effect{
		insertClient.Row(string(n.ClientID), string(n.Book)),
		insertMerchant.Row(string(n.Book), string(n.ClientID), n.Name, string(MerchantActive), sealed, storage.Micros(c.at), storage.Micros(c.at)),
	})
	if err != nil {
		return MerchantCredential{}, err
	}
	return made, c.recordMerchant(ctx, "merchant.create", &made, nil)
}

func (s *Service) sealMerchant(client ClientID, secret pan.Secret) ([]byte, error) {
	return s.vault.Seal(purposeMerchantSecret, string(client), []byte(secret.Reveal()))
}

func (c *change) recordMerchant(ctx context.Context, action string, m *MerchantCredential, detail map[string]string) error {
	return c.record(ctx, note{action: action, subject: string(m.ClientID), book: m.Book, realm: m.Realm, detail: detail})
}

// ListMerchants returns the signing credentials of a book, in the order of their client ids.
func (s *Service) ListMerchants(ctx context.Context, book ledger.BookID) ([]MerchantCredential, error) {
	rows, err := storage.All(ctx, s.db, scanMerchant, listMerchants, string(book), maxMerchants)
	if err != nil {
		return nil, err
	}
	credentials := make([]MerchantCredential, len(rows))
	for i := range rows {
		credentials[i] = rows[i].MerchantCredential
	}
	return credentials, nil
}

// FindMerchant returns a signing credential, or fault.NotFound.
func (s *Service) FindMerchant(ctx context.Context, ref MerchantRef) (MerchantCredential, error) {
	found, err := findMerchant(ctx, s.db, readMerchant, ref)
	return found.MerchantCredential, err
}

// sealedMerchant is a row with its secrets.
type sealedMerchant struct {
	MerchantCredential
	secret   []byte
	previous []byte // nil: none
	owner    Owner
}

func findMerchant(ctx context.Context, q storage.Queryer, read *storage.Statement, ref MerchantRef) (sealedMerchant, error) {
	found, ok, err := storage.One(ctx, q, scanMerchant, read, string(ref.Book), string(ref.ClientID))
	if err == nil && !ok {
		err = notFound("signing credential", clip(string(ref.ClientID)))
	}
	return found, err
}

// MerchantRotation says how a signing credential is rotated.
type MerchantRotation struct {
	Grace time.Duration // for which the secret before works on, at most 30 days
	Also  storage.Also[IssuedMerchant]
}

// RotateMerchant makes a new secret. The one before works for the grace more. There are
// never three: while a grace runs, another rotation with a grace is fault.InvalidState; one
// without ends every older secret at once.
func (s *Service) RotateMerchant(ctx context.Context, actor string, ref MerchantRef, r MerchantRotation) (IssuedMerchant, error) {
	if err := checkGrace(r.Grace); err != nil {
		return IssuedMerchant{}, err
	}
	secret := pan.NewSecret(merchantSecretPrefix + randomText(randomLen))
	sealed, err := s.sealMerchant(ref.ClientID, secret)
	if err != nil {
		return IssuedMerchant{}, err
	}
	changed, err := s.changeMerchant(ctx, actor, ref, func(ctx context.Context, c *change, m *sealedMerchant) error {
		if r.Grace > 0 && c.at.Before(m.GraceUntil) {
			return fault.New(fault.InvalidState, "two secrets work until %s", m.GraceUntil.Format(time.RFC3339))
		}
		m.previous, m.GraceUntil = nil, time.Time{}
		if r.Grace > 0 {
			m.previous, m.GraceUntil = m.secret, c.at.Add(r.Grace)
		}
		m.secret, m.RotatedAt = sealed, c.at
		if err := c.recordMerchant(ctx, "merchant.rotate", &m.MerchantCredential, map[string]string{"grace": r.Grace.String()}); err != nil {
			return err
		}
		return r.Also.Apply(ctx, c.Tx, IssuedMerchant{MerchantCredential: m.MerchantCredential, Secret: secret})
	})
	if err != nil {
		return IssuedMerchant{}, err
	}
	return IssuedMerchant{MerchantCredential: changed, Secret: secret}, nil
}

// SetMerchantState enables or disables a signing credential. The same state again changes nothing.
func (s *Service) SetMerchantState(ctx context.Context, actor string, ref MerchantRef, to MerchantState) (MerchantCredential, error) {
	if to != MerchantActive && to != MerchantDisabled {
		return MerchantCredential{}, invalid("state", "want active or disabled")
	}
	return s.changeMerchant(ctx, actor, ref, func(ctx context.Context, c *change, m *sealedMerchant) error {
		if m.State == to {
			return nil
		}
		m.State = to
		return c.recordMerchant(ctx, "merchant."+string(to), &m.MerchantCredential, nil)
	})
}

// changeMerchant lets edit change the row, locked with its book, writes it back and forgets what memory knew of it.
func (s *Service) changeMerchant(ctx context.Context, actor string, ref MerchantRef, edit func(context.Context, *change, *sealedMerchant) error) (MerchantCredential, error) {
	var changed MerchantCredential
	err := s.write(ctx, actor, func(ctx context.Context, c *change) error {
		m, err := findMerchant(ctx, c, lockMerchant, ref)
		if err != nil {
			return err
		}
		if err := edit(ctx, c, &m); err != nil {
			return err
		}
		changed = m.MerchantCredential
		write := updateMerchant.With(string(ref.Book), string(ref.ClientID), string(m.State), m.secret, storage.NullBytes(m.previous),
			storage.NullMicros(m.GraceUntil), storage.Micros(m.RotatedAt))
		return c.Apply(ctx, []storage.Effect{write.Exactly(1)})
	})
	s.forgetMerchant(ref.ClientID)
	return changed, err
}

func (s *Service) forgetMerchant(client ClientID) {
	s.merchants.Forget(func(g *merchantGrant) bool { return g.merchant.Credential == string(client) })
}

// merchantScopes is what a signed request may do.
func merchantScopes() Scopes {
	return NewScopes(ScopeGiftcardRead, ScopeGiftcardWrite, ScopeGiftcardRedeem)
}

// Merchant is who signs with a client id, and the secrets that may have signed.
type Merchant struct {
	Principal
	Secret   pan.Secret
	Previous pan.Secret // the secret before while its grace runs, else empty
}

// merchantGrant is what memory keeps of a signing credential.
type merchantGrant struct {
	merchant   Merchant
	graceUntil time.Time
	use        use
}

// MerchantSecret returns who signs with a client id. A client id that is missing,
// malformed, unknown, disabled or of a suspended customer is
// fault.CredentialsInvalid: nothing is proved yet, so nothing is told. The caller
// must check the signature before it believes the Principal.
func (s *Service) MerchantSecret(ctx context.Context, client string) (Merchant, error) {
	now := s.now()
	g, err := s.findMerchantGrant(ctx, client, now)
	if err != nil {
		return Merchant{}, err
	}
	found := g.merchant
	if !now.Before(g.graceUntil) {
		found.Previous = pan.Secret{}
	}
	return found, nil
}

func (s *Service) findMerchantGrant(ctx context.Context, client string, now time.Time) (*merchantGrant, error) {
	if !clientIDForm.MatchString(client) {
		return nil, errCredentials()
	}
	load := func(ctx context.Context) (*merchantGrant, bool, error) { return s.loadMerchant(ctx, client) }
	g, ok, err := s.merchants.Find(ctx, memo.Query{Key: digest(client), Now: now}, load)
	if err != nil {
		return nil, fmt.Errorf("authenticate merchant: %w", err)
	}
	if !ok {
		return nil, errCredentials()
	}
	return g, nil
}

func (s *Service) loadMerchant(ctx context.Context, client string) (*merchantGrant, bool, error) {
	if client == string(demoClientID) && !s.demo.Load() {
		return nil, false, nil
	}
	client = strings.Clone(client) // it may be a part of a whole request
	book, ok, err := storage.One(ctx, s.db, storage.Scalar[string], readClient, client)
	if err != nil || !ok {
		return nil, false, err
	}
	m, err := findMerchant(ctx, s.db, readMerchant, MerchantRef{ledger.BookID(book), ClientID(client)})
	if fault.CodeOf(err) == fault.NotFound {
		return nil, false, nil
	}
	if err != nil || m.State != MerchantActive || m.owner.State != Active {
		return nil, false, err
	}
	g := &merchantGrant{graceUntil: m.GraceUntil, use: use{used: used{useMerchant, book, client}}}
	g.merchant.Principal = Principal{
		Customer: m.owner.Customer, Book: m.Book, Realm: m.Realm, Credential: client, Scopes: merchantScopes(),
	}
	if g.merchant.Secret, err = s.unsealMerchant(client, m.secret); err != nil {
		return nil, false, err
	}
	g.merchant.Previous, err = s.unsealMerchant(client, m.previous)
	return g, err == nil, err
}

// unsealMerchant returns the empty secret for nil.
func (s *Service) unsealMerchant(client string, sealed []byte) (pan.Secret, error) {
	if sealed == nil {
		return pan.Secret{}, nil
	}
	plain, err := s.vault.Unseal(purposeMerchantSecret, client, sealed)
	if err != nil {
		return pan.Secret{}, fmt.Errorf("merchant %s: %w", client, err)
	}
	return pan.NewSecret(string(plain)), nil
}
