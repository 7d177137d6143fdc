// Package tensor describes one stored tensor: its name, type, shape, and where
// its bytes are. Every checkpoint format is read into such descriptions and
// written from them.
package tensor

import (
	"io"

	"github.com/koala-go/sdk/dtype"
)

// Tensor describes one tensor of a file.
type Tensor struct {
	Name  string
	DType dtype.Type
	Shape []int64 // outermost dimension first; empty for a scalar

	// Offset is the offset in the file of the tensor's first byte.
	Offset int64

	// Data reads the elements: little-endian, row-major, contiguous,
	// Bytes() long.
	Data io.ReaderAt

	// Transposed reads the elements column by column. It is nil unless the file
	// stores the matrix in column-major order. Data reads such a matrix row by
	// row too, but needs many small reads.
	Transposed io.ReaderAt
}

// Piece is a run of bytes of a file to be written.
type Piece struct {
	Offset int64
	Bytes  []byte
}

// Bytes returns the length of the tensor's data, and zero where DType.Bytes
// reports false.
func (t *Tensor) Bytes() int64 {
	n, _ := t.DType.Bytes(t.Shape)
	return n
}
