package decision

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/id"
	"github.com/scripcards/scrip/internal/core/pan"
	"github.com/scripcards/scrip/internal/core/quote"
	"github.com/scripcards/scrip/internal/core/realm"
	"github.com/scripcards/scrip/internal/issuing/authorization"
	"github.com/scripcards/scrip/internal/ledger"
	"github.com/scripcards/scrip/internal/platform/memo"
	"github.com/scripcards/scrip/internal/webhook"
)

// eventLate tells of an answer that came after its deadline.
const eventLate = "decision.late"

// EventTypes returns the types of this package's events.
func EventTypes() []string { return []string{eventLate} }

const (
	// questionType stands in the body and in the headers of a question.
	questionType = "authorization.request"
	maxAnswer    = 4 << 10
)

// answer is what a server said.
type answer struct {
	verdict authorization.Verdict // Allow or Deny
	err     error                 // there was no answer that can be understood
}

// question is one that is under way.
type question struct {
	authorization.Question
	setting *setting
	id      string
	watch   clock.Stopwatch
	// over says who was first: the answer, or the deadline.
	over     atomic.Bool
	answered chan answer
}

// Decide asks the book's server, if it has one, and returns within its deadline.
func (s *Service) Decide(ctx context.Context, q authorization.Question) authorization.Verdict {
	to, ok, err := s.recent.Find(ctx, memo.Query{Key: keyOf(q.Book), Now: s.Clocks.Now(realm.Live)}, func(ctx context.Context) (*setting, bool, error) {
		return s.find(ctx, q.Book)
	})
	switch {
	case err != nil:
		s.Logger.ErrorContext(ctx, "find whom to ask about payments", "book", string(q.Book), "error", err)
		return authorization.Absent
	case !ok:
		return authorization.Allow
	case s.health.resting(q.Book, s.Clocks.Now(realm.Live)):
		return to.Otherwise.verdict()
	}
	select {
	case s.asking <- struct{}{}:
	default: // too many are under way
		return to.Otherwise.verdict()
	}
	asked := &question{Question: q, setting: to, id: id.New("dec"), watch: clock.Start(), answered: make(chan answer, 1)}
	s.under.Go(func() {
		defer func() { <-s.asking }()
		s.ask(context.WithoutCancel(ctx), asked)
	})
	return s.await(ctx, asked)
}

// verdict is what happens without an answer.
func (o Otherwise) verdict() authorization.Verdict {
	switch o {
	case Approve:
		return authorization.Allow
	case Decline:
		return authorization.Deny
	case StandIn:
	}
	return authorization.Absent
}

// await returns the answer, or what happens when the deadline is over before, or whoever asks
// has left, which is no failure of the server's.
func (s *Service) await(ctx context.Context, q *question) authorization.Verdict {
	limited, cancel := context.WithTimeout(ctx, q.setting.Deadline)
	defer cancel()
	select {
	case a := <-q.answered:
		return s.judge(ctx, q, a)
	case <-limited.Done():
	}
	if q.over.CompareAndSwap(false, true) {
		if !errors.Is(ctx.Err(), context.Canceled) {
			s.health.failed(q.Book, s.Clocks.Now(realm.Live), s.Config)
		}
		return q.setting.Otherwise.verdict()
	}
	return s.judge(ctx, q, <-q.answered) // it came in the same instant
}

// judge takes account of an answer in time.
func (s *Service) judge(ctx context.Context, q *question, a answer) authorization.Verdict {
	if a.err != nil {
		s.health.failed(q.Book, s.Clocks.Now(realm.Live), s.Config)
		s.Logger.WarnContext(ctx, "ask about a payment", "book", string(q.Book), "payment", string(q.Payment), "error", a.err)
		return q.setting.Otherwise.verdict()
	}
	s.health.answered(q.Book)
	return a.verdict
}

// ask sends a question and hands the answer over, or tells of it when it is late.
func (s *Service) ask(ctx context.Context, q *question) {
	limited, cancel := context.WithTimeout(ctx, q.setting.Deadline+s.Config.LateFor)
	defer cancel()
	go func() {
		select {
		case <-s.closed:
			cancel()
		case <-limited.Done():
		}
	}()
	a := s.post(limited, q)
	if q.over.CompareAndSwap(false, true) {
		q.answered <- a
		return
	}
	if a.err != nil {
		return
	}
	decision := "approve"
	if a.verdict == authorization.Deny {
		decision = "decline"
	}
	data := (&webhook.Data{}).Text("authorization_id", string(q.Payment)).Text("card_id", string(q.Card)).Text("decision", decision).
		Text("otherwise", string(q.setting.Otherwise)).Int("after_ms", q.watch.Elapsed().Milliseconds())
	event := s.Outbox.Effects(webhook.Event{Book: q.Book, Realm: q.Realm, Type: eventLate, Data: data.JSON()})
	if err := s.DB.Apply(ctx, event); err != nil {
		s.Logger.ErrorContext(ctx, "tell of a late answer", "book", string(q.Book), "error", err)
	}
}

// post makes the request. Its error holds nothing of the answer, nor the address.
func (s *Service) post(ctx context.Context, q *question) answer {
	secret, err := s.Vault.Unseal(purposeSecret, string(q.Book), q.setting.sealed)
	if err != nil {
		return answer{err: err}
	}
	if _, err := s.Guard.CheckURL(q.setting.URL); err != nil { // rules may be stricter than when it was saved
		return answer{err: err}
	}
	now := s.Clocks.Now(realm.Live)
	body := q.body(now)
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, q.setting.URL, bytes.NewReader(body))
	if err != nil {
		return answer{err: err}
	}
	maps.Copy(request.Header, s.sign(webhook.Message{Delivery: q.id, Type: questionType, Body: body, At: now,
		Secrets: []pan.Secret{pan.NewSecret(string(secret))}}))
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", "Scrip-Decisions/1")
	response, err := s.client.Do(request)
	if err != nil {
		var wrapped *url.Error
		if errors.As(err, &wrapped) {
			err = wrapped.Err // without the address, which may have a key in it
		}
		return answer{err: fmt.Errorf("ask: %w", err)}
	}
	defer func() { _ = response.Body.Close() }() // the answer is read or given up by then
	if response.StatusCode != http.StatusOK {
		return answer{err: fmt.Errorf("ask: status %d", response.StatusCode)}
	}
	text, err := read(response.Body, maxAnswer)
	if err != nil {
		return answer{err: fmt.Errorf("read answer: %w", err)}
	}
	return understand(text)
}

// understand reads {"decision":"approve"} or {"decision":"decline"}.
func understand(text []byte) answer {
	var said struct{ Decision string }
	if err := json.Unmarshal(text, &said); err != nil {
		return answer{err: fmt.Errorf("the answer is no JSON object with a decision")}
	}
	switch strings.ToLower(said.Decision) {
	case "approve":
		return answer{verdict: authorization.Allow}
	case "decline":
		return answer{verdict: authorization.Deny}
	}
	return answer{err: fmt.Errorf("the answer's decision is neither approve nor decline")}
}

// body is the question. There is no card number in it.
func (q *question) body(now time.Time) []byte {
	m := &q.Merchant
	data := (&webhook.Data{}).Text("authorization_id", string(q.Payment)).Text("card_id", string(q.Card)).Text("last4", q.Last4).
		Text("amount", q.Amount.String()).Text("currency", q.Amount.Currency.String())
	if q.Held.IsPositive() {
		data.Text("held", q.Held.String())
	}
	if q.Original.Currency.IsValid() {
		data.Text("original_amount", q.Original.String()).Text("original_currency", q.Original.Currency.String())
	}
	data.Text("merchant_id", m.ID).Text("merchant_name", m.Name).Text("merchant_category", q.Category).Text("mcc", m.MCC).Text("merchant_city", m.City).
		Text("merchant_country", m.Country).Text("entry", string(q.Entry)).Int("fraud_score", int64(q.Score)).Int("deadline_ms", q.setting.Deadline.Milliseconds())
	body := quote.JSON([]byte(`{"id":`), q.id)
	body = quote.JSON(append(body, `,"type":`...), questionType)
	body = quote.JSON(append(body, `,"created_at":`...), now.Format(time.RFC3339))
	return append(append(append(body, `,"data":`...), data.JSON()...), '}')
}

// health remembers which servers fail, so that a dead one does not slow every payment.
type health struct {
	mu    sync.Mutex
	books map[ledger.BookID]sick
}

// sick is how a server fails.
type sick struct {
	failures int
	until    time.Time // it is left alone
}

func (h *health) resting(book ledger.BookID, now time.Time) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return now.Before(h.books[book].until)
}

func (h *health) failed(book ledger.BookID, now time.Time, config Config) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.books == nil || len(h.books) >= recentBooks {
		h.books = map[ledger.BookID]sick{}
	}
	is := h.books[book]
	if is.failures++; is.failures >= config.Failures {
		is.until = now.Add(config.Pause)
	}
	h.books[book] = is
}

func (h *health) answered(book ledger.BookID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.books, book)
}
