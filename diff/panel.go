package diff

import (
	"fmt"

	"github.com/koala-go/sdk/dtype"
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
	types []dtype.Type // of the views
	out   dtype.Type   // of the results
	row   int64        // bytes of a row of results
	// Results are written as they are, unless the format stores the weight in
	// another type than was asked for: GGUF has norms in F32, and Q8_0.
	as     dtype.Type
	stored int64 // bytes of a row as it is written

	// Transposing costs a pass over the memory. Where all views are turned
	// alike, only the results are transposed; where one of two is, it is
	// transposed as it is combined. oneTurned is its index, or -1.
	allTurned bool
	oneTurned int
	// Results take the place of a block where one has elements of their size.
	// It is the index of its view, or -1.
	over int
}

// recoded says whether results are written in another type.
func (w *work) recoded() bool { return dtype.Type(w.as) != w.out }

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
		step := w.panelRows(rows, p.options.Memory/2/int64(p.options.Workers))
		for first := int64(0); first < rows; first += step {
			p.panels = append(p.panels, panel{q, first, min(step, rows-first), w})
		}
	}
	return nil
}

// work prepares the views of one weight; rows is how many the output has.
func (p *Plan) work(q weights.Param) (w *work, rows int64, err error) {
	place, dt := p.layout.Placement(q), p.layout.Spec.DTypes[q].Decoded()
	w = &work{out: dtype.Type(dt), as: place.DType}
	for i, c := range p.sources {
		v, err := c.View(q, p.layout.Spec.Layout())
		if err != nil {
			return nil, 0, fmt.Errorf("%s: %w", p.inputs[i].name, err)
		}
		w.views = append(w.views, v)
		w.types = append(w.types, dtype.Type(v.DType))
		rows = v.Rows()
		w.row = v.RowBytes() / v.DType.Size() * dt.Size()
	}
	w.stored = place.Bytes() / rows
	w.turn(p.op)
	w.share()
	return w, rows, nil
}

// turn finds out how few blocks have to be transposed.
func (w *work) turn(op *operation) {
	w.allTurned, w.oneTurned = true, -1
	for _, v := range w.views {
		w.allTurned = w.allTurned && v.TransposedLike(w.views[0])
	}
	if len(w.views) != 2 || op.turned == nil || w.views[0].Transposed() == w.views[1].Transposed() {
		return
	}
	if w.views[1].Transposed() {
		w.oneTurned = 1
	} else if op.commutes {
		w.oneTurned = 0
	}
}

// share finds a block that the results may overwrite: any that is not
// transposed as it is combined.
func (w *work) share() {
	w.over = -1
	for i, v := range w.views {
		if i != w.oneTurned && v.DType.Size() == w.out.Size() {
			w.over = i
		}
	}
}

// panelRows is the number of rows of a panel that needs at most budget bytes
// of buffers, and at least one step. The panels of a weight are of one size,
// but for the last, which is hardly smaller: few rows of a turned one cost as
// many reads as many.
func (w *work) panelRows(rows, budget int64) int64 {
	target, step := int64(plainPanel), int64(1)
	for _, v := range w.views {
		step = max(step, v.Step())
		if v.Scratch(1) > 0 {
			target = turnedPanel
		}
	}
	most := max(min(target/w.row, budget/w.need(1))/step, 1) // steps
	steps := ceil(rows, step)
	return ceil(steps, ceil(steps, most)) * step
}

func ceil(a, b int64) int64 { return (a + b - 1) / b }

// need is the bytes of buffers that n rows take.
func (w *work) need(n int64) int64 {
	total, scratch := int64(0), int64(0)
	for i, v := range w.views {
		total += n * v.RowBytes()
		if !w.allTurned && i != w.oneTurned {
			scratch = max(scratch, v.Scratch(n))
		}
	}
	if w.over < 0 {
		total += n * w.row
	}
	if w.allTurned {
		scratch = n * w.row
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
	more   []byte
}

// space is n bytes to work in, besides those of compute. It is kept.
func (b *buffers) space(n int) []byte {
	if cap(b.more) < n {
		b.more = make([]byte, n)
	}
	return b.more[:n]
}

// take cuts n bytes off the front.
func take(rest []byte, n int64) (cut, after []byte) { return rest[:n:n], rest[n:] }

// compute reads a panel of every input and combines them. The results, and
// what is to be written of them, are valid until the next call.
func (b *buffers) compute(op *operation, x panel) (results, stored []byte, err error) {
	w := x.work
	rest := b.all
	b.blocks = b.blocks[:0]
	for _, v := range w.views {
		var block []byte
		block, rest = take(rest, x.rows*v.RowBytes())
		b.blocks = append(b.blocks, block)
	}
	if w.over >= 0 {
		results = b.blocks[w.over]
	} else {
		results, rest = take(rest, x.rows*w.row)
	}
	sums := results
	if w.allTurned {
		results, rest = take(rest, x.rows*w.row)
	}
	stored = results
	if w.recoded() {
		stored, rest = take(rest, x.rows*w.stored)
	}
	switch {
	case w.allTurned:
		err = b.combineTurned(op, x, results, sums)
	case w.oneTurned >= 0:
		err = b.combineOneTurned(op, x, results, rest)
	default:
		err = b.combine(op, x, results, rest)
	}
	if err != nil {
		return nil, nil, err
	}
	if w.recoded() {
		half.Encode(stored, w.as, results, w.out)
	}
	return results, stored, nil
}

// combine reads the blocks as rows and combines them.
func (b *buffers) combine(op *operation, x panel, results, scratch []byte) error {
	for i, v := range x.work.views {
		if err := v.ReadRows(b.blocks[i], x.first, x.rows, scratch); err != nil {
			return err
		}
	}
	op.combine(results, x.work.out, b.blocks, x.work.types)
	return nil
}

// combineTurned combines the blocks as they are stored, and transposes what
// comes out.
func (b *buffers) combineTurned(op *operation, x panel, results, sums []byte) (err error) {
	w := x.work
	var order []int32
	for i, v := range w.views {
		if order, err = v.ReadColumns(b.blocks[i], x.first, x.rows); err != nil {
			return err
		}
	}
	op.combine(sums, w.out, b.blocks, w.types)
	size := int(w.out.Size())
	half.Transpose(results, sums, len(results)/size/int(x.rows), int(x.rows), size, order)
	return nil
}

// combineOneTurned combines a block of rows with one that is transposed on the
// way.
func (b *buffers) combineOneTurned(op *operation, x panel, results, scratch []byte) error {
	w, turned, plain := x.work, x.work.oneTurned, 1-x.work.oneTurned
	if err := w.views[plain].ReadRows(b.blocks[plain], x.first, x.rows, scratch); err != nil {
		return err
	}
	order, err := w.views[turned].ReadColumns(b.blocks[turned], x.first, x.rows)
	if err != nil {
		return err
	}
	cols := len(results) / int(w.out.Size()) / int(x.rows)
	op.turned(results, w.out, b.blocks[plain], w.types[plain], b.blocks[turned], w.types[turned], cols, int(x.rows), order)
	return nil
}
