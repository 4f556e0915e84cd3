package portal

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"math/bits"
	"strings"
	"time"

	"github.com/scripcards/scrip/internal/api/wire"
	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/ping"
	portals "github.com/scripcards/scrip/internal/portal"
)

// Pace says how many checks are a person's and how many a machine's.
type Pace struct {
	// Address and Portal are the paces of one address and of one portal. Whoever keeps
	// the first is asked for nothing; what goes beyond it counts against the second, and so on.
	Address, Portal [maxLevel]wire.Window
	// Missed is the pace of one portal's checks that found no card: whoever tries numbers
	// from many addresses keeps the others.
	Missed [maxLevel]wire.Window
	// Most holds for one address, whatever it proves.
	Most []wire.Window
	// Pages is how many pages one address may open.
	Pages wire.Window
	// Risky is the score, in hundredths, from which the next check from an address needs a proof.
	Risky int
	// RiskyFor is for how long.
	RiskyFor time.Duration
}

// DefaultPace is a person with a handful of cards, or an office of them behind one address.
func DefaultPace() Pace {
	const long = 10 * time.Minute
	return Pace{
		Address:  [maxLevel]wire.Window{{Limit: 5, Per: long}, {Limit: 10, Per: long}, {Limit: 20, Per: long}},
		Portal:   [maxLevel]wire.Window{{Limit: 120, Per: time.Minute}, {Limit: 240, Per: time.Minute}, {Limit: 480, Per: time.Minute}},
		Missed:   [maxLevel]wire.Window{{Limit: 100, Per: long}, {Limit: 200, Per: long}, {Limit: 400, Per: long}},
		Most:     []wire.Window{{Limit: 40, Per: time.Hour}, {Limit: 120, Per: 24 * time.Hour}},
		Pages:    wire.Window{Limit: 240, Per: time.Minute},
		Risky:    60,
		RiskyFor: time.Hour,
	}
}

func (p *Pace) isZero() bool { return p.Most == nil }

// maxLevel is the hardest level of a challenge; 0 is none.
const maxLevel = 3

// Visitor is who is asked to prove something.
type Visitor struct {
	Portal portals.Portal
	// Subject stands for the visitor's address; for IPv6 its network.
	Subject string
	// Address is the visitor's IP address.
	Address string
	// Unspent is a token that came back and did not count this time; empty: none.
	Unspent string
}

// Challenge is what a page asks of a visitor.
type Challenge struct {
	// Token goes back with the form; empty: there is none.
	Token string
	// Bits is how many zero bits SHA-256 of the token, a colon and the proof must begin
	// with; 0: there is nothing to compute.
	Bits int
	// Wait is after how long the token counts without a proof; 0: never.
	Wait time.Duration
	// Widget is somebody else's that the visitor answers; nil: none.
	Widget *Widget
}

// Answer is what came back with the form. Both parts may be empty.
type Answer struct{ Token, Proof string }

// Verdict is what an answer is worth.
type Verdict int

// The verdicts.
const (
	// Failed: none came, or it is wrong, used or too old. Ask again.
	Failed Verdict = iota
	// Early: the token is good, and its wait is not over.
	Early
	// Passed: the visitor may go on, this once.
	Passed
)

// Driver makes visitors prove that they are no machines.
type Driver interface {
	// Pose returns what to ask of a visitor; level, 1 to 3, is how hard it should be. A
	// token that is unspent is asked for again: its wait goes on.
	Pose(ctx context.Context, v Visitor, level int) (Challenge, error)
	// Judge says what an answer is worth. An answer passes once.
	Judge(ctx context.Context, v Visitor, a Answer) (Verdict, error)
	// Field is the form's field that the proof comes in.
	Field() string
}

func (v *Visitor) addressSubject(kind string) string { return "portal/" + kind + "/" + v.Subject }

func (v *Visitor) portalSubject(kind string) string {
	return "portal/" + kind + "/" + string(v.Portal.ID)
}

// level says how hard a challenge the visitor's next check needs; 0: none. It counts nothing.
func (s *Site) level(ctx context.Context, v *Visitor) (int, error) {
	byAddress, err := s.measure(ctx, v.addressSubject("pace"), s.Pace.Address, 0)
	if err != nil {
		return 0, err
	}
	byPortal, err := s.measure(ctx, v.portalSubject("pace"), s.Pace.Portal, 0)
	if err != nil {
		return 0, err
	}
	byMissed, err := s.measure(ctx, v.portalSubject("missed"), s.Pace.Missed, 0)
	if err != nil {
		return 0, err
	}
	level := max(byAddress, byPortal, byMissed)
	if _, risky := s.Limits.Blocked(ctx, v.addressSubject("risk")); risky {
		level = max(level, 2)
	}
	return level, nil
}

// count notes a check of the visitor's and returns how hard a challenge it needs by its pace.
func (s *Site) count(ctx context.Context, v *Visitor) (int, error) {
	byAddress, err := s.measure(ctx, v.addressSubject("pace"), s.Pace.Address, 1)
	if err != nil {
		return 0, err
	}
	byPortal, err := s.measure(ctx, v.portalSubject("pace"), s.Pace.Portal, 1)
	return max(byAddress, byPortal), err
}

// note remembers what came of a visitor's check: that no card was found, and that it looked
// like theft.
func (s *Site) note(ctx context.Context, v *Visitor, r *ping.Result) error {
	if r.Status == ping.Invalid {
		if _, err := s.measure(ctx, v.portalSubject("missed"), s.Pace.Missed, 1); err != nil {
			return err
		}
	}
	return s.mark(ctx, v, r.Score.Hundredths)
}

// measure takes n from the first pace that has room and returns how many have none.
func (s *Site) measure(ctx context.Context, subject string, paces [maxLevel]wire.Window, n int) (int, error) {
	for level, pace := range paces {
		d, err := s.Limits.Take(ctx, fmt.Sprintf("%s/%d", subject, level), []wire.Window{pace}, n)
		if err != nil {
			return 0, err
		}
		if d.Allowed && (n > 0 || d.Remaining > 0) {
			return level, nil
		}
	}
	return maxLevel, nil
}

// mark remembers that a check from the visitor's address looked like theft.
func (s *Site) mark(ctx context.Context, v *Visitor, hundredths int) error {
	if hundredths < s.Pace.Risky {
		return nil
	}
	return s.Limits.Block(ctx, v.addressSubject("risk"), s.Clock.Now().Add(s.Pace.RiskyFor))
}

// work is the proof of work: a token signed with a keyed hash, good for one portal,
// one address, one answer and some minutes. Browsers without JavaScript wait instead,
// which few can do at a time.
type work struct {
	hash   func(purpose, value string) []byte
	clock  clock.Clock
	spend  func(ctx context.Context, c portals.Challenge) (bool, error)
	spent  func(ctx context.Context, c portals.Challenge) (bool, error)
	limits Limiter
}

// workTable is, by level: the zero bits, and the wait in their stead.
var workTable = [maxLevel + 1]struct {
	bits int
	wait time.Duration
}{{}, {15, 10 * time.Second}, {17, 30 * time.Second}, {19, time.Minute}}

const (
	tokenLife   = 20 * time.Minute
	purposeWork = "portal.challenge"
	maxToken    = 128
	maxProof    = 20
	nameSize    = 16
	tokenSize   = 1 + 8 + nameSize // level, issue in Unix seconds, name
)

// addressWaits and portalWaits are how many checks get by on waiting alone.
func addressWaits() []wire.Window { return []wire.Window{{Limit: 5, Per: 10 * time.Minute}} }

func portalWaits() []wire.Window { return []wire.Window{{Limit: 60, Per: 10 * time.Minute}} }

func (w *work) Field() string { return fieldProof }

// Pose makes a token, unless the visitor has one that is good for a while.
func (w *work) Pose(ctx context.Context, v Visitor, level int) (Challenge, error) {
	if body, ok := w.read(&v, v.Unspent); ok && w.clock.Now().Before(issuedAt(body).Add(tokenLife/2)) {
		spent, err := w.spent(ctx, challengeOf(&v, body))
		if err != nil {
			return Challenge{}, err
		}
		if !spent {
			own := workTable[min(int(body[0]), maxLevel)]
			return Challenge{Token: v.Unspent, Bits: own.bits, Wait: own.wait}, nil
		}
	}
	level = min(max(level, 1), maxLevel)
	body := make([]byte, tokenSize)
	body[0] = byte(level)
	binary.BigEndian.PutUint64(body[1:], uint64(w.clock.Now().Unix()))
	_, _ = rand.Read(body[1+8:]) // never fails: crypto/rand ends the process instead
	token := base64.RawURLEncoding.EncodeToString(append(body, w.sign(&v, body)...))
	return Challenge{Token: token, Bits: workTable[level].bits, Wait: workTable[level].wait}, nil
}

func (w *work) sign(v *Visitor, body []byte) []byte {
	return w.hash(purposeWork, string(body)+"|"+string(v.Portal.ID)+"|"+v.Subject)
}

// Judge looks at a token and its proof.
func (w *work) Judge(ctx context.Context, v Visitor, a Answer) (Verdict, error) {
	body, ok := w.read(&v, a.Token)
	if !ok || !w.inTime(body) {
		return Failed, nil
	}
	level, issued := workTable[min(int(body[0]), maxLevel)], issuedAt(body)
	if !proves(a, level.bits) {
		if w.clock.Now().Before(issued.Add(level.wait)) {
			return Early, nil
		}
		if room, err := w.mayWait(ctx, &v); err != nil || !room {
			return Failed, err
		}
	}
	first, err := w.spend(ctx, challengeOf(&v, body))
	if err != nil || !first {
		return Failed, err
	}
	return Passed, nil
}

func challengeOf(v *Visitor, body []byte) portals.Challenge {
	return portals.Challenge{Book: v.Portal.Book, Portal: v.Portal.ID, Name: body[1+8:], ExpiresAt: issuedAt(body).Add(tokenLife)}
}

func issuedAt(body []byte) time.Time {
	return time.Unix(int64(binary.BigEndian.Uint64(body[1:])), 0)
}

// inTime reports whether a token is neither too old nor from the future.
func (w *work) inTime(body []byte) bool {
	issued, now := issuedAt(body), w.clock.Now()
	return !now.After(issued.Add(tokenLife)) && !issued.After(now.Add(time.Minute))
}

// read returns the body of a token that was signed for the visitor.
func (w *work) read(v *Visitor, token string) ([]byte, bool) {
	if len(token) > maxToken || strings.ContainsAny(token, "\r\n") { // which the decoder would skip
		return nil, false
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil || len(raw) != tokenSize+sha256.Size {
		return nil, false
	}
	body := raw[:tokenSize:tokenSize]
	return body, hmac.Equal(raw[tokenSize:], w.sign(v, body))
}

func proves(a Answer, zeros int) bool {
	if a.Proof == "" || len(a.Proof) > maxProof {
		return false
	}
	sum := sha256.Sum256([]byte(a.Token + ":" + a.Proof))
	return bits.LeadingZeros64(binary.BigEndian.Uint64(sum[:])) >= zeros
}

// mayWait takes one of the visitor's waits, and of the portal's.
func (w *work) mayWait(ctx context.Context, v *Visitor) (bool, error) {
	d, err := w.limits.Take(ctx, v.addressSubject("wait"), addressWaits(), 1)
	if err != nil || !d.Allowed {
		return false, err
	}
	d, err = w.limits.Take(ctx, v.portalSubject("wait"), portalWaits(), 1)
	return d.Allowed, err
}
