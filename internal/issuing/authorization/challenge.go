package authorization

import (
	"context"
	"database/sql"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/id"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/core/plain"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/issuing"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/webhook"
)

// ChallengeStatus is where a 3-D Secure challenge is in its life.
type ChallengeStatus string

// The statuses. Too many wrong codes expire a challenge, too.
const (
	ChallengePending   ChallengeStatus = "pending"
	ChallengeCompleted ChallengeStatus = "completed"
	ChallengeExpired   ChallengeStatus = "expired"
)

// Bounds of a challenge.
const (
	ChallengeFor = 5 * time.Minute
	MaxAttempts  = 3
	// challengeGood is how long a payment may be sent with a challenge that was completed.
	challengeGood   = time.Hour
	challengePrefix = "3ds"
	purposeCode     = "authorization.challenge"
)

// Challenge asks a card's owner to prove that a payment online is theirs.
type Challenge struct {
	Book     ledger.BookID
	Realm    realm.Realm
	ID       ChallengeID
	Card     issuing.CardID
	Merchant Merchant // its id, name, MCC and country
	Amount   money.Amount
	// OTP is the code, for the card's owner alone; empty once the challenge has ended.
	OTP      pan.Secret
	Status   ChallengeStatus
	Attempts int // wrong codes
	// Payment is the one that was sent with it; empty before.
	Payment   ID
	CreatedAt time.Time
	ExpiresAt time.Time
	EndedAt   time.Time // zero while pending
	sealed    []byte
}

// NewChallenge asks for a challenge.
type NewChallenge struct {
	Book     ledger.BookID
	Card     issuing.CardID
	Merchant Merchant
	Amount   money.Amount
	// Key makes the call repeatable within the book; empty: it is not.
	Key string
}

const challengeColumns = `book_id, challenge_id, realm, card_id, status, payment_id, merchant_id, merchant_name, mcc, country, currency, amount_minor,
	code_sealed, attempts, created_at, expires_at, ended_at`

const (
	challengesOf = ` FROM authorization_challenges WHERE book_id = $1 AND `
	// inStatus are those in one, or all. One whose time is over has expired, swept or not.
	inStatus = ` AND ($3 = '' OR $3 = CASE WHEN status = 'pending' AND expires_at <= $4 THEN 'expired' ELSE status END)`
	// Those of one card are found by the index of cards. $2 is empty for all cards.
	challengesOfAll  = challengesOf + `$2 = ''` + inStatus
	challengesOfCard = challengesOf + `card_id = $2` + inStatus
	newestChallenges = ` ORDER BY challenge_id DESC LIMIT $5 OFFSET $6`
)

var (
	insertChallenge = storage.Insert("authorization.insert_challenge", "authorization_challenges", "book_id", "challenge_id", "realm", "card_id",
		"status", "message_key", "payment_id", "merchant_id", "merchant_name", "mcc", "country", "currency", "amount_minor", "code_sealed", "attempts",
		"created_at", "expires_at", "ended_at")
	findChallenge = storage.SQL("authorization.find_challenge", `SELECT `+challengeColumns+` FROM authorization_challenges
		WHERE book_id = $1 AND challenge_id = $2`)
	findChallengeByKey = storage.SQL("authorization.find_challenge_by_key", `SELECT `+challengeColumns+` FROM authorization_challenges
		WHERE book_id = $1 AND message_key = $2`)
	lockChallenge = storage.SQL("authorization.lock_challenge", `SELECT `+challengeColumns+` FROM authorization_challenges
		WHERE book_id = $1 AND challenge_id = $2 {lock}`)
	listChallenges        = storage.SQL("authorization.list_challenges", `SELECT `+challengeColumns+challengesOfAll+newestChallenges)
	countChallenges       = storage.SQL("authorization.count_challenges", `SELECT COUNT(*)`+challengesOfAll)
	listChallengesOfCard  = storage.SQL("authorization.list_challenges_of_card", `SELECT `+challengeColumns+challengesOfCard+newestChallenges)
	countChallengesOfCard = storage.SQL("authorization.count_challenges_of_card", `SELECT COUNT(*)`+challengesOfCard)

	saveChallenge = storage.SQL("authorization.save_challenge", `UPDATE authorization_challenges SET status = $3, attempts = $4, code_sealed = $5,
		ended_at = $6 WHERE book_id = $1 AND challenge_id = $2`)
	useChallenge = storage.SQL("authorization.use_challenge", `UPDATE authorization_challenges SET payment_id = $3
		WHERE book_id = $1 AND challenge_id = $2 AND status = 'completed' AND payment_id = ''`)
	endChallenges = storage.SQL("authorization.end_challenges", `UPDATE authorization_challenges SET status = 'expired', code_sealed = NULL, ended_at = expires_at
		WHERE status = 'pending' AND realm = $1 AND expires_at <= $2`)
)

func scanChallenge(r storage.Row) (*Challenge, error) {
	var (
		c                Challenge
		currency         string
		created, expires int64
		ended            sql.NullInt64
	)
	m := &c.Merchant
	err := r.Scan((*string)(&c.Book), (*string)(&c.ID), (*string)(&c.Realm), (*string)(&c.Card), (*string)(&c.Status), (*string)(&c.Payment), &m.ID, &m.Name,
		&m.MCC, &m.Country, &currency, &c.Amount.Minor, &c.sealed, &c.Attempts, &created, &expires, &ended)
	if err != nil {
		return nil, err
	}
	c.CreatedAt, c.ExpiresAt, c.EndedAt = storage.Time(created), storage.Time(expires), storage.NullTime(ended)
	c.Amount.Currency, err = money.Parse(currency)
	return &c, err
}

func unknownChallenge() error { return fault.New(fault.NotFound, "no such 3-D Secure challenge") }

// Challenge begins a challenge: its code is for the card's owner, who finds it here or in
// the event. It returns not_found, invalid_request, invalid_amount, currency_mismatch, or
// invalid_state for a card that cannot pay.
func (s *Service) Challenge(ctx context.Context, n NewChallenge) (*Challenge, error) {
	if n.Amount.IsNegative() || !n.Amount.Currency.IsValid() {
		return nil, fault.New(fault.InvalidAmount, "the amount must be in a currency and not below zero").At("amount")
	}
	if err := n.Merchant.check(); err != nil {
		return nil, err
	}
	if !plain.LineBytes(n.Key, 0, maxKey) {
		return nil, fault.New(fault.InvalidRequest, "the key must have at most %d bytes of plain text", maxKey).At("key")
	}
	card, err := s.Cards.Find(ctx, n.Book, n.Card)
	if err != nil {
		return nil, err
	}
	if n.Amount.Currency != card.BIN.Currency {
		return nil, offCurrency(card)
	}
	at := s.Clocks.Now(card.Realm)
	if first, err := s.repeatedChallenge(ctx, n, at); first != nil || err != nil {
		return first, err
	}
	if reason := standing(card, at); reason != ReasonNone {
		sentence, _ := reason.words()
		return nil, fault.New(fault.InvalidState, "%s", sentence)
	}
	return s.newChallenge(ctx, card, n, at)
}

// repeatedChallenge returns the challenge that was begun under the same key, if there is one.
func (s *Service) repeatedChallenge(ctx context.Context, n NewChallenge, at time.Time) (*Challenge, error) {
	if n.Key == "" {
		return nil, nil
	}
	first, ok, err := storage.One(ctx, s.DB, scanChallenge, findChallengeByKey, string(n.Book), n.Key)
	if err != nil || !ok {
		return nil, err
	}
	if first.Card != n.Card || first.Amount != n.Amount || first.Merchant != first.keeps(n.Merchant) {
		return nil, fault.New(fault.IdempotencyConflict, "the key was used for something else, challenge %s", first.ID).At("key")
	}
	if err := storage.Settle(ctx, s.DB); err != nil {
		return nil, err
	}
	return s.shown(first, at)
}

// keeps is what is kept of a merchant.
func (*Challenge) keeps(m Merchant) Merchant {
	return Merchant{ID: m.ID, Name: m.Name, MCC: m.MCC, Country: m.Country}
}

func (s *Service) newChallenge(ctx context.Context, card *issuing.Card, n NewChallenge, at time.Time) (*Challenge, error) {
	code, err := s.draw(otpDigits)
	if err != nil {
		return nil, err
	}
	c := &Challenge{Book: card.Book, Realm: card.Realm, ID: ChallengeID(id.New(challengePrefix)), Card: card.ID, Amount: n.Amount, OTP: pan.NewSecret(code),
		Status: ChallengePending, CreatedAt: at, ExpiresAt: at.Add(ChallengeFor)}
	c.Merchant = c.keeps(n.Merchant)
	if c.sealed, err = s.Vault.Seal(purposeCode, string(c.ID), []byte(code)); err != nil {
		return nil, err
	}
	data := (&webhook.Data{}).Text("challenge_id", string(c.ID)).Text("card_id", string(c.Card)).Text("merchant_name", c.Merchant.Name).
		Text("amount", c.Amount.String()).Text("currency", c.Amount.Currency.String()).Text("otp", code).
		Text("expires_at", c.ExpiresAt.Format(time.RFC3339))
	effects := append([]storage.Effect{insertChallenge.Row(string(c.Book), string(c.ID), string(c.Realm), string(c.Card), string(c.Status),
		storage.NullText(n.Key), "", c.Merchant.ID, c.Merchant.Name, c.Merchant.MCC, c.Merchant.Country, c.Amount.Currency.String(), c.Amount.Minor,
		c.sealed, 0, storage.Micros(c.CreatedAt), storage.Micros(c.ExpiresAt), nil)},
		s.Outbox.Effects(webhook.Event{Book: c.Book, Realm: c.Realm, Type: eventChallenge, Data: data.JSON(), Sensitive: true, At: at})...)
	err = s.DB.Apply(ctx, effects)
	if storage.IsUnique(err) {
		return s.repeatedChallenge(ctx, n, at)
	}
	return c, err
}

// shown completes a challenge for its card's owner.
func (s *Service) shown(c *Challenge, now time.Time) (*Challenge, error) {
	if c.Status == ChallengePending && !now.Before(c.ExpiresAt) {
		c.Status, c.EndedAt = ChallengeExpired, c.ExpiresAt
	}
	if c.Status != ChallengePending {
		return c, nil
	}
	code, err := s.Vault.Unseal(purposeCode, string(c.ID), c.sealed)
	c.OTP = pan.NewSecret(string(code))
	return c, err
}

// CompleteChallenge proves a challenge with its code. A wrong code is invalid_request with
// the detail attempts_left; one that has ended is invalid_state. Completing it again is fine.
func (s *Service) CompleteChallenge(ctx context.Context, book ledger.BookID, challenge ChallengeID, otp pan.Secret) (*Challenge, error) {
	if !id.Valid(challengePrefix, string(challenge)) {
		return nil, unknownChallenge()
	}
	var (
		found   *Challenge
		refusal error
	)
	err := s.DB.Write(ctx, func(ctx context.Context, tx *storage.Tx) error {
		var ok bool
		var err error
		found, ok, err = storage.One(ctx, tx, scanChallenge, lockChallenge, string(book), string(challenge))
		if err == nil && !ok {
			err = unknownChallenge()
		}
		if err != nil {
			return err
		}
		now := s.Clocks.Now(found.Realm)
		shown, err := s.shown(found, now)
		if err != nil {
			return err
		}
		refusal = shown.answer(shown.OTP.Equal(otp), now)
		_, err = tx.Exec(ctx, saveChallenge, string(book), string(challenge), string(shown.Status), shown.Attempts, storage.NullBytes(shown.sealed),
			storage.NullMicros(shown.EndedAt))
		return err
	})
	if err == nil {
		err = refusal // the attempt is counted all the same
	}
	if err != nil {
		return nil, err
	}
	return found, nil
}

// answer takes account of a code, and returns why it does not complete the challenge.
func (c *Challenge) answer(right bool, now time.Time) error {
	switch {
	case c.Status == ChallengeCompleted:
		return nil
	case c.Status == ChallengeExpired: // it may not be swept yet
		c.sealed = nil
		return fault.New(fault.InvalidState, "the challenge has expired: begin another")
	case right:
		c.Status, c.EndedAt, c.sealed, c.OTP = ChallengeCompleted, now, nil, pan.Secret{}
		return nil
	}
	c.Attempts++
	if c.Attempts >= MaxAttempts {
		c.Status, c.EndedAt, c.sealed, c.OTP = ChallengeExpired, now, nil, pan.Secret{}
		return fault.New(fault.InvalidRequest, "the code is wrong, once too often: begin another challenge").At("otp").With("attempts_left", "0")
	}
	return fault.New(fault.InvalidRequest, "the code is wrong").At("otp").With("attempts_left", string('0'+rune(MaxAttempts-c.Attempts)))
}

// FindChallenge returns a challenge of a book with its code, while it is pending, or not_found.
func (s *Service) FindChallenge(ctx context.Context, book ledger.BookID, challenge ChallengeID) (*Challenge, error) {
	if !id.Valid(challengePrefix, string(challenge)) {
		return nil, unknownChallenge()
	}
	found, ok, err := storage.One(ctx, s.DB, scanChallenge, findChallenge, string(book), string(challenge))
	if err == nil && !ok {
		err = unknownChallenge()
	}
	if err != nil {
		return nil, err
	}
	return s.shown(found, s.Clocks.Now(found.Realm))
}

// ChallengeFilter says which challenges of a book to list, newest first.
type ChallengeFilter struct {
	Book   ledger.BookID
	Realm  realm.Realm // the book's
	Card   issuing.CardID
	Status ChallengeStatus // empty: all
	Offset int             // at most a million
	Limit  int             // DefaultPerPage when 0, MaxPerPage at most
}

// ChallengePage is some of the challenges that a filter finds.
type ChallengePage struct {
	Challenges []*Challenge
	// Total is how many there are on all pages.
	Total int
}

// ListChallenges returns a page of a book's challenges, pending ones with their codes. It
// returns invalid_request for a filter outside its bounds.
func (s *Service) ListChallenges(ctx context.Context, f ChallengeFilter) (ChallengePage, error) {
	if f.Limit == 0 {
		f.Limit = DefaultPerPage
	}
	known := f.Status == "" || f.Status == ChallengePending || f.Status == ChallengeCompleted || f.Status == ChallengeExpired
	if !known || f.Limit < 1 || f.Limit > MaxPerPage || f.Offset < 0 || f.Offset > maxOffset {
		return ChallengePage{}, fault.New(fault.InvalidRequest, "want status pending, completed or expired and 1 to %d challenges a page", MaxPerPage)
	}
	now := s.Clocks.Now(f.Realm)
	args := []any{string(f.Book), string(f.Card), string(f.Status), storage.Micros(now)}
	list, count := listChallenges, countChallenges
	if f.Card != "" {
		list, count = listChallengesOfCard, countChallengesOfCard
	}
	var page ChallengePage
	err := s.DB.Snapshot(ctx, func(ctx context.Context, q storage.Queryer) (err error) {
		if page.Challenges, err = storage.All(ctx, q, scanChallenge, list, append(args, f.Limit, f.Offset)...); err != nil {
			return err
		}
		page.Total, err = storage.Total(ctx, q, storage.Read{Offset: f.Offset, Limit: f.Limit, Rows: len(page.Challenges)}, count, args...)
		return err
	})
	for _, c := range page.Challenges {
		if err == nil {
			_, err = s.shown(c, now)
		}
	}
	return page, err
}

// challenged returns why a payment is declined for the challenge that it was sent with, or
// lacks: one that was completed for this card and merchant and at least this amount, less
// than an hour ago, and was not used before. Only such a one is the payment's.
func (s *Service) challenged(ctx context.Context, a *attempt) (Reason, error) {
	r := a.request
	if r.Challenge == "" {
		if s.Policy.ChallengeAt > 0 && a.score >= s.Policy.ChallengeAt && r.Entry == Online && a.card.BIN.ThreeDS {
			return ReasonChallenge, nil
		}
		return ReasonNone, nil
	}
	c, err := s.FindChallenge(ctx, a.card.Book, r.Challenge)
	if fault.CodeOf(err) == fault.NotFound {
		return ReasonChallenge, nil
	}
	if err != nil {
		return ReasonNone, err
	}
	if c.Status != ChallengeCompleted || c.Payment != "" || c.Card != a.card.ID || r.Amount.Minor > c.Amount.Minor ||
		!c.of(&r.Merchant) || !a.at.Before(c.EndedAt.Add(challengeGood)) {
		return ReasonChallenge, nil
	}
	a.payment.Challenge = c.ID
	return ReasonNone, nil
}

// shownName is how much of a merchant's name card networks have room for: that many
// characters of one byte, or bytes of UTF-8.
const shownName = 25

// of reports whether a payment's merchant is the one that a challenge was for: by the id,
// where the challenge has one, and by the name as far as networks show it.
func (c *Challenge) of(m *Merchant) bool {
	return (c.Merchant.ID == "" || c.Merchant.ID == m.ID) && isShown(c.Merchant.Name, m.Name)
}

// isShown reports whether a name is shown as that, in whatever case and however spaced: all of
// it, or as much as there is room for. None is shown as nothing.
func isShown(name, shown string) bool {
	if characters := []rune(shown); len(characters) > shownName {
		shown = string(characters[:shownName])
	}
	rest, begins := strings.CutPrefix(folded(name), folded(shown))
	if !begins || folded(shown) == "" {
		return false
	}
	next := strings.TrimLeft(rest, " ")
	_, size := utf8.DecodeRuneInString(next)
	return rest == "" || len(shown)+len(rest)-len(next)+size > shownName
}

// folded is a name as it is compared.
func folded(name string) string { return strings.ToUpper(strings.Join(strings.Fields(name), " ")) }

// linked uses up the challenge that a payment was sent with.
func (s *Service) linked(l *line) []storage.Effect {
	if l.payment.Challenge == "" {
		return nil
	}
	return []storage.Effect{useChallenge.With(string(l.payment.Book), string(l.payment.Challenge), string(l.payment.ID)).Exactly(1)}
}

func (s *Service) expireChallenges(ctx context.Context, r realm.Realm) error {
	now := storage.Micros(s.Clocks.Now(r))
	return s.DB.Write(ctx, func(ctx context.Context, tx *storage.Tx) error {
		_, err := tx.Exec(ctx, endChallenges, string(r), now)
		return err
	})
}
