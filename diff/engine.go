package diff

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"sync"
	"sync/atomic"
	"time"

	"github.com/koala-go/sdk/internal/half"
	"github.com/koala-go/sdk/internal/memory"
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
	w, err := p.create(p.options.context(ctx))
	if err != nil {
		return nil, err
	}
	e := &engine{plan: p, writer: w, total: p.layout.Bytes()}
	e.forgetsOutput, e.forgetsInputs = p.forgets()
	if err := e.run(ctx); err != nil {
		if p.options.Resume {
			return nil, errors.Join(err, w.Keep())
		}
		return nil, errors.Join(err, w.Abort())
	}
	elapsed := time.Since(start)
	return &Report{p.Summary(), e.resumedBytes, elapsed.Seconds(), elapsed}, nil
}

// create begins the output, or takes over that of an earlier run.
func (p *Plan) create(ctx context.Context) (*weights.Writer, error) {
	o := weights.CreateOptions{Replace: p.options.Force, NoSums: p.options.Digests == DigestNone}
	if p.options.Resume {
		o.Resume = journalName
	}
	w, err := p.layout.Create(ctx, p.out, &o)
	if errors.Is(err, weights.ErrLeftover) {
		return nil, &ResumeError{err.Error(), p.out}
	}
	if errors.Is(err, weights.ErrBusy) {
		return nil, fmt.Errorf("%w: wait until it has ended, or write elsewhere", err)
	}
	return w, err
}

// engine carries a plan out. Workers take panels in the order of the output's
// files, compute and write them at their places, each at its own pace; then,
// one after the other and in order, they hand them on for the digests. So
// neither the number of workers nor their speed shows in the output.
type engine struct {
	plan    *Plan
	writer  *weights.Writer
	journal *journal

	resumed      int // panels that an earlier run wrote
	resumedBytes int64

	ahead ahead // what the system was told to read

	forgetsOutput, forgetsInputs bool // see forgets

	mu          sync.Mutex // of the next five
	turned      *sync.Cond
	turn        int   // the panel to be handed on next: all before it are written
	handed      int64 // bytes of output that were handed on
	failed      bool
	done, total int64

	sums map[weights.Param]uint32 // CRC-32 of the weights' bytes, up to turn
}

// run does the whole work, from opening the journal to the finished output.
func (e *engine) run(ctx context.Context) (err error) {
	e.turned = sync.NewCond(&e.mu)
	e.sums = make(map[weights.Param]uint32)
	if e.journal, err = openJournal(e); err != nil {
		return err
	}
	hashes := hashInputs(ctx, e.plan, e.forgetsInputs)
	stop := e.journal.keep(e)
	if err = errors.Join(e.work(ctx), stop()); err != nil {
		_, _ = hashes(true)
		return err
	}
	inputs, err := hashes(false)
	if err != nil {
		return err
	}
	e.progress("sync", 0)
	return e.finish(inputs)
}

// finish completes the output and puts it in its place.
func (e *engine) finish(inputs []ManifestInput) error {
	files, err := e.writer.Finish()
	if err != nil {
		return err
	}
	for i, c := range e.plan.sources {
		if err := c.Unchanged(); err != nil {
			return fmt.Errorf("%s: %w", e.plan.inputs[i].name, err)
		}
	}
	if err := e.writer.AddFile(ManifestName, e.plan.manifest(inputs, files, e.sums).encode()); err != nil {
		return err
	}
	if refused := checkExists(e.plan); refused != nil { // in the meantime
		return refused
	}
	if err := e.writer.RemoveNote(journalName); err != nil {
		return err
	}
	return e.writer.Commit()
}

// work runs the workers until all panels are written or one fails.
func (e *engine) work(ctx context.Context) error {
	defer context.AfterFunc(ctx, e.fail)()
	return e.plan.each(ctx, len(e.plan.panels), func(ctx context.Context, b *buffers, i int) error {
		err := e.panel(ctx, b, i)
		if err != nil {
			e.fail()
		}
		return err
	})
}

// each gives the numbers below n, in their order, to the plan's workers, until
// one fails or the context ends; it gives no more then.
func (p *Plan) each(ctx context.Context, n int, do func(ctx context.Context, b *buffers, i int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next atomic.Int64
	var group sync.WaitGroup
	for range p.options.Workers {
		group.Go(func() {
			b := &buffers{all: make([]byte, p.bufferBytes())}
			memory.HugePages(b.all)
			for i := int(next.Add(1) - 1); i < n; i = int(next.Add(1) - 1) {
				if ctx.Err() == nil {
					if err := do(ctx, b, i); err != nil {
						cancel(err)
					}
				}
			}
		})
	}
	group.Wait()
	return context.Cause(ctx)
}

// fail wakes those who wait for a turn that will not come.
func (e *engine) fail() {
	e.mu.Lock()
	e.failed = true
	e.mu.Unlock()
	e.turned.Broadcast()
}

// panel makes, writes and hands on panel i; those of an earlier run it reads
// back.
func (e *engine) panel(ctx context.Context, b *buffers, i int) error {
	e.ahead.expect(e.plan.panels, i)
	x := e.plan.panels[i]
	offset := x.first * x.work.stored
	if i < e.resumed {
		stored := b.all[:x.rows*x.work.stored]
		if err := e.writer.ReadAt(x.param, stored, offset); err != nil {
			return err
		}
		return e.handOn(ctx, i, stored)
	}
	results, stored, err := b.compute(e.plan.op, x)
	if err != nil {
		return err
	}
	if !e.plan.options.AllowNonFinite {
		if i := half.FirstNonFinite(results, x.work.out); i >= 0 {
			first := x.first * x.work.row / int64(x.work.out.Size())
			return &NonFiniteError{e.plan.layout.Spec.Layout().Name(x.param), first + int64(i)}
		}
	}
	if err := e.writer.WriteAt(x.param, stored, offset); err != nil {
		return err
	}
	return e.handOn(ctx, i, stored)
}

// handOn waits until all panels before i were handed on, and takes i in. Only
// the worker whose turn it is touches the digests.
func (e *engine) handOn(ctx context.Context, i int, stored []byte) error {
	if !e.await(i) {
		return context.Cause(ctx)
	}
	x := e.plan.panels[i]
	if err := e.writer.Digest(x.param, stored, x.first*x.work.stored); err != nil {
		return err
	}
	if e.plan.options.Digests != DigestNone {
		e.sums[x.param] = crc32.Update(e.sums[x.param], crc32.IEEETable, stored)
	}
	e.mu.Lock()
	e.turn++
	before := e.handed
	e.handed += int64(len(stored))
	due := before/startSyncEvery != e.handed/startSyncEvery
	e.mu.Unlock()
	e.turned.Broadcast()
	if due {
		e.writer.StartSync(e.forgetsOutput)
	}
	if e.forgetsInputs {
		e.plan.forget(i)
	}
	e.progress("write", int64(len(stored)))
	return e.journal.passed(e, i)
}

// await waits for the turn of panel i; false when a worker failed instead.
func (e *engine) await(i int) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	for e.turn != i && !e.failed {
		e.turned.Wait()
	}
	return e.turn == i
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
