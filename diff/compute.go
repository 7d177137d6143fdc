package diff

import (
	"context"

	"github.com/koala-go/sdk/internal/half"
	"github.com/koala-go/sdk/internal/memory"
	"github.com/koala-go/sdk/internal/parallel"
)

// forEach calls do for the numbers below n, on the plan's workers. Each worker has
// its own buffers.
func (p *Plan) forEach(ctx context.Context, n int, do func(ctx context.Context, b *buffers, i int) error) error {
	return parallel.ForState(ctx, p.options.Workers, n, func(int) *buffers { return newBuffers(p.bufferBytes()) }, do)
}

// buffers belong to one worker. One allocation is divided anew for each panel.
type buffers struct {
	all    []byte
	blocks [][]byte
	extra  []byte
}

func newBuffers(size int64) *buffers {
	b := &buffers{all: make([]byte, size)}
	memory.HugePages(b.all)
	return b
}

// scratch returns n bytes besides those of compute.
func (b *buffers) scratch(n int) []byte {
	if cap(b.extra) < n {
		b.extra = make([]byte, n)
	}
	return b.extra[:n]
}

// split returns the first n bytes, and the rest.
func split(b []byte, n int64) (first, rest []byte) { return b[:n:n], b[n:] }

// compute reads a panel of every input and combines them. It returns the results and
// the bytes to write, which are the results too unless the output stores them in
// another type. Both are valid until the next call.
func (b *buffers) compute(op *operation, x panel) (results, stored []byte, err error) {
	w := x.work
	rest := b.all
	b.blocks = b.blocks[:0]
	for _, v := range w.views {
		var block []byte
		block, rest = split(rest, x.rows*v.RowBytes())
		b.blocks = append(b.blocks, block)
	}
	if w.reusedView >= 0 {
		results = b.blocks[w.reusedView]
	} else {
		results, rest = split(rest, x.rows*w.resultRow)
	}
	combined := results
	if w.transposeResults { // a matrix cannot be transposed in place
		results, rest = split(rest, x.rows*w.resultRow)
	}
	stored = results
	if w.converted() {
		stored, rest = split(rest, x.rows*w.storedRow)
	}
	switch {
	case w.transposeResults:
		err = b.combineAsStored(op, x, results, combined)
	case w.transposedView >= 0:
		err = b.combineTransposed(op, x, results, rest)
	default:
		err = b.combineRows(op, x, results, rest)
	}
	if err != nil {
		return nil, nil, err
	}
	if w.converted() {
		half.Encode(stored, w.storedType, results, w.resultType)
	}
	return results, stored, nil
}

// combineRows reads the blocks as rows and combines them.
func (b *buffers) combineRows(op *operation, x panel, results, scratch []byte) error {
	for i, v := range x.work.views {
		if err := v.ReadRows(b.blocks[i], x.first, x.rows, scratch); err != nil {
			return err
		}
	}
	op.combine(results, x.work.resultType, b.blocks, x.work.types)
	return nil
}

// combineAsStored combines the blocks as they are stored, as columns, and transposes
// the combined block into results.
func (b *buffers) combineAsStored(op *operation, x panel, results, combined []byte) (err error) {
	w := x.work
	var order []int32 // the same for all views
	for i, v := range w.views {
		if order, err = v.ReadColumns(b.blocks[i], x.first, x.rows); err != nil {
			return err
		}
	}
	op.combine(combined, w.resultType, b.blocks, w.types)
	size := int(w.resultType.Size())
	half.Transpose(results, combined, len(results)/size/int(x.rows), int(x.rows), size, order)
	return nil
}

// combineTransposed combines a block of rows with a block of columns, which is
// transposed while it is combined.
func (b *buffers) combineTransposed(op *operation, x panel, results, scratch []byte) error {
	w, columns, rows := x.work, x.work.transposedView, 1-x.work.transposedView
	if err := w.views[rows].ReadRows(b.blocks[rows], x.first, x.rows, scratch); err != nil {
		return err
	}
	order, err := w.views[columns].ReadColumns(b.blocks[columns], x.first, x.rows)
	if err != nil {
		return err
	}
	width := len(results) / int(w.resultType.Size()) / int(x.rows)
	op.combineTransposed(results, w.resultType, b.blocks[rows], w.types[rows], b.blocks[columns], w.types[columns], width, int(x.rows), order)
	return nil
}
