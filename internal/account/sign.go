package account

import (
	"context"
	"crypto"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"regexp"
	"sync"
	"time"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/memo"
	"github.com/scripcards/scrip/internal/platform/storage"
)

// MaxSkew is how far a signed request's timestamp may be from the machine's clock, either way.
const MaxSkew = 10 * time.Second

const (
	// nonceMemory is how long a nonce is remembered at least: longer than a
	// timestamp from MaxSkew ahead stays acceptable, which is twice MaxSkew.
	nonceMemory = 30 * time.Second
	// nonceRoom bounds the nonces of one nonceMemory; there are at most two in memory.
	nonceRoom = 131_072
)

var nonceForm = regexp.MustCompile(`^[A-Za-z0-9]{1,32}$`)

// UseNonce accepts a nonce of a client id once. The caller has checked the
// signature over it and over the timestamp at. It returns fault.NonceInvalid when
// the nonce is malformed or was used, fault.TimestampSkewed when at is more than
// MaxSkew from now, fault.CredentialsInvalid when the client id does not work, and
// fault.Overloaded when memory is full.
//
// Where other processes share the database, each nonce is a row of it. Otherwise
// memory suffices but for a restart, which is covered so: timestamps before this
// process began are fault.TimestampSkewed (sign again), and a nonce is a row after
// all when its timestamp is not in the past yet or the process is younger than
// nonceMemory. What an earlier process accepted is thus either too old or known.
func (s *Service) UseNonce(ctx context.Context, clientID, nonce string, at time.Time) error {
	now := s.now()
	if at.Sub(now).Abs() > MaxSkew {
		return fault.New(fault.TimestampSkewed, "the timestamp is more than %s from the server's clock", MaxSkew)
	}
	if !nonceForm.MatchString(nonce) {
		return fault.New(fault.NonceInvalid, "want a nonce of 1 to 32 letters and digits")
	}
	g, err := s.findMerchantGrant(ctx, clientID, now)
	if err != nil {
		return err
	}
	shared := s.db.Shared()
	young := now.Sub(s.started).Abs() < nonceMemory
	if !shared && young && at.Before(s.started) {
		return fault.New(fault.TimestampSkewed, "the timestamp is from before this server started")
	}
	fresh, full := s.nonces.add(nonceKey(clientID, nonce), now)
	if !fresh {
		return errNonceUsed()
	}
	if full && !shared {
		return fault.New(fault.Overloaded, "too many signed requests").After(time.Second)
	}
	if shared || young || !at.Before(now) {
		if err := s.insertNonce(ctx, g, nonce, now); err != nil {
			return err
		}
	}
	s.used.note(&g.use, now)
	return nil
}

func errNonceUsed() error { return fault.New(fault.NonceInvalid, "the nonce was used before") }

func (s *Service) insertNonce(ctx context.Context, g *merchantGrant, nonce string, now time.Time) error {
	row := []any{string(g.merchant.Book), g.merchant.Credential, nonce, storage.Micros(now)}
	err := s.db.Write(ctx, func(ctx context.Context, tx *storage.Tx) error {
		return tx.ExecRows(ctx, insertNonce, [][]any{row})
	})
	if storage.IsUnique(err) {
		return errNonceUsed()
	}
	if err != nil {
		return fmt.Errorf("use nonce: %w", err)
	}
	return nil
}

// PurgeNonces removes the rows of nonces whose timestamps can no longer be accepted.
func (s *Service) PurgeNonces(ctx context.Context) error {
	_, err := s.db.Purge(ctx, purgeNonces, storage.Micros(s.now().Add(-nonceMemory)))
	return err
}

// nonceSet is the nonces of the last nonceMemory and of the one before. The zero value is empty.
type nonceSet struct {
	mu     sync.Mutex
	began  time.Time
	recent map[[16]byte]struct{}
	before map[[16]byte]struct{}
}

// nonceKey fits any client id and nonce into a few bytes. The separator is in neither.
func nonceKey(clientID, nonce string) [16]byte {
	sum := sha256.Sum256([]byte(clientID + "\n" + nonce))
	return [16]byte(sum[:16])
}

// add reports whether key is new; full says that it was not remembered for lack of room.
func (n *nonceSet) add(key [16]byte, now time.Time) (fresh, full bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.turn(now)
	_, recent := n.recent[key]
	_, before := n.before[key]
	if recent || before {
		return false, false
	}
	if len(n.recent) >= nonceRoom {
		return true, true
	}
	n.recent[key] = struct{}{}
	return true, false
}

// turn begins a new map when the recent one is full of age, or when the machine's clock went back.
func (n *nonceSet) turn(now time.Time) {
	age := now.Sub(n.began)
	if n.recent != nil && age >= 0 && age < nonceMemory {
		return
	}
	n.before = n.recent
	if age >= 2*nonceMemory {
		n.before = nil
	}
	n.recent, n.began = make(map[[16]byte]struct{}), now
}

// ChallengeLife is how long a challenge can be signed.
const ChallengeLife = 5 * time.Minute

const (
	challengePrefix = "chl_"
	// A challenge is when it ends, random bytes, and a proof that this installation made
	// it for that book; it is a row of the database only once it was used.
	challengeRandom = 16
	challengeProof  = 16
	challengeBytes  = 8 + challengeRandom + challengeProof

	minSignerBits = 2048
	maxSignerBits = 8192
	maxSignerText = 4096 // bytes of PEM
)

// Signer is the public key with which the requests of a book must be signed.
type Signer struct {
	Book ledger.BookID
	// PublicKey is an RSA key of 2048 to 8192 bits in PEM; empty: requests need no signature.
	PublicKey string
	// Fingerprint is the SHA-256 of the key's DER form in hex, as openssl shows it.
	Fingerprint string
	ChangedAt   time.Time
	key         *rsa.PublicKey
}

// parseSigner reads a public key in either of the forms that openssl writes.
func parseSigner(text string) (*rsa.PublicKey, []byte, error) {
	wrong := invalid("public_key", "want an RSA public key of %d to %d bits in PEM", minSignerBits, maxSignerBits)
	block, rest := pem.Decode([]byte(text))
	if len(text) > maxSignerText || block == nil || len(rest) > 0 {
		return nil, nil, wrong
	}
	var key *rsa.PublicKey
	switch block.Type {
	case "PUBLIC KEY":
		parsed, err := x509.ParsePKIXPublicKey(block.Bytes)
		if err != nil {
			return nil, nil, wrong
		}
		key, _ = parsed.(*rsa.PublicKey)
	case "RSA PUBLIC KEY":
		key, _ = x509.ParsePKCS1PublicKey(block.Bytes)
	}
	if key == nil || key.N.BitLen() < minSignerBits || key.N.BitLen() > maxSignerBits {
		return nil, nil, wrong
	}
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return nil, nil, wrong
	}
	return key, der, nil
}

// SetSigner has the requests of a book signed from now on, or with an empty key no more.
// Other processes follow within two seconds. It returns fault.InvalidRequest and fault.NotFound.
func (s *Service) SetSigner(ctx context.Context, actor string, book ledger.BookID, publicKey string) (Signer, error) {
	made := Signer{Book: book}
	if publicKey != "" {
		_, der, err := parseSigner(publicKey)
		if err != nil {
			return Signer{}, err
		}
		sum := sha256.Sum256(der)
		made.PublicKey, made.Fingerprint = string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})), hex.EncodeToString(sum[:])
	}
	err := s.write(ctx, actor, func(ctx context.Context, c *change) error {
		owner, err := findOwner(ctx, c, lockBook, book)
		if err != nil {
			return err
		}
		before, _, err := storage.One(ctx, c, scanSigner, readSigner, string(book))
		if err != nil {
			return err
		}
		if before.PublicKey == made.PublicKey {
			made.ChangedAt = before.ChangedAt
			return nil
		}
		made.ChangedAt = c.at
		if err := c.Apply(ctx, []storage.Effect{upsertSigner.Row(string(book), made.PublicKey, storage.Micros(c.at))}); err != nil {
			return err
		}
		action, detail := "signer.set", map[string]string{"sha256": made.Fingerprint}
		if publicKey == "" {
			action, detail = "signer.remove", nil
		}
		return c.record(ctx, note{action: action, subject: string(book), book: book, realm: owner.Realm, detail: detail})
	})
	s.signers.Forget(func(found Signer) bool { return found.Book == book })
	return made, err
}

// FindSigner returns the key with which the requests of a book must be signed, and
// whether they must be.
func (s *Service) FindSigner(ctx context.Context, book ledger.BookID) (Signer, bool, error) {
	load := func(ctx context.Context) (Signer, bool, error) { return s.loadSigner(ctx, book) }
	found, signs, err := s.signers.Find(ctx, memo.Query{Key: sha256.Sum256([]byte(book)), Now: s.now()}, load)
	if err != nil {
		return Signer{}, false, fmt.Errorf("find signer: %w", err)
	}
	return found, signs, nil
}

func (s *Service) loadSigner(ctx context.Context, book ledger.BookID) (Signer, bool, error) {
	found, ok, err := storage.One(ctx, s.db, scanSigner, readSigner, string(book))
	if err != nil || !ok || found.PublicKey == "" {
		return Signer{}, false, err
	}
	var der []byte
	if found.key, der, err = parseSigner(found.PublicKey); err != nil {
		return Signer{}, false, fmt.Errorf("signer of book %s: %w", book, err)
	}
	sum := sha256.Sum256(der)
	found.Fingerprint = hex.EncodeToString(sum[:])
	return found, true, nil
}

// Challenge returns a text for a book to sign, and until when.
func (s *Service) Challenge(book ledger.BookID) (challenge string, until time.Time) {
	until = s.now().Add(ChallengeLife).Truncate(time.Second)
	raw := binary.BigEndian.AppendUint64(make([]byte, 0, challengeBytes), uint64(until.Unix()))
	raw = raw[:8+challengeRandom]
	_, _ = rand.Read(raw[8:]) // never fails: crypto/rand ends the process instead
	raw = append(raw, s.challengeProof(book, raw)...)
	return challengePrefix + base64.RawURLEncoding.EncodeToString(raw), until
}

func (s *Service) challengeProof(book ledger.BookID, raw []byte) []byte {
	return s.vault.Hash(purposeChallenge, string(book)+"\n"+hex.EncodeToString(raw))[:challengeProof]
}

// UseChallenge accepts a challenge once, within its five minutes, with a signature over
// its text: RSA with SHA-256 as PKCS #1 v1.5 pads it, in base64. It returns
// fault.NonceInvalid for a challenge that is missing, not the book's, over its time or
// used, and fault.SignatureInvalid for what is wrong with the signature; a wrong
// signature does not use the challenge up.
func (s *Service) UseChallenge(ctx context.Context, signer Signer, challenge, signature string) error {
	until, err := s.judgeChallenge(signer.Book, challenge)
	if err != nil {
		return err
	}
	if err := signer.check(challenge, signature); err != nil {
		return err
	}
	used := sha256.Sum256([]byte(challenge))
	err = s.db.Write(ctx, func(ctx context.Context, tx *storage.Tx) error {
		return tx.ExecRows(ctx, insertChallenge, [][]any{{string(signer.Book), used[:], storage.Micros(until)}})
	})
	if storage.IsUnique(err) {
		return fault.New(fault.NonceInvalid, "X-API-Challenge was used before: ask for another")
	}
	if err != nil {
		return fmt.Errorf("use challenge: %w", err)
	}
	return nil
}

// judgeChallenge returns when a challenge ends that this installation made for the book.
func (s *Service) judgeChallenge(book ledger.BookID, challenge string) (until time.Time, err error) {
	if challenge == "" {
		return until, fault.New(fault.NonceInvalid, "X-API-Challenge is missing: this account signs its requests")
	}
	wrong := fault.New(fault.NonceInvalid, "X-API-Challenge is not one that was made for this account")
	if len(challenge) != len(challengePrefix)+base64.RawURLEncoding.EncodedLen(challengeBytes) || challenge[:len(challengePrefix)] != challengePrefix {
		return until, wrong
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(challenge[len(challengePrefix):])
	if err != nil || len(raw) != challengeBytes { // line ends in it are skipped, and make it shorter
		return until, wrong
	}
	body, proof := raw[:8+challengeRandom], raw[8+challengeRandom:]
	if !hmac.Equal(proof, s.challengeProof(book, body)) {
		return until, wrong
	}
	until = time.Unix(int64(binary.BigEndian.Uint64(body[:8])), 0)
	if !s.now().Before(until) {
		return until, fault.New(fault.NonceInvalid, "X-API-Challenge is older than five minutes: ask for another")
	}
	return until, nil
}

func (s *Signer) check(challenge, signature string) error {
	if signature == "" {
		return fault.New(fault.SignatureInvalid, "X-API-Signature is missing: this account signs its requests")
	}
	if len(signature) > 2*maxSignerBits/8 {
		return fault.New(fault.SignatureInvalid, "X-API-Signature is too long")
	}
	raw, err := base64.StdEncoding.DecodeString(signature)
	if err != nil {
		return fault.New(fault.SignatureInvalid, "X-API-Signature is not base64")
	}
	sum := sha256.Sum256([]byte(challenge))
	if rsa.VerifyPKCS1v15(s.key, crypto.SHA256, sum[:], raw) != nil {
		return fault.New(fault.SignatureInvalid, "X-API-Signature does not match the challenge and this account's public key")
	}
	return nil
}

// challengeMemory is how much longer a used challenge is remembered than it works, for
// processes whose clocks differ.
const challengeMemory = time.Minute

// PurgeChallenges removes the rows of challenges whose time is over.
func (s *Service) PurgeChallenges(ctx context.Context) error {
	_, err := s.db.Purge(ctx, purgeChallenges, storage.Micros(s.now().Add(-challengeMemory)))
	return err
}
