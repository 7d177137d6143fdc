package diff

import (
	"fmt"

	"github.com/koala-go/sdk/dtype"
	"github.com/koala-go/sdk/internal/partition"
	"github.com/koala-go/sdk/weights"
)

// panel is the unit of work: a block of whole rows of one output tensor.
type panel struct {
	param       weights.Param
	first, rows int64
	work        *tensorWork
}

// tensorWork is what the panels of one tensor have in common.
type tensorWork struct {
	views []*weights.View // of the inputs, in the output's layout
	types []dtype.Type    // of the views
	// Results are computed in resultType and written in storedType. The two
	// differ where the format stores the tensor in another type than the options
	// ask for: GGUF stores norms in F32, and Q8_0 is written from F32.
	resultType, storedType dtype.Type
	resultRow, storedRow   int64 // the size of a row, in bytes

	// Transposing costs a pass over the memory. If all views store the rows as
	// columns, alike, the blocks are combined as they are stored and only the
	// results are transposed: transposeResults is set. If one of two views does,
	// its block is transposed while it is combined: transposedView is its index,
	// and otherwise -1. In all other cases views are transposed as they are read.
	transposeResults bool
	transposedView   int
	// reusedView is the index of a view whose block the results overwrite, or -1.
	// The elements of the block have the results' size.
	reusedView int
}

// converted reports whether results are written in another type.
func (w *tensorWork) converted() bool { return w.storedType != w.resultType }

const (
	// rowPanel is the size of panels whose rows are stored as rows: they stay in
	// the processor's cache between reading, combining and writing.
	rowPanel = 1 << 20
	// columnPanel is the size of panels whose rows are stored as columns or
	// permuted. Each panel of columns costs a read for each column of the tensor,
	// so that they are as large as the memory allows, up to this bound.
	columnPanel = 32 << 20
)

// divide divides the output into panels, so that the buffers of all workers fit into
// the memory limit.
func (p *Plan) divide() error {
	workers, need, ok, err := partition.Fit(p.options.Workers, p.workersFixed, p.options.Memory, func(workers int) (int64, error) {
		// Half of the limit is left for the program itself, and for tensors that
		// need more than the budget for a single step of rows.
		err := p.dividePanels(p.options.Memory / 2 / int64(workers))
		return p.bufferBytes(), err
	})
	if err != nil {
		return err
	}
	p.options.Workers = workers
	if !ok {
		what := fmt.Sprintf("a run of %d workers", workers)
		if workers == 1 {
			what = "a run of 1 worker"
		}
		return &weights.MemoryError{What: what, Need: need, Limit: p.options.Memory, Cure: "allow more memory or fewer workers"}
	}
	return nil
}

// dividePanels divides the output into panels of at most budget bytes of buffers,
// in the order of the output's files: they are written from front to back.
func (p *Plan) dividePanels(budget int64) error {
	p.panels = nil
	for _, q := range p.layout.Order() {
		w, rows, err := p.newTensorWork(q)
		if err != nil {
			return err
		}
		step := w.panelRows(rows, budget)
		for first := int64(0); first < rows; first += step {
			p.panels = append(p.panels, panel{q, first, min(step, rows-first), w})
		}
	}
	return nil
}

// newTensorWork prepares the views of one tensor. It returns the number of rows of
// the output.
func (p *Plan) newTensorWork(q weights.Param) (w *tensorWork, rows int64, err error) {
	placement := p.layout.Placement(q)
	w = &tensorWork{resultType: p.layout.Spec.DTypes[q].Decoded(), storedType: placement.DType}
	for i, c := range p.sources {
		v, err := c.View(q, p.layout.Spec.Layout())
		if err != nil {
			return nil, 0, fmt.Errorf("%s: %w", p.inputs[i].name, err)
		}
		w.views = append(w.views, v)
		w.types = append(w.types, v.DType)
		rows = v.Rows()
		w.resultRow = v.RowBytes() / v.DType.Size() * w.resultType.Size()
	}
	w.storedRow = placement.Bytes() / rows
	w.chooseTransposition(p.op)
	w.chooseReusedView()
	return w, rows, nil
}

// chooseTransposition finds the way in which the fewest blocks are transposed.
func (w *tensorWork) chooseTransposition(op *operation) {
	w.transposeResults, w.transposedView = true, -1
	for _, v := range w.views {
		w.transposeResults = w.transposeResults && v.TransposedLike(w.views[0])
	}
	if len(w.views) != 2 || op.combineTransposed == nil || w.views[0].Transposed() == w.views[1].Transposed() {
		return
	}
	// The kernels transpose the second operand only.
	if w.views[1].Transposed() {
		w.transposedView = 1
	} else if op.commutes {
		w.transposedView = 0
	}
}

// chooseReusedView finds a block that the results may overwrite. A block that is
// transposed while it is combined cannot be reused: its elements are read in another
// order than the results are written.
func (w *tensorWork) chooseReusedView() {
	w.reusedView = -1
	for i, v := range w.views {
		if i != w.transposedView && v.DType.Size() == w.resultType.Size() {
			w.reusedView = i
		}
	}
}

// panelRows returns the number of rows of the tensor's panels. A panel needs at most
// budget bytes of buffers, or holds a single step of the views.
func (w *tensorWork) panelRows(rows, budget int64) int64 {
	target, step := int64(rowPanel), int64(1)
	for _, v := range w.views {
		step = max(step, v.Step())
		if v.Scratch(1) > 0 {
			target = columnPanel
		}
	}
	return partition.Rows(rows, step, min(target/w.resultRow, budget/w.bufferSize(1)), 1)
}

// bufferSize returns the size of the buffers that n rows need. The layout of the
// buffers is in buffers.compute.
func (w *tensorWork) bufferSize(n int64) int64 {
	total, scratch := int64(0), int64(0)
	for i, v := range w.views {
		total += n * v.RowBytes()
		if !w.transposeResults && i != w.transposedView {
			scratch = max(scratch, v.Scratch(n)) // views are read one after the other
		}
	}
	if w.reusedView < 0 {
		total += n * w.resultRow
	}
	if w.transposeResults {
		scratch = n * w.resultRow
	}
	if w.converted() {
		total += n * w.storedRow
	}
	return total + scratch
}

// bufferBytes returns the size of the buffers that one worker needs for the largest
// panel.
func (p *Plan) bufferBytes() int64 {
	var most int64
	for _, x := range p.panels {
		most = max(most, x.work.bufferSize(x.rows))
	}
	return most
}
