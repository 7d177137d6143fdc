package weights

import (
	"fmt"

	"github.com/koala-go/sdk/dtype"
	"github.com/koala-go/sdk/internal/tensor"
)

// Placement is where a weight's bytes go, and as what.
type Placement struct {
	DType dtype.Type
	Shape []int64
	// Parts are where the bytes go: one part, or the shards' parts, which
	// divide the weight along Axis. Of norms every shard has the whole, and
	// Axis is -1.
	Parts []Part
	Axis  int
}

// Part is a part of a weight in one file.
type Part struct {
	File   int   // index in Plan.Files
	Offset int64 // in the file
	Size   int64 // rows or columns, by the Axis; all rows of an only part

	index int // among the tensors of a file that needs their checksums
}

// newPlacement is a place of one part.
func newPlacement(file int, offset int64, t *tensor.Tensor) Placement {
	at := Placement{DType: dtype.Type(t.DType), Shape: t.Shape}
	rows, _ := at.grid()
	at.Parts = []Part{{File: file, Offset: offset, Size: rows}}
	return at
}

// Bytes is the length of the weight's bytes.
func (at Placement) Bytes() int64 {
	n, _ := at.DType.Bytes(at.Shape)
	return n
}

// grid is the number of rows and the bytes of one; a vector is one row.
func (at *Placement) grid() (rows, row int64) {
	rows = 1
	if len(at.Shape) > 1 {
		rows = at.Shape[0]
	}
	return rows, at.Bytes() / max(rows, 1)
}

// partBytes are the bytes of a part or, where columns are divided, of one of
// its rows.
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

// each hands bytes of the weight, that begin at off, to the parts that they
// go to, with the offset there. Where columns are divided the bytes must be
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
		if at.Axis == 0 {
			begin = end
		}
	}
	return nil
}

// splitColumns divides the columns of whole rows.
func (at *Placement) splitColumns(b []byte, off int64, do func(part *Part, b []byte, off int64) error) error {
	_, row := at.grid()
	if off%row != 0 || int64(len(b))%row != 0 {
		return fmt.Errorf("%d bytes at %d are no whole rows of %d", len(b), off, row)
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

// band gathers the width bytes of each row that begin at the given one, in
// steps of a buffer; first is the number of the first row.
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
