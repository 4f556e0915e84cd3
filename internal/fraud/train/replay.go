package train

import (
	"context"

	"github.com/scripcards/scrip/internal/fraud"
	"github.com/scripcards/scrip/internal/fraud/sense"
	"github.com/scripcards/scrip/internal/fraud/traffic"
	"github.com/scripcards/scrip/internal/fraud/traffic/till"
)

// Progress is told what goes on: a stage, and how much of it is done.
type Progress func(stage string, done, of int)

func (p Progress) tell(stage string, done, of int) {
	if p != nil {
		p(stage, done, of)
	}
}

// seen is a stream after it went through the engine: what the numbers were at each event.
type seen struct {
	kind    fraud.Kind
	columns [][]float32 // by number, by event
	rules   []int       // scores of the rules alone, in hundredths
	labels  []bool      // which are attacks
	family  []string    // of an attack
	// The stream is one of them.
	stream *traffic.Stream
	till   *till.Stream
}

// memory is what a replay's counts may take: all of a stream fits many times over.
const memory = 256 << 20

// replay has balance checks pass through the code that serves.
func replay(ctx context.Context, s *traffic.Stream, stage string, progress Progress) (*seen, error) {
	out := &seen{kind: fraud.Ping, stream: s}
	for i := range s.Asks {
		out.note(s.Attack(i), string(s.Actors[s.Asks[i].Actor].Family))
	}
	return out, out.play(ctx, script{len(s.News), func(i int) fraud.Event { return s.News[i].Event() }, s.Event}, watcher{stage, progress})
}

// replayTill has payments pass through it.
func replayTill(ctx context.Context, s *till.Stream, stage string, progress Progress) (*seen, error) {
	out := &seen{kind: fraud.Authorization, till: s}
	for i := range s.Payments {
		out.note(s.Fraud(i), string(s.Payments[i].Family))
	}
	return out, out.play(ctx, script{len(s.News), func(i int) fraud.Event { return s.News[i].Event(s) }, s.Event}, watcher{stage, progress})
}

// script is what happens: so many news of cards, and events that are scored with what
// came of them, each in the order of time.
type script struct {
	news  int
	told  func(int) fraud.Event
	event func(int) (fraud.Event, fraud.Outcome)
}

// watcher is who is told how far a stage is.
type watcher struct {
	stage    string
	progress Progress
}

func (s *seen) note(attack bool, family string) {
	s.labels, s.family = append(s.labels, attack), append(s.family, family)
}

func (s *seen) play(ctx context.Context, all script, w watcher) error {
	eye := sense.New(sense.Config{Memory: memory, PaymentMemory: memory, Rules: fraud.Config{Proxies: traffic.Proxies()}})
	s.columns, s.rules = make([][]float32, sense.WidthOf(s.kind)), make([]int, len(s.labels))
	for k := range s.columns {
		s.columns[k] = make([]float32, len(s.labels))
	}
	var row sense.Row
	heard := 0
	for i := range s.labels {
		if i%10_000 == 0 {
			w.progress.tell(w.stage, i, len(s.labels))
			if err := ctx.Err(); err != nil {
				return err
			}
		}
		event, outcome := all.event(i)
		for ; heard < all.news; heard++ {
			news := all.told(heard)
			if news.At.After(event.At) {
				break
			}
			eye.Hear(&news)
		}
		s.rules[i] = eye.See(&event, &row).Hundredths
		for k := range s.columns {
			s.columns[k][i] = row[k]
		}
		eye.Learn(&event, outcome)
	}
	w.progress.tell(w.stage, len(s.labels), len(s.labels))
	return nil
}

// row copies the numbers of one event.
func (s *seen) row(i int, into []float32) {
	for k := range s.columns {
		into[k] = s.columns[k][i]
	}
}
