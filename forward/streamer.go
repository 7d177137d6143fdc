package forward

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/koala-go/sdk/internal/parallel"
	"github.com/koala-go/sdk/progress"
)

// streamer is the runner for weights in files. Its workers take panels in order,
// read each, wait until the vectors of its step are there, and multiply. While
// some workers multiply, or the pass computes what lies between two steps, other
// workers already read the weights of later steps. The panels that are in buffers
// are always the next ones in order, so that the step that the pass waits for is
// among them and the workers cannot block each other.
type streamer struct {
	ctx     context.Context
	cancel  context.CancelCauseFunc
	workers sync.WaitGroup
	model   *Model
	steps   []step
	current int // the index of the step that multiply carries out next
	read    *progress.Counter
}

// step multiplies matrices by the same vectors.
type step struct {
	ready chan struct{} // closed when in and out are set
	done  chan struct{} // closed when no panel is left
	left  atomic.Int32  // panels that are not multiplied yet
	in    []float32
	out   [3]product
}

// newStreamer starts workers on the panels. The pass must end with stop.
func newStreamer(ctx context.Context, m *Model, panels []panel, workers int, buffer int64) *streamer {
	s := &streamer{steps: make([]step, panels[len(panels)-1].step+1), model: m, read: m.newCounter(m.Bytes())}
	s.ctx, s.cancel = context.WithCancelCause(ctx)
	for i := range s.steps {
		s.steps[i].ready, s.steps[i].done = make(chan struct{}), make(chan struct{})
	}
	for _, x := range panels {
		s.steps[x.step].left.Add(1)
	}
	s.workers.Go(func() {
		err := parallel.ForState(s.ctx, workers, len(panels),
			func(int) []byte { return make([]byte, buffer) },
			func(ctx context.Context, buffer []byte, i int) error { return s.work(ctx, panels[i], buffer) })
		if err != nil {
			s.cancel(err) // wakes the pass, which waits for a step
		}
	})
	return s
}

func (s *streamer) stop(err error) {
	if err != nil {
		s.cancel(err)
	}
	s.workers.Wait()
	s.cancel(nil)
}

// work reads a panel and multiplies it when its step is ready.
func (s *streamer) work(ctx context.Context, x panel, buffer []byte) error {
	x.startPrefetch()
	block, err := x.fetch(buffer)
	if err != nil {
		return err
	}
	s.read.Add(int64(len(block)))
	at := &s.steps[x.step]
	if err := await(ctx, at.ready); err != nil {
		return err
	}
	for _, p := range at.out {
		if p.role == x.param.Role {
			err := x.eachPart(block, buffer, func(first, count int, rows []byte) error {
				return s.model.apply(x.matrix, first, count, rows, at.in, p.out)
			})
			if err != nil {
				return err
			}
		}
	}
	if at.left.Add(-1) == 0 {
		close(at.done)
	}
	return nil
}

func (s *streamer) multiply(in []float32, out ...product) error {
	at := &s.steps[s.current]
	s.current++
	at.in = in
	copy(at.out[:], out)
	close(at.ready)
	return await(s.ctx, at.done)
}

// await waits until a channel is closed. It returns the context's cause if the
// context ends first.
func await(ctx context.Context, c <-chan struct{}) error {
	select {
	case <-c:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// each starts goroutines of its own, because the workers are busy with reading
// ahead. It makes all calls even if the context ends: otherwise the pass could continue
// with incomplete results.
func (s *streamer) each(n int, do func(worker, i int)) {
	parallel.Each(s.model.options.Workers, n, do)
}
