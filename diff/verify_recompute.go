package diff

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/fnv"

	"github.com/koala-go/sdk/progress"
	"github.com/koala-go/sdk/weights"
)

// recompute compares the output with base + diff.
func (v *verifier) recompute(ctx context.Context) error {
	out, err := weights.Open(ctx, v.report.Path, &weights.OpenOptions{Heads: v.options.Heads, FollowLinks: v.options.FollowLinks})
	if err != nil {
		return err
	}
	p, err := v.plan(ctx, out)
	if err != nil {
		return errors.Join(err, out.Close())
	}
	return errors.Join(v.comparePanels(ctx, p, out), p.Close(), out.Close())
}

// plan prepares the sum of base and diff in the output's format, layout and types.
// Nothing is written, so that the checks of the output's path are not run, and a base
// that looks wrong is allowed: the comparison shows whether it is.
func (v *verifier) plan(ctx context.Context, out *weights.Checkpoint) (*Plan, error) {
	if err := out.Complete(); err != nil {
		return nil, err
	}
	o := Options{
		Format: writtenFormat(out), DType: out.Tensor(weights.Param{Role: weights.Embed}).DType, Shards: 1,
		Source: v.options.Source, Heads: v.options.Heads, FollowLinks: v.options.FollowLinks, ResizeVocab: v.options.ResizeVocab,
		Allow: checkNames[:overridable], Workers: v.options.Workers, Memory: v.options.Memory,
	}
	p := &Plan{op: recovery, options: o.resolve(), inputs: []input{{"base", v.options.Base}, {"diff", v.options.Diff}}}
	p.workersFixed = o.Workers > 0
	if err := p.prepareInputs(ctx); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	for q, t := range p.layout.Spec.DTypes {
		if have := out.Tensor(q); have == nil || have.DType != p.layout.Placement(q).DType {
			return nil, errors.Join(fmt.Errorf("%v of the output does not have the type %s of the others: %s: verify an output of a single run", q, t, out.Path), p.Close())
		}
	}
	return p, nil
}

// writtenFormat returns the format that is written in the output's layout.
func writtenFormat(out *weights.Checkpoint) weights.Format {
	for _, f := range weights.Formats() {
		if f.Writable() && f.Layout() == out.Layout {
			return f
		}
	}
	return out.Format
}

// comparePanels recomputes panels and compares them with the output's.
func (v *verifier) comparePanels(ctx context.Context, p *Plan, out *weights.Checkpoint) error {
	chosen := p.sample(v.options.Sample)
	total, tensors := int64(0), make(map[weights.Param]bool)
	for _, x := range chosen {
		total += x.rows * x.work.storedRow
		tensors[x.param] = true
	}
	counter := progress.NewCounter(progress.Progress{Stage: "verify", Total: total, Unit: progress.Bytes}, v.options.Progress)
	differing := make(map[weights.Param]int64) // the first row that differs, by tensor
	err := p.forEach(ctx, len(chosen), func(_ context.Context, b *buffers, i int) error {
		x := chosen[i]
		_, stored, err := b.compute(p.op, x)
		if err != nil {
			return err
		}
		have := b.scratch(len(stored))
		if err := readStored(out, x, have); err != nil {
			return err
		}
		v.mu.Lock()
		defer v.mu.Unlock()
		if at := firstDifference(stored, have); at >= 0 {
			row := x.first + at/x.work.storedRow
			if first, seen := differing[x.param]; !seen || row < first {
				differing[x.param] = row
			}
		}
		v.report.Bytes += int64(len(have))
		counter.Add(int64(len(have)))
		return nil
	})
	for _, q := range p.layout.Order() {
		if row, found := differing[q]; found {
			v.add(Difference{Tensor: out.Layout.Name(q), Problem: fmt.Sprintf("differs from base + diff, first in row %d of those compared", row)})
		}
	}
	v.report.Tensors = len(tensors)
	return err
}

// readStored reads the output's bytes of a panel.
func readStored(out *weights.Checkpoint, x panel, dst []byte) error {
	t := out.Tensor(x.param)
	n, err := t.ReadAt(dst, x.first*x.work.storedRow)
	if n == len(dst) {
		return nil // io.ReaderAt allows io.EOF with the last bytes
	}
	return fmt.Errorf("reading tensor %q of %s: %w", t.Name, t.Path, err)
}

// firstDifference returns the index of the first byte that differs, or -1.
func firstDifference(a, b []byte) int64 {
	if bytes.Equal(a, b) {
		return -1
	}
	for i := range a {
		if a[i] != b[i] {
			return int64(i)
		}
	}
	return -1
}

// sample chooses panels: the first of every tensor, and a share of the others. The
// choice depends on a hash of the panel alone, so that a second run verifies the same
// panels.
func (p *Plan) sample(share float64) []panel {
	if share <= 0 || share >= 1 {
		return p.panels
	}
	var chosen []panel
	for i, x := range p.panels {
		h := fnv.New32a()
		fmt.Fprint(h, x.param, x.first)
		if i == 0 || p.panels[i-1].param != x.param || float64(h.Sum32()) < share*(1<<32) {
			chosen = append(chosen, x)
		}
	}
	return chosen
}
