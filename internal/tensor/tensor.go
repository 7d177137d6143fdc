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
	Name  string     // as in the file
	DType dtype.Type // the type of the elements
	Shape []int64    // outermost dimension first; empty for a scalar

	// Offset is the offset in the file of the tensor's first byte.
	Offset int64 // the file offset of the first byte

	// Data reads the elements: little-endian, row-major, contiguous,
	// Bytes() long.
	Data io.ReaderAt

	// Transposed reads the elements column by column. It is nil unless the file
	// stores the matrix in column-major order. Data reads such a matrix row by
	// row too, but needs many small reads.
	Transposed io.ReaderAt
}

// Piece is a run of bytes of a file that is being written.
type Piece struct {
	Offset int64  // the file offset of the first byte
	Bytes  []byte // the contents
}

// Bytes returns the length of the tensor's data in bytes. It returns zero if
// DType.Bytes reports false.
func (t *Tensor) Bytes() int64 {
	n, _ := t.DType.Bytes(t.Shape)
	return n
}
