package authorization_test

import (
	"context"
	"crypto/rand"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/issuing"
	"github.com/scripcards/scrip/internal/issuing/authorization"
	"github.com/scripcards/scrip/internal/platform/storage"
	"github.com/scripcards/scrip/internal/testkit/check"
	"github.com/scripcards/scrip/internal/testkit/crowd"
)

func (p *process) challenge(c card, minor int64, m authorization.Merchant) *authorization.Challenge {
	p.t.Helper()
	made, err := p.Challenge(context.Background(), authorization.NewChallenge{Book: c.Book, Card: c.ID, Merchant: m, Amount: usd(minor)})
	check.OK(p.t, err)
	return made
}

// unproved checks that a payment has no challenge that was completed for it.
func (p *process) unproved(d authorization.Decision) {
	p.t.Helper()
	line, err := p.Get(context.Background(), d.Book, d.Transaction)
	check.OK(p.t, err)
	check.Equal(p.t, "the challenge of a payment that was declined", line.Challenge, "")
}

// A challenge has six digits for the card's owner alone, five minutes, and is completed
// with them; the payment that is sent with it uses it up.
func TestChallenge(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := context.Background()
		p.Fraud = &scorer{score: 70}
		c, second := p.issue(ann, binAds, 10_000), p.issue(ann, binAds, 10_000)
		r := p.request(c, 999, ads)
		p.pay(r, authorization.ReasonChallenge)
		made := p.challenge(c, 999, ads)
		if len(made.OTP.Reveal()) != 6 || strings.Trim(made.OTP.Reveal(), "0123456789") != "" || made.Status != authorization.ChallengePending ||
			made.ExpiresAt.Sub(made.CreatedAt) != authorization.ChallengeFor {
			t.Errorf("challenge %+v", made)
		}
		found, err := p.FindChallenge(ctx, ann.Book, made.ID)
		check.OK(t, err)
		if !found.OTP.Equal(made.OTP) || found.Merchant.Name != ads.Name || found.Amount != usd(999) {
			t.Errorf("found %+v", found)
		}
		_, err = p.FindChallenge(ctx, bob.Book, made.ID)
		check.Code(t, "another's challenge", err, fault.NotFound)

		r.Key, r.Challenge = p.key(), made.ID
		p.unproved(p.pay(r, authorization.ReasonChallenge)) // not completed
		done, err := p.CompleteChallenge(ctx, ann.Book, made.ID, made.OTP)
		check.OK(t, err)
		if done.Status != authorization.ChallengeCompleted || !done.OTP.IsZero() {
			t.Errorf("completed %+v", done)
		}
		_, err = p.CompleteChallenge(ctx, ann.Book, made.ID, pan.NewSecret("any"))
		check.OK(t, err)
		for name, change := range map[string]func(*authorization.Request){
			"more":           func(r *authorization.Request) { r.Amount = usd(1_000) },
			"other merchant": func(r *authorization.Request) { r.Merchant = diner },
			"unknown":        func(r *authorization.Request) { r.Challenge = "3ds_01k9zzzzzzzzzzzzzzzzzzzzzz" },
			"another card": func(r *authorization.Request) {
				r.Number, r.CVC, r.Expiry = second.Number, second.CVC, second.Expiry
			},
		} {
			other := r
			other.Key = p.key()
			change(&other)
			d, err := p.Authorize(ctx, other)
			if err != nil || d.Reason != authorization.ReasonChallenge {
				t.Errorf("%s: %+v, %v", name, d, err)
			}
			p.unproved(d)
		}
		approved := make([]bool, 6)
		crowd.AtOnce(len(approved), func(i int) {
			one := r
			one.Key = p.key()
			d, err := p.Authorize(ctx, one)
			check.OK(t, err)
			approved[i] = d.Approved
			if !d.Approved {
				p.unproved(d)
			} else {
				line, err := p.Get(ctx, d.Book, d.Transaction)
				check.OK(t, err)
				check.Equal(t, "the payment's challenge", line.Challenge, made.ID)
				now, err := p.FindChallenge(ctx, ann.Book, made.ID)
				check.OK(t, err)
				check.Equal(t, "the challenge's payment", now.Payment, d.ID)
			}
		})
		count := 0
		for _, yes := range approved {
			if yes {
				count++
			}
		}
		check.Equal(t, "payments with one challenge", count, 1)
		p.verify()
	})
}

// A merchant has its challenge by what a network shows of its name: 25 bytes, cut wherever they
// end, in whatever case and however spaced.
func TestChallengeByName(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := context.Background()
		c := p.issue(ann, binAds, 10_000)
		for _, row := range []struct {
			name, shown string
			want        authorization.Reason
		}{
			{"Northwind Books and Records Ltd", "NORTHWIND BOOKS AND RECOR", ""},
			{"Northwind  Books and Records Ltd", "Northwind  Books and Reco", ""},
			{"Northwind  Books and Records Ltd", "NORTHWIND BOOKS AND RECOR", ""},
			{"Northwind Books and Records Ltd", "Northwind  Books and Reco", ""},
			{"Northwind Books and Musi cians", "Northwind Books and Musi", ""},  // a space had the last byte
			{"Café René Boulangerie Artisanale", "Café René Boulangerie A", ""}, // 25 bytes of UTF-8
			{"Café René Boulangerie Artisanale", "CAFÉ RENÉ BOULANGERIE ART", ""},
			{"Chez Ann Boulangerie des Étangs", "Chez Ann Boulangerie des", ""}, // É had no room
			{"Northwind Books and Records Ltd", "Northwind Books and Records Ltd of Kendal", ""},
			{"東京中央書店新宿東口店", "東京中央書店新宿", ""},
			{"Northwind Books and Records Ltd", "NORTHWIND BOOKS AND RECO", authorization.ReasonChallenge}, // there was room for one more
			{"Café René Boulangerie Artisanale", "Café René Boulangerie", authorization.ReasonChallenge},
			{"Northwind Books and Records Ltd", "NORTHWIND BOOKS AND REPAI", authorization.ReasonChallenge},
			{"Northwind Books and Reco", "NORTHWIND BOOKS AND RECOR", authorization.ReasonChallenge},
			{"Northwind", "", authorization.ReasonChallenge},
			{"", "", authorization.ReasonChallenge},
			{" ", "", authorization.ReasonChallenge},
		} {
			made := p.challenge(c, 1, authorization.Merchant{Name: row.name})
			_, err := p.CompleteChallenge(ctx, ann.Book, made.ID, made.OTP)
			check.OK(t, err)
			r := p.request(c, 1, authorization.Merchant{ID: "M-ANY", Name: row.shown, MCC: "5942"})
			r.Challenge = made.ID
			d, err := p.Authorize(ctx, r)
			check.OK(t, err)
			if d.Reason != row.want {
				t.Errorf("%q for %q: %q, want %q", row.shown, row.name, d.Reason, row.want)
			}
		}
	})
}

// A challenge is good for the hour after it was completed.
func TestChallengeIsGoodForAnHour(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		c := p.issue(ann, binAds, 10_000)
		var requests []authorization.Request
		for range 2 {
			made := p.challenge(c, 100, ads)
			_, err := p.CompleteChallenge(context.Background(), ann.Book, made.ID, made.OTP)
			check.OK(t, err)
			r := p.request(c, 100, ads)
			r.Challenge = made.ID
			requests = append(requests, r)
		}
		p.forward(time.Hour - time.Microsecond)
		p.pay(requests[0], "")
		p.forward(time.Microsecond)
		p.pay(requests[1], authorization.ReasonChallenge)
	})
}

// A check of a card uses a challenge up as a payment does: one of several at once has it.
func TestChallengeOfACheck(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := context.Background()
		c := p.issue(ann, binAds, 10_000)
		made := p.challenge(c, 100, ads)
		_, err := p.CompleteChallenge(ctx, ann.Book, made.ID, made.OTP)
		check.OK(t, err)
		decisions := make([]authorization.Decision, 4)
		crowd.AtOnce(len(decisions), func(i int) {
			r := p.request(c, 0, ads)
			r.Challenge = made.ID
			d, err := p.Authorize(ctx, r)
			check.OK(t, err)
			decisions[i] = d
		})
		var proved []authorization.ID
		for _, d := range decisions {
			if d.Approved {
				proved = append(proved, d.ID)
			} else {
				check.Equal(t, "reason", d.Reason, authorization.ReasonChallenge)
			}
		}
		now, err := p.FindChallenge(ctx, ann.Book, made.ID)
		check.OK(t, err)
		check.Equal(t, "checks with the challenge", proved, []authorization.ID{now.Payment})
		r := p.request(c, 100, ads)
		r.Challenge = made.ID
		p.pay(r, authorization.ReasonChallenge)
	})
}

// Three wrong codes, or five minutes, end a challenge, however many try at once.
func TestChallengeEnds(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := context.Background()
		c := p.issue(ann, binAds, 10_000)
		guessed := p.challenge(c, 100, ads)
		codes := make([]fault.Code, 10)
		crowd.AtOnce(len(codes), func(i int) {
			_, err := p.CompleteChallenge(ctx, ann.Book, guessed.ID, pan.NewSecret("wrong!"))
			codes[i] = fault.CodeOf(err)
		})
		count := map[fault.Code]int{}
		for _, code := range codes {
			count[code]++
		}
		check.Equal(t, "answers", count, map[fault.Code]int{fault.InvalidRequest: 3, fault.InvalidState: 7})
		_, err := p.CompleteChallenge(ctx, ann.Book, guessed.ID, guessed.OTP)
		check.Code(t, "the right code, too late", err, fault.InvalidState)
		r := p.request(c, 100, ads)
		r.Challenge = guessed.ID
		p.unproved(p.pay(r, authorization.ReasonChallenge))

		late := p.challenge(c, 100, ads)
		p.forward(authorization.ChallengeFor - 1)
		_, err = p.CompleteChallenge(ctx, ann.Book, late.ID, pan.NewSecret("wrong!"))
		check.Code(t, "a wrong code", err, fault.InvalidRequest)
		check.Equal(t, "attempts left", fault.From(err).Details["attempts_left"], "2")
		p.forward(1)
		_, err = p.CompleteChallenge(ctx, ann.Book, late.ID, late.OTP)
		check.Code(t, "the right code after five minutes", err, fault.InvalidState)
		swept := p.challenge(c, 100, ads)
		p.forward(authorization.ChallengeFor)
		list := func(status authorization.ChallengeStatus) []authorization.ChallengeID {
			page, err := p.ListChallenges(ctx, authorization.ChallengeFilter{Book: ann.Book, Realm: ann.Realm, Status: status})
			check.OK(t, err)
			var ids []authorization.ChallengeID
			for _, c := range page.Challenges {
				ids = append(ids, c.ID)
				if c.Status != status || !c.OTP.IsZero() {
					t.Errorf("listed %+v", c)
				}
			}
			check.Equal(t, "total", page.Total, len(ids))
			return ids
		}
		expired := []authorization.ChallengeID{swept.ID, late.ID, guessed.ID}
		check.Equal(t, "expired", list(authorization.ChallengeExpired), expired)
		p.expire()
		check.Equal(t, "expired and swept", list(authorization.ChallengeExpired), expired)
		check.Equal(t, "pending", len(list(authorization.ChallengePending)), 0)
		sealed, err := storage.All(ctx, p.DB, storage.Scalar[int], countSealed)
		check.OK(t, err)
		check.Equal(t, "codes that are kept", sealed, []int{0})
	})
}

var countSealed = storage.SQL("test.count_sealed", `SELECT COUNT(*) FROM authorization_challenges WHERE code_sealed IS NOT NULL`)

// meanwhile is a source of random numbers that has something happen before the first of them.
type meanwhile struct {
	once   sync.Once
	happen func()
}

func (m *meanwhile) Read(to []byte) (int, error) {
	m.once.Do(m.happen)
	return rand.Read(to)
}

// Who begins a challenge that another process began under the same key meanwhile has that one.
func TestChallengeBegunMeanwhile(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		c, other := p.issue(ann, binAds, 10_000), join(t, p.DB, p.Clocks)
		n := authorization.NewChallenge{Book: ann.Book, Card: c.ID, Merchant: ads, Amount: usd(100), Key: "once"}
		var first *authorization.Challenge
		p.Random = &meanwhile{happen: func() {
			var err error
			first, err = other.Challenge(context.Background(), n)
			check.OK(t, err)
		}}
		second, err := p.Challenge(context.Background(), n)
		check.OK(t, err)
		if second.ID != first.ID || !second.OTP.Equal(first.OTP) {
			t.Errorf("begun are %s and %s", first.ID, second.ID)
		}
		check.Equal(t, "events", types(p.events(ann)), []string{"3ds.challenge"})
	})
}

// A challenge is told once under its key, with its code in an event that no list shows,
// and refused for a card that cannot pay.
func TestChallengeIsTold(t *testing.T) {
	eachEngine(t, func(t *testing.T, p *process) {
		ctx := context.Background()
		c := p.issue(ann, binAds, 10_000)
		n := authorization.NewChallenge{Book: ann.Book, Card: c.ID, Merchant: ads, Amount: usd(100), Key: "once"}
		ids := make([]authorization.ChallengeID, 8)
		crowd.AtOnce(len(ids), func(i int) {
			made, err := p.Challenge(ctx, n)
			check.OK(t, err)
			ids[i] = made.ID
		})
		for _, id := range ids {
			check.Equal(t, "id", id, ids[0])
		}
		events := p.events(ann)
		check.Equal(t, "events", types(events), []string{"3ds.challenge"})
		if !events[0].Sensitive || events[0].Data != nil {
			t.Errorf("listed event %+v", events[0])
		}
		n.Amount = usd(101)
		_, err := p.Challenge(ctx, n)
		check.Code(t, "another amount", err, fault.IdempotencyConflict)
		_, err = p.Cards.Freeze(ctx, ann, issuing.Step{Card: c.ID})
		check.OK(t, err)
		for name, row := range map[string]struct {
			change func(*authorization.NewChallenge)
			want   fault.Code
		}{
			"frozen":         {func(*authorization.NewChallenge) {}, fault.InvalidState},
			"another's card": {func(n *authorization.NewChallenge) { n.Book = bob.Book }, fault.NotFound},
			"currency":       {func(n *authorization.NewChallenge) { n.Amount = money.New(1, money.EUR) }, fault.CurrencyMismatch},
			"negative":       {func(n *authorization.NewChallenge) { n.Amount = usd(-1) }, fault.InvalidAmount},
			"merchant":       {func(n *authorization.NewChallenge) { n.Merchant.Name = "\x00" }, fault.InvalidRequest},
			"long key":       {func(n *authorization.NewChallenge) { n.Key = strings.Repeat("k", 201) }, fault.InvalidRequest},
		} {
			bad := authorization.NewChallenge{Book: ann.Book, Card: c.ID, Merchant: ads, Amount: usd(100)}
			row.change(&bad)
			_, err := p.Challenge(ctx, bad)
			check.Code(t, name, err, row.want)
		}
		for name, f := range map[string]authorization.ChallengeFilter{
			"unknown status": {Status: "maybe"}, "no page": {Limit: -1}, "large page": {Limit: authorization.MaxPerPage + 1}, "before the first": {Offset: -1},
		} {
			f.Book, f.Realm = ann.Book, ann.Realm
			_, err = p.ListChallenges(ctx, f)
			check.Code(t, name, err, fault.InvalidRequest)
		}
		page, err := p.ListChallenges(ctx, authorization.ChallengeFilter{Book: ann.Book, Realm: ann.Realm, Card: c.ID, Status: authorization.ChallengePending})
		check.OK(t, err)
		if page.Total != 1 || page.Challenges[0].OTP.IsZero() {
			t.Errorf("page %+v", page)
		}
	})
}
