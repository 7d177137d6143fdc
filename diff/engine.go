package diff

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"sync"
	"time"

	"github.com/koala-go/sdk/internal/half"
	"github.com/koala-go/sdk/progress"
	"github.com/koala-go/sdk/weights"
)

// Run writes the output. A plan can run once.
func (p *Plan) Run(ctx context.Context) (*Report, error) {
	start := time.Now()
	w, err := p.create(ctx)
	if err != nil {
		return nil, err
	}
	e := newEngine(p, w)
	if err := e.run(ctx); err != nil {
		if p.options.Resume {
			return nil, errors.Join(err, w.Keep())
		}
		return nil, errors.Join(err, w.Abort())
	}
	elapsed := time.Since(start)
	return &Report{p.Summary(), e.resumedBytes, elapsed.Seconds(), elapsed}, nil
}

// create begins the output, or takes over the output of an earlier run.
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
		return nil, fmt.Errorf("%w: wait until it has ended, or write to another path", err)
	}
	return w, err
}

// engine runs a plan. Workers take panels in the order of the output's files, and
// compute and write them independently of each other. Then they deliver the panels
// to the digests, one at a time and in order. Neither the number of workers nor
// their speed shows in the output.
//
// A worker holds one panel until it is delivered, and panels are taken in order.
// Therefore the panel that is due next is always held by a worker that does not
// wait, and the workers cannot block each other.
type engine struct {
	plan     *Plan
	writer   *weights.Writer
	journal  *journal
	prefetch prefetcher
	progress *progress.Counter

	resumed      int   // the number of panels that an earlier run wrote
	resumedBytes int64 // their size in the output

	// Parts of files that are not needed any more leave the page cache; see
	// releases.
	releaseOutput, releaseInputs bool

	mu             sync.Mutex // guards the next three
	delivered      int        // the number of panels that were delivered
	deliveredBytes int64      // their size in the output
	failed         bool       // no further panel will be delivered
	changed        *sync.Cond // of the three

	// sums has the CRC-32 of each tensor, as far as it was delivered. Only the
	// worker whose panel is due uses it.
	sums map[weights.Param]uint32
}

func newEngine(p *Plan, w *weights.Writer) *engine {
	e := &engine{plan: p, writer: w, sums: make(map[weights.Param]uint32)}
	e.releaseOutput, e.releaseInputs = p.releases()
	e.changed = sync.NewCond(&e.mu)
	e.progress = progress.NewCounter(progress.Progress{Stage: "write", Total: p.layout.Bytes(), Unit: progress.Bytes}, p.options.Progress)
	return e
}

// run does all the work, from opening the journal to the finished output.
func (e *engine) run(ctx context.Context) (err error) {
	if e.journal, err = openJournal(e); err != nil {
		return err
	}
	inputs := startHashing(ctx, e.plan, e.releaseInputs)
	stopSaving := e.journal.saveRegularly(e)
	if err = errors.Join(e.work(ctx), stopSaving()); err != nil {
		inputs.stop()
		return err
	}
	described, err := inputs.wait()
	if err != nil {
		return err
	}
	e.progress.Enter("sync", e.plan.layout.Bytes())
	return e.finish(ctx, described)
}

// finish completes the output and publishes it.
func (e *engine) finish(ctx context.Context, inputs []ManifestInput) error {
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
	// Somebody may have put a file into the output's directory during the run.
	if refused := checkExists(ctx, e.plan); refused != nil {
		return refused
	}
	if err := e.writer.RemoveNote(journalName); err != nil {
		return err
	}
	return e.writer.Commit()
}

// work runs the workers until all panels are delivered or one of the workers fails.
func (e *engine) work(ctx context.Context) error {
	// A worker that waits for its panel to be due does not see the context: fail
	// wakes it.
	defer context.AfterFunc(ctx, e.fail)()
	return e.plan.forEach(ctx, len(e.plan.panels), func(ctx context.Context, b *buffers, i int) error {
		err := e.panel(ctx, b, i)
		if err != nil {
			e.fail()
		}
		return err
	})
}

// fail wakes the workers that wait for panels to be delivered.
func (e *engine) fail() {
	e.mu.Lock()
	e.failed = true
	e.mu.Unlock()
	e.changed.Broadcast()
}

// panel computes, writes and delivers panel i. A panel that an earlier run wrote is
// read back for the digests instead.
func (e *engine) panel(ctx context.Context, b *buffers, i int) error {
	e.prefetch.begin(e.plan.panels, i)
	x := e.plan.panels[i]
	offset := x.first * x.work.storedRow
	if i < e.resumed {
		stored := b.all[:x.rows*x.work.storedRow]
		if err := e.writer.ReadAt(x.param, stored, offset); err != nil {
			return err
		}
		return e.deliverInOrder(ctx, i, stored)
	}
	results, stored, err := b.compute(e.plan.op, x)
	if err != nil {
		return err
	}
	if !e.plan.options.AllowNonFinite {
		if err := e.checkFinite(x, results); err != nil {
			return err
		}
	}
	if err := e.writer.WriteAt(x.param, stored, offset); err != nil {
		return err
	}
	return e.deliverInOrder(ctx, i, stored)
}

// checkFinite refuses results that are infinite or NaN.
func (e *engine) checkFinite(x panel, results []byte) error {
	i := half.FirstNonFinite(results, x.work.resultType)
	if i < 0 {
		return nil
	}
	first := x.first * x.work.resultRow / x.work.resultType.Size()
	return &weights.NonFiniteError{
		What: "a result", Tensor: e.plan.layout.Spec.Layout().Name(x.param), Index: first + int64(i),
		Cure: "check the inputs' checksums, or allow non-finite results",
	}
}

// deliverInOrder waits until all panels before panel i are delivered, and delivers
// it. Only the worker whose panel is due touches the digests.
func (e *engine) deliverInOrder(ctx context.Context, i int, stored []byte) error {
	if !e.await(i) {
		return context.Cause(ctx)
	}
	x := e.plan.panels[i]
	if err := e.writer.Digest(x.param, stored, x.first*x.work.storedRow); err != nil {
		return err
	}
	if e.plan.options.Digests != DigestNone {
		e.sums[x.param] = crc32.Update(e.sums[x.param], crc32.IEEETable, stored)
	}
	e.mu.Lock()
	e.delivered++
	before := e.deliveredBytes
	e.deliveredBytes += int64(len(stored))
	syncDue := before/startSyncEvery != e.deliveredBytes/startSyncEvery
	e.mu.Unlock()
	e.changed.Broadcast()
	// From here on the next panel is due: what follows must not depend on order.
	if syncDue {
		e.writer.StartSync(e.releaseOutput)
	}
	if e.releaseInputs {
		e.plan.releaseInputs(i)
	}
	e.progress.Add(int64(len(stored)))
	return e.journal.panelDelivered(e, i)
}

// await waits until panel i is due. It reports false if a worker failed instead.
func (e *engine) await(i int) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	for e.delivered != i && !e.failed {
		e.changed.Wait()
	}
	return e.delivered == i
}
