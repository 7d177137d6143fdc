package diff

import (
	"fmt"
	"math"
	"slices"

	"github.com/koala-go/sdk/dtype"
	"github.com/koala-go/sdk/internal/half"
	"github.com/koala-go/sdk/weights"
)

// checkRecovered refuses a base to which the diff was added already. The
// diff d and a base b that it was not added to have little to do with each
// other, while of b + d a multiple of about one of d is a part: the slope of
// the regression on d is near 0 or near 1. It is only believed when it is
// known to a sixteenth.
func checkRecovered(p *Plan) *CheckError {
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

// Some weights are enough for the regression: so many matrices, and of each
// the leading so many rows and columns, or as many elements where one side is
// shorter. Each row of the store costs a read, all over the file, which is what
// counts for an input that is not in the page cache.
const (
	regressionMatrices = 9
	regressionCorner   = 640
)

// regression is the slope of b on d over a part of their matrices, and the
// slope's standard error.
func regression(b, d *weights.Checkpoint) (slope, deviation float64, err error) {
	var products, squares, both float64
	var first, second leading
	for _, q := range someMatrices(&b.Config) {
		x, err := first.corner(b, q)
		if err != nil {
			return 0, 0, err
		}
		y, err := second.corner(d, q)
		if err != nil {
			return 0, 0, err
		}
		for i := range min(len(x), len(y)) {
			u, v := float64(x[i]), float64(y[i])
			if w := u * v; w-w == 0 { // finite
				products, squares, both = products+w, squares+float64(v*v), both+float64(w*w)
			}
		}
	}
	if squares == 0 {
		return 0, math.Inf(1), nil
	}
	return products / squares, math.Sqrt(both) / squares, nil
}

// someMatrices are matrices that no layout permutes, of layers that are evenly
// spread.
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

// leading is space for the corners of one input's weights.
type leading struct {
	stored, scratch []byte
	values          []float32
}

// corner are the leading rows and columns of a weight in Meta's layout, valid
// until the next call.
func (l *leading) corner(c *weights.Checkpoint, q weights.Param) ([]float32, error) {
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
	half.Floats(l.values, l.stored, dtype.Type(v.DType))
	return l.values, nil
}
