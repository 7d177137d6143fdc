package weights

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"github.com/koala-go/sdk/dtype"
	"github.com/koala-go/sdk/internal/half"
)

// ResizeVocab adds rows to the embedding and the output matrix until they have
// the given number. Each new row is the mean of the original rows. Alpaca's
// script does the same to a base before it adds a difference whose vocabulary
// has one more token. Both matrices are read as F32 from then on, as the script
// reads them. The mean is summed in float64 and rounded once, so its last bits
// may differ from the script's.
func (c *Checkpoint) ResizeVocab(rows int) error {
	more := rows - c.Config.Vocab
	if more == 0 {
		return nil
	}
	if more < 0 {
		return &ModelError{fmt.Sprintf("the vocabulary has %d rows, more than the %d that are wanted", c.Config.Vocab, rows), c.Path, "take a base of the original vocabulary"}
	}
	for _, role := range []Role{Embed, Output} {
		t := c.byParam[Param{Role: role}]
		if t == nil {
			continue
		}
		grown, err := c.grow(t, int64(more))
		if err != nil {
			return err
		}
		c.byParam[t.Param] = grown
		c.Tensors[slices.Index(c.Tensors, t)] = grown
	}
	c.Config.Vocab = rows
	return nil
}

// grow returns a tensor with more rows, or with more columns if it is stored
// transposed.
func (c *Checkpoint) grow(t *Tensor, more int64) (*Tensor, error) {
	mean, err := c.meanRow(t.Param)
	if err != nil {
		return nil, err
	}
	grown := *t
	grown.DType, grown.columns, grown.Shape = dtype.F32, nil, slices.Clone(t.Shape)
	axis := 0
	if t.layout.Transposed(t.Param.Role) {
		axis = 1
	}
	grown.Shape[axis] += more
	// The original rows stay in the file; only the new ones are in memory.
	old := *t
	old.DType, old.data = dtype.F32, newDecoder(t.DType, t.data, t.Len())
	added := Tensor{DType: dtype.F32, Shape: slices.Clone(t.Shape), data: bytes.NewReader(repeated(mean, more, axis))}
	added.Shape[axis] = more
	grown.data = concat(axis, []*Tensor{&old, &added})
	return &grown, nil
}

// repeated returns a matrix as F32 in which a row is repeated: as rows for axis
// 0, as columns for axis 1.
func repeated(row []float32, times int64, axis int) []byte {
	var b []byte
	for i := range times * int64(len(row)) {
		v := row[i%int64(len(row))]
		if axis == 1 {
			v = row[i/times]
		}
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
	}
	return b
}

// meanRow returns the mean of the rows of an embedding.
func (c *Checkpoint) meanRow(p Param) ([]float32, error) {
	v, err := c.View(p, Meta)
	if err != nil {
		return nil, err
	}
	step := max(1<<20/max(v.RowBytes(), 1), 1)
	sums, values := make([]float64, v.cols), make([]float32, step*v.cols)
	block := make([]byte, step*v.RowBytes())
	for first := int64(0); first < v.rows; first += step {
		n := min(step, v.rows-first)
		if err := v.ReadRows(block[:n*v.RowBytes()], first, n, nil); err != nil {
			return nil, err
		}
		half.Floats(values[:n*v.cols], block[:n*v.RowBytes()], v.DType)
		for i, x := range values[:n*v.cols] {
			sums[i%int(v.cols)] += float64(x)
		}
	}
	mean := make([]float32, v.cols)
	for i := range mean {
		mean[i] = float32(sums[i] / float64(v.rows))
	}
	return mean, nil
}
