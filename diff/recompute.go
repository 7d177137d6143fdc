package diff

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/fnv"

	"github.com/koala-go/sdk/weights"
)

// recompute compares the output with base + diff.
func (v *verifier) recompute() error {
	out, err := weights.Open(v.ctx, v.report.Path, &weights.OpenOptions{Heads: v.options.Heads, FollowLinks: v.options.FollowLinks})
	if err != nil {
		return err
	}
	p, err := v.plan(out)
	if err != nil {
		return errors.Join(err, out.Close())
	}
	return errors.Join(v.compare(p, out), p.Close(), out.Close())
}

// plan prepares the sum of base and diff in the output's format, layout and
// types. Nothing is written, and so what guards an output is not checked.
func (v *verifier) plan(out *weights.Checkpoint) (*Plan, error) {
	if err := out.Complete(); err != nil {
		return nil, err
	}
	o := Options{
		Format: written(out), DType: out.Tensor(weights.Param{Role: weights.Embed}).DType, Shards: 1,
		Heads: v.options.Heads, FollowLinks: v.options.FollowLinks, ResizeVocab: v.options.ResizeVocab,
		Allow: []string{CheckSwapped, CheckRounded, CheckRecovered}, Workers: v.options.Workers, Memory: v.options.Memory,
	}
	p := &Plan{op: recovery, options: o.withDefaults(), inputs: []input{{"base", v.options.Base}, {"diff", v.options.Diff}}}
	p.asked = o.Workers > 0
	if err := p.prepareSum(); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	for q, t := range p.layout.Spec.DTypes {
		if have := out.Tensor(q); have == nil || have.DType != p.layout.Place(q).DType {
			return nil, errors.Join(fmt.Errorf("%v of the output is not of type %s, as the others: %s: recompute what one run wrote", q, t, out.Path), p.Close())
		}
	}
	return p, nil
}

// written is the format that has the output's layout.
func written(out *weights.Checkpoint) weights.Format {
	switch out.Layout {
	case weights.EasyLM:
		return weights.FormatEasyLM
	case weights.Meta:
		return weights.FormatTorch
	case weights.GGUF:
		return weights.FormatGGUF
	}
	return weights.FormatSafetensors
}

// compare recomputes panels and compares them with the output's.
func (v *verifier) compare(p *Plan, out *weights.Checkpoint) error {
	chosen := p.sample(v.options.Sample)
	differing := make(map[weights.Param]int64) // elements' rows, by weight
	total := int64(0)
	for _, x := range chosen {
		total += x.rows * x.work.stored
	}
	done := int64(0)
	err := p.each(v.ctx, len(chosen), func(_ context.Context, b *buffers, i int) error {
		x := chosen[i]
		_, stored, err := b.compute(p.op, x)
		if err != nil {
			return err
		}
		have := b.space(len(stored))
		if err := readStored(out, x, have); err != nil {
			return err
		}
		v.mu.Lock()
		defer v.mu.Unlock()
		if row := firstDifference(stored, have); row >= 0 {
			at := x.first + row/x.work.stored
			if first, seen := differing[x.param]; !seen || at < first {
				differing[x.param] = at
			}
		}
		done += int64(len(have))
		if v.options.Progress != nil {
			v.options.Progress(Progress{"verify", done, total})
		}
		return nil
	})
	v.report.Bytes += done
	for _, q := range p.layout.Order() {
		if row, found := differing[q]; found {
			v.differs(Difference{Tensor: out.Layout.Name(q), Problem: fmt.Sprintf("differs from base + diff, first in row %d of those compared", row)})
		}
	}
	seen := make(map[weights.Param]bool)
	for _, x := range chosen {
		seen[x.param] = true
	}
	v.report.Tensors = len(seen)
	return err
}

// readStored reads the output's bytes of a panel.
func readStored(out *weights.Checkpoint, x panel, dst []byte) error {
	t := out.Tensor(x.param)
	n, err := t.ReadAt(dst, x.first*x.work.stored)
	if n == len(dst) {
		return nil
	}
	return fmt.Errorf("reading tensor %q of %s: %w", t.Name, t.Path, err)
}

// firstDifference is the index of the first byte that differs, -1 when none
// does.
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

// sample chooses panels: the first of every weight, and of the others the
// share that was asked for, by a hash of their places.
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
