package train

import (
	"context"

	"github.com/scripcards/scrip/internal/fraud"
	"github.com/scripcards/scrip/internal/fraud/sense"
	"github.com/scripcards/scrip/internal/fraud/traffic"
)

// Progress is told what goes on: a stage, and how much of it is done.
type Progress func(stage string, done, of int)

func (p Progress) tell(stage string, done, of int) {
	if p != nil {
		p(stage, done, of)
	}
}

// seen is a stream after it went through the engine: what the numbers were at each ask.
type seen struct {
	stream  *traffic.Stream
	columns [][]float32 // by number, by ask
	rules   []int       // scores of the rules alone, in hundredths
}

// memory is what a replay's counts may take: all of a stream fits many times over.
const memory = 256 << 20

// replay has a stream pass through the code that serves.
func replay(ctx context.Context, s *traffic.Stream, stage string, progress Progress) (*seen, error) {
	eye := sense.New(sense.Config{Memory: memory, Rules: fraud.Config{Proxies: traffic.Proxies()}})
	out := &seen{stream: s, columns: make([][]float32, sense.Width), rules: make([]int, len(s.Asks))}
	for k := range out.columns {
		out.columns[k] = make([]float32, len(s.Asks))
	}
	var row sense.Row
	for i := range s.Asks {
		if i%10_000 == 0 {
			progress.tell(stage, i, len(s.Asks))
			if err := ctx.Err(); err != nil {
				return nil, err
			}
		}
		event, outcome := s.Event(i)
		out.rules[i] = eye.See(&event, &row).Hundredths
		for k, x := range row {
			out.columns[k][i] = x
		}
		eye.Learn(&event, outcome)
	}
	progress.tell(stage, len(s.Asks), len(s.Asks))
	return out, nil
}

func (s *seen) labels() []bool {
	labels := make([]bool, len(s.stream.Asks))
	for i := range labels {
		labels[i] = s.stream.Attack(i)
	}
	return labels
}

// row copies the numbers of one ask.
func (s *seen) row(i int, into []float32) {
	for k := range s.columns {
		into[k] = s.columns[k][i]
	}
}
