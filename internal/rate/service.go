package rate

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/scripcards/scrip/internal/core/asset"
	"github.com/scripcards/scrip/internal/core/clock"
	"github.com/scripcards/scrip/internal/core/fault"
	"github.com/scripcards/scrip/internal/core/money"
)

// Deps are what a Service needs.
type Deps struct {
	Sources []Named
	Policy  Policy
	Clock   clock.Clock
	Logger  *slog.Logger
}

// Service knows the rates of one realm. Sources are asked when somebody wants to know, and
// not more often than the policy says, however many want to. It is safe for concurrent use.
type Service struct {
	Deps
	mu     sync.Mutex
	boards map[Pair]*board
}

// New returns the service. It asks nobody.
func New(d Deps) *Service { return &Service{Deps: d, boards: map[Pair]*board{}} }

// board is what is known of one pair. Whoever holds turn may read and change it.
type board struct {
	turn    chan struct{}
	asked   time.Time // when the sources were asked; zero: never
	latest  map[string]Price
	last    Quote // the last one that was agreed on
	missing map[string]string
}

func (s *Service) board(p Pair) *board {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.boards[p]
	if b == nil {
		b = &board{turn: make(chan struct{}, 1), latest: map[string]Price{}, missing: map[string]string{}}
		s.boards[p] = b
	}
	return b
}

// Rate returns what one unit of an asset costs. It returns the fault unavailable while
// too few sources agree, once the last quote is older than the policy's Stale.
func (s *Service) Rate(ctx context.Context, base asset.Asset, quote money.Currency) (Quote, error) {
	q, _, err := s.look(ctx, Pair{base.Symbol(), quote})
	return q, err
}

// Look is Rate with what each source said, by name, for operators. The observations are
// there when there is an error, too.
func (s *Service) Look(ctx context.Context, base asset.Asset, quote money.Currency) (Quote, []Observation, error) {
	return s.look(ctx, Pair{base.Symbol(), quote})
}

func (s *Service) look(ctx context.Context, p Pair) (Quote, []Observation, error) {
	if p.Base == "" || !p.Quote.IsValid() {
		return Quote{}, nil, fault.New(fault.InvalidRequest, "there is no price of %s", p)
	}
	b := s.board(p)
	select {
	case b.turn <- struct{}{}:
		defer func() { <-b.turn }()
	case <-ctx.Done():
		return Quote{}, nil, fault.Wrap(ctx.Err(), fault.Unavailable, "waiting for the price of %s was given up", p)
	}
	now := s.Clock.Now()
	if b.asked.IsZero() || now.Before(b.asked) || now.Sub(b.asked) >= s.Policy.Refresh {
		s.ask(ctx, b, p)
		b.asked, now = now, s.Clock.Now()
	}
	all := s.observations(b, now)
	q, ok, err := agree(all, s.Policy, now)
	switch {
	case err != nil:
		s.Logger.WarnContext(ctx, "no rate", "pair", p.String(), "error", err)
		return Quote{}, all, err
	case ok:
		q.Pair, b.last = p, q
		return q, all, nil
	case !b.last.At.IsZero() && isWithin(b.last.At, now, s.Policy.Stale):
		q = b.last
		q.Old = true
		return q, all, nil
	}
	return Quote{}, all, fault.New(fault.Unavailable, "there is no price of %s: fewer than %d sources have one", p, s.Policy.Least)
}

// ask asks every source at once and waits for them, also when its caller leaves: others
// may wait for the answers.
func (s *Service) ask(ctx context.Context, b *board, p Pair) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.Policy.Timeout)
	defer cancel()
	prices, errs := make([]Price, len(s.Sources)), make([]error, len(s.Sources))
	var group sync.WaitGroup
	for i, source := range s.Sources {
		group.Go(func() { prices[i], errs[i] = source.Source.Price(ctx, p) })
	}
	group.Wait()
	now := s.Clock.Now()
	for i, source := range s.Sources {
		price, err := prices[i], errs[i]
		switch {
		case err == nil && price.Rate.IsZero():
			err = fault.New(fault.Unavailable, "the source gave no price")
		case err == nil && (price.At.IsZero() || price.At.After(now)): // its clock is ahead of ours
			price.At = now
		}
		if err != nil {
			b.missing[source.Name] = fault.From(err).Message
			if fault.CodeOf(err) == fault.NotFound {
				delete(b.latest, source.Name)
				continue
			}
			s.Logger.WarnContext(ctx, "source of prices failed", "source", source.Name, "pair", p.String(), "error", err)
			continue
		}
		delete(b.missing, source.Name)
		b.latest[source.Name] = price
	}
}

// observations lists the sources by name. One that failed counts with what it said before,
// as long as that is fresh.
func (s *Service) observations(b *board, now time.Time) []Observation {
	all := make([]Observation, 0, len(s.Sources))
	for _, source := range s.Sources {
		o := Observation{Source: source.Name, Price: b.latest[source.Name]}
		if o.Rate.IsZero() || !isWithin(o.At, now, s.Policy.Fresh) {
			o.Problem = b.missing[source.Name]
		}
		all = append(all, o)
	}
	slices.SortFunc(all, func(x, y Observation) int { return cmp.Compare(x.Source, y.Source) })
	return all
}
