package diff

import (
	"fmt"

	"github.com/koala-go/sdk/internal/half"
	"github.com/koala-go/sdk/weights"
)

// panel is the unit of work: a block of whole rows of one output tensor.
type panel struct {
	param       weights.Param
	first, rows int64
	work        *work
}

// work is what the panels of one weight have in common.
type work struct {
	views []*weights.View
	types []half.Type // of the views
	out   half.Type   // of the results
	row   int64       // bytes of a row of results
	// Results are written as they are, unless the format stores the weight in
	// another type than was asked for: GGUF has norms in F32, and Q8_0.
	as     weights.DType
	stored int64 // bytes of a row as it is written
}

// recoded says whether results are written in another type.
func (w *work) recoded() bool { return half.Type(w.as) != w.out }

// Panels of weights that are read as they lie are small enough to stay in the
// cache between reading, adding and writing. Those that must be turned are as
// large as the memory allows, up to a bound, because each of their rows costs
// a piece of every row of the store.
const (
	plainPanel  = 1 << 20
	turnedPanel = 32 << 20
)

// cut divides the output into panels. A number of workers that nobody asked
// for is lowered until their buffers fit.
func (p *Plan) cut() error {
	for ; ; p.options.Workers = (p.options.Workers + 1) / 2 {
		if err := p.cutPanels(); err != nil {
			return err
		}
		need := p.bufferBytes() * int64(p.options.Workers)
		switch {
		case need <= p.options.Memory:
			return nil
		case p.asked || p.options.Workers == 1:
			return &CheckError{CheckMemory, fmt.Sprintf("%d workers need %d KiB of buffers, the limit is %d KiB",
				p.options.Workers, need>>10, p.options.Memory>>10), "allow more memory or fewer workers"}
		}
	}
}

func (p *Plan) cutPanels() error {
	p.panels = nil
	for _, q := range p.layout.Order() {
		w, rows, err := p.work(q)
		if err != nil {
			return err
		}
		step := w.panelRows(p.options.Memory / 2 / int64(p.options.Workers))
		for first := int64(0); first < rows; first += step {
			p.panels = append(p.panels, panel{q, first, min(step, rows-first), w})
		}
	}
	return nil
}

// work prepares the views of one weight; rows is how many the output has.
func (p *Plan) work(q weights.Param) (w *work, rows int64, err error) {
	place, dtype := p.layout.Place(q), p.layout.Spec.DTypes[q].Read()
	w = &work{out: half.Type(dtype), as: place.DType}
	for i, c := range p.sources {
		v, err := c.View(q, p.layout.Spec.Layout())
		if err != nil {
			return nil, 0, fmt.Errorf("%s: %w", p.inputs[i].name, err)
		}
		w.views = append(w.views, v)
		w.types = append(w.types, half.Type(v.DType))
		rows = v.Rows()
		w.row = v.RowBytes() / v.DType.Size() * dtype.Size()
	}
	w.stored = place.Bytes() / rows
	return w, rows, nil
}

// panelRows is the number of rows of a panel that needs at most budget bytes
// of buffers, and at least one step.
func (w *work) panelRows(budget int64) int64 {
	target, step := int64(plainPanel), int64(1)
	for _, v := range w.views {
		step = max(step, v.Step())
		if v.Scratch(1) > 0 {
			target = turnedPanel
		}
	}
	rows := min(target/w.row, budget/w.need(1))
	return max(rows/step*step, step)
}

// need is the bytes of buffers that n rows take.
func (w *work) need(n int64) int64 {
	total, scratch := n*w.row, int64(0)
	for _, v := range w.views {
		total += n * v.RowBytes()
		scratch = max(scratch, v.Scratch(n))
	}
	if w.recoded() {
		total += n * w.stored
	}
	return total + scratch
}

// bufferBytes is what one worker needs for the largest panel.
func (p *Plan) bufferBytes() int64 {
	var most int64
	for _, b := range p.panels {
		most = max(most, b.work.need(b.rows))
	}
	return most
}

// buffers are one worker's, cut anew for each panel from one allocation.
type buffers struct {
	all    []byte
	blocks [][]byte
}

// take cuts n bytes off the front.
func take(rest []byte, n int64) (cut, after []byte) { return rest[:n:n], rest[n:] }

// compute reads a panel of every input and combines them. The results, and
// what is to be written of them, are valid until the next call.
func (b *buffers) compute(op *operation, x panel) (results, stored []byte, err error) {
	w := x.work
	results, rest := take(b.all, x.rows*w.row)
	stored = results
	if w.recoded() {
		stored, rest = take(rest, x.rows*w.stored)
	}
	b.blocks = b.blocks[:0]
	for _, v := range w.views {
		var block []byte
		block, rest = take(rest, x.rows*v.RowBytes())
		b.blocks = append(b.blocks, block)
	}
	for i, v := range w.views {
		if err := v.ReadRows(b.blocks[i], x.first, x.rows, rest); err != nil {
			return nil, nil, err
		}
	}
	op.combine(results, w.out, b.blocks, w.types)
	switch {
	case w.as == weights.Q8_0:
		half.Quantize8(stored, results)
	case w.recoded():
		half.Convert(stored, half.Type(w.as), results, w.out)
	}
	return results, stored, nil
}
