package weights

import (
	"fmt"

	"github.com/koala-go/sdk/dtype"
	"github.com/koala-go/sdk/internal/tensor"
)

// Placement says where the bytes of a weight go in the output, and in which
// type and shape.
type Placement struct {
	DType dtype.Type // of the elements, "" if the plan does not have the weight
	Shape []int64    // outermost dimension first
	// Parts are the destinations: one part, or one part of each shard.
	Parts []Part
	// Axis is the axis along which the shards divide the weight. It is -1 for
	// norms, which are whole in every shard.
	Axis int
}

// Part is the part of a weight in one file.
type Part struct {
	File   int   // index in Plan.Files
	Offset int64 // of the first byte in the file
	Size   int64 // number of rows or columns along the Axis, of rows for an only part

	index int // of the tensor in the file, for files that hold checksums
}

// newPlacement returns a Placement of one part.
func newPlacement(file int, offset int64, t *tensor.Tensor) Placement {
	at := Placement{DType: dtype.Type(t.DType), Shape: t.Shape}
	rows, _ := at.grid()
	at.Parts = []Part{{File: file, Offset: offset, Size: rows}}
	return at
}

// Bytes returns the size of the weight in bytes.
func (at Placement) Bytes() int64 {
	n, _ := at.DType.Bytes(at.Shape)
	return n
}

// grid returns the number of rows and the bytes of one. A vector is one row.
func (at *Placement) grid() (rows, row int64) {
	rows = 1
	if len(at.Shape) > 1 {
		rows = at.Shape[0]
	}
	return rows, at.Bytes() / max(rows, 1)
}

// partBytes returns the size of a part or, where columns are divided, of one
// row of the part.
func (at *Placement) partBytes(part *Part) int64 {
	_, row := at.grid()
	switch {
	case len(at.Parts) == 1 || at.Axis < 0:
		return at.Bytes()
	case at.Axis == 0:
		return part.Size * row
	}
	return part.Size * at.DType.Size()
}

// split passes the bytes of the weight that begin at off to the parts that hold
// them, with the offset there. Where columns are divided, the bytes must be
// whole rows.
func (at *Placement) split(b []byte, off int64, do func(part *Part, b []byte, off int64) error) error {
	if len(at.Parts) > 1 && at.Axis == 1 {
		return at.splitColumns(b, off, do)
	}
	begin := int64(0)
	for i := range at.Parts {
		part := &at.Parts[i]
		end := begin + at.partBytes(part)
		if from, to := max(off, begin), min(off+int64(len(b)), end); from < to {
			if err := do(part, b[from-off:to-off], from-begin); err != nil {
				return err
			}
		}
		if at.Axis == 0 { // parts with copies of a norm all begin at 0
			begin = end
		}
	}
	return nil
}

// splitColumns divides the columns of whole rows.
func (at *Placement) splitColumns(b []byte, off int64, do func(part *Part, b []byte, off int64) error) error {
	_, row := at.grid()
	if off%row != 0 || int64(len(b))%row != 0 {
		return fmt.Errorf("%d bytes at offset %d are not whole rows of %d bytes: write whole rows of a weight that several shards divide", len(b), off, row)
	}
	begin := int64(0)
	for i := range at.Parts {
		part := &at.Parts[i]
		width := at.partBytes(part)
		if err := gatherColumns(part, b, row, begin, width, off/row, do); err != nil {
			return err
		}
		begin += width
	}
	return nil
}

// gatherColumns gathers, from each row, the width bytes that begin at begin,
// and passes them on a buffer at a time. The number of the first row is first.
func gatherColumns(part *Part, b []byte, row, begin, width, first int64, do func(part *Part, b []byte, off int64) error) error {
	buffer := gatherPool.Get().(*[gatherBuffer]byte)
	defer gatherPool.Put(buffer)
	for step := max(gatherBuffer/max(width, 1), 1); len(b) > 0; first += step {
		rows := min(step, int64(len(b))/row)
		piece := buffer[:0]
		for r := range rows {
			piece = append(piece, b[r*row+begin:][:width]...)
		}
		if err := do(part, piece, first*width); err != nil {
			return err
		}
		b = b[rows*row:]
	}
	return nil
}
