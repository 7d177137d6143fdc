package forward

import (
	"context"

	"github.com/koala-go/sdk/internal/half"
	"github.com/koala-go/sdk/weights"
)

// runner carries out the products of a pass: streamer for weights in files,
// resident for weights in memory. A pass calls multiply once for each step, in
// order.
type runner interface {
	// multiply carries out the next step. It returns when all products are there.
	multiply(in []float32, out ...product) error
	// each calls do for all numbers below n, on several workers, and returns when
	// all calls are done. do gets the number of its worker.
	each(n int, do func(worker, i int))
	// stop ends the workers: at once if the pass failed with an error.
	stop(err error)
}

// product names the destination of the products of one matrix with all vectors:
// an array of a row for each vector.
type product struct {
	role weights.Role
	out  []float32
}

// newRunner starts the workers of a pass.
func (m *Model) newRunner(ctx context.Context, tokens int) (runner, error) {
	if m.panels != nil {
		return newResident(ctx, m), nil
	}
	// A quarter of the limit is left for what the program itself needs.
	panels, workers, buffer, err := m.divideForReaders(m.options.Memory*3/4 - m.activationBytes(tokens))
	if err != nil {
		return nil, err
	}
	return newStreamer(ctx, m, panels, workers, buffer), nil
}

// apply multiplies some rows of a matrix by all vectors.
func (m *Model) apply(x *matrix, first, count int, rows []byte, in, out []float32) error {
	multiply := half.MulRows
	if m.options.Fast {
		multiply = half.FastMulRows
	}
	tokens := len(in) / x.cols
	multiply(out[first:], x.rows, rows, x.dtype, count, x.cols, in, x.cols, tokens)
	// The products are checked instead of the weights: there are far fewer of
	// them, and a weight that is not finite always shows in its product. Only
	// then are the weights searched, to name the element.
	for t := range tokens {
		if !finite(out[t*x.rows+first:][:count]) {
			if err := x.checkFinite(rows, first); err != nil {
				return err
			}
			return nonFinite("a product", x.name, -1)
		}
	}
	return nil
}
