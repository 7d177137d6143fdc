package diff

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/koala-go/sdk/internal/half"
	"github.com/koala-go/sdk/weights"
)

// checkRecovered refuses a base that contains the diff already. A base b is almost
// independent of a diff d that was not added to it, so the slope of the regression
// of b on d is near 0. If d was added to b, the slope is near 1. The check trusts a
// slope only if its standard error is at most 1/16.
func checkRecovered(_ context.Context, p *Plan) *CheckError {
	if p.op != recovery {
		return nil
	}
	slope, deviation, err := regression(p.sources[0], p.sources[1])
	if err != nil {
		return &CheckError{CheckRecovered, err.Error(), "see that the files can be read"}
	}
	if deviation > 1.0/16 || math.Abs(slope-1) > 0.25 {
		return nil
	}
	return &CheckError{CheckRecovered, fmt.Sprintf("diff %s seems to be part of base %s already: regression of the base on the diff has a slope of %.3f (standard error %.3f), where 0 is expected",
		p.inputs[1].path, p.inputs[0].path, slope, deviation), "give LLaMA's own weights as the base"}
}

// The regression uses a corner of some matrices: the leading rows and columns, or
// the same number of elements where one side is shorter. Each stored row costs a
// read at another place of the file, which takes most of the time for an input that
// is not in the page cache.
const (
	regressionMatrices = 9
	regressionCorner   = 640 // rows and columns
)

// regression returns the slope of b on d over a part of their matrices, and the
// standard error of the slope.
func regression(b, d *weights.Checkpoint) (slope, deviation float64, err error) {
	var products, squares, both float64
	var first, second corner
	for _, q := range someMatrices(&b.Config) {
		x, err := first.read(b, q)
		if err != nil {
			return 0, 0, err
		}
		y, err := second.read(d, q)
		if err != nil {
			return 0, 0, err
		}
		for i := range min(len(x), len(y)) {
			u, v := float64(x[i]), float64(y[i])
			// Products are converted, so that no compiler fuses them with the sums.
			if w := u * v; w-w == 0 { // neither infinite nor NaN
				products, squares, both = products+w, squares+float64(v*v), both+float64(w*w)
			}
		}
	}
	if squares == 0 {
		return 0, math.Inf(1), nil
	}
	return products / squares, math.Sqrt(both) / squares, nil
}

// someMatrices returns matrices of layers that are spread evenly. No layout permutes
// their rows, so that the same corner of two files holds the same weights.
func someMatrices(c *weights.Config) []weights.Param {
	var list []weights.Param
	roles := []weights.Role{weights.Gate, weights.Up, weights.Down}
	step := max(c.Layers*len(roles)/regressionMatrices, 1)
	for layer := 0; layer < c.Layers; layer += step {
		for _, role := range roles {
			list = append(list, weights.Param{Layer: layer, Role: role})
		}
	}
	return list
}

// corner holds buffers for the corners of one input's matrices.
type corner struct {
	stored, scratch []byte
	values          []float32
}

// read returns the leading rows and columns of a weight in Meta's layout. They are
// valid until the next call.
func (l *corner) read(c *weights.Checkpoint, q weights.Param) ([]float32, error) {
	const most = regressionCorner * regressionCorner
	v, err := c.View(q, weights.Meta)
	if err != nil {
		return nil, err
	}
	size := v.DType.Size()
	width := v.RowBytes() / size
	rows := min(v.Rows(), most/min(width, regressionCorner))
	cols := min(width, most/rows)
	l.stored = slices.Grow(l.stored[:0], int(rows*cols*size))[:rows*cols*size]
	l.scratch = slices.Grow(l.scratch[:0], len(l.stored))[:len(l.stored)]
	l.values = slices.Grow(l.values[:0], int(rows*cols))[:rows*cols]
	if err := v.ReadCorner(l.stored, rows, cols, l.scratch); err != nil {
		return nil, err
	}
	half.Floats(l.values, l.stored, v.DType)
	return l.values, nil
}
