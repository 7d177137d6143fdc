package diff

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/koala-go/sdk/internal/half"
	"github.com/koala-go/sdk/weights"
)

// NonFiniteError says that a result is infinite or NaN.
type NonFiniteError struct {
	Tensor string // as the output names it
	Index  int64  // of the element, row-major
}

// Error reads "what: where: what to do".
func (e *NonFiniteError) Error() string {
	return fmt.Sprintf("result is infinite or NaN: tensor %q, element %d: check the inputs' checksums, or allow non-finite results", e.Tensor, e.Index)
}

// Run writes the output. A plan runs once.
func (p *Plan) Run(ctx context.Context) (*Report, error) {
	start := time.Now()
	w, err := p.layout.Create(p.out, p.options.Force)
	if err != nil {
		return nil, err
	}
	e := &engine{plan: p, writer: w, total: p.layout.Bytes()}
	if err := e.work(ctx); err != nil {
		return nil, errors.Join(err, w.Abort())
	}
	e.progress("sync", 0)
	if refused := checkExists(p); refused != nil { // in the meantime
		return nil, errors.Join(refused, w.Abort())
	}
	if err := w.Commit(); err != nil {
		return nil, err
	}
	elapsed := time.Since(start)
	return &Report{p.Summary(), elapsed.Seconds(), elapsed}, nil
}

// engine carries a plan out: workers take panels from one channel and write
// each at its place, which is known beforehand, so that neither their number
// nor their order shows in the output.
type engine struct {
	plan   *Plan
	writer *weights.Writer

	mu          sync.Mutex // of done and of calls to Progress
	done, total int64
}

// work runs the workers until all panels are written or one fails.
func (e *engine) work(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	panels := make(chan panel)
	var group sync.WaitGroup
	for range e.plan.options.Workers {
		group.Go(func() {
			b := &buffers{all: make([]byte, e.plan.bufferBytes())}
			for x := range panels {
				if err := e.panel(b, x); err != nil {
					cancel(err)
				}
			}
		})
	}
	for _, x := range e.plan.panels {
		if ctx.Err() != nil {
			break
		}
		panels <- x
	}
	close(panels)
	group.Wait()
	return context.Cause(ctx)
}

// panel makes and writes one panel.
func (e *engine) panel(b *buffers, x panel) error {
	dst, err := b.compute(e.plan.op, x)
	if err != nil {
		return err
	}
	if !e.plan.options.AllowNonFinite {
		if i := half.FirstNonFinite(dst, x.work.out); i >= 0 {
			first := x.first * x.work.row / int64(x.work.out.Size())
			return &NonFiniteError{e.plan.layout.Spec.Layout().Name(x.param), first + int64(i)}
		}
	}
	if err := e.writer.WriteAt(x.param, dst, x.first*x.work.row); err != nil {
		return err
	}
	e.progress("write", int64(len(dst)))
	return nil
}

func (e *engine) progress(stage string, n int64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.done += n
	if stage == "sync" {
		e.done = e.total
	}
	if report := e.plan.options.Progress; report != nil {
		report(Progress{stage, e.done, e.total})
	}
}
