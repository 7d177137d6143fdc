package weights

import (
	"fmt"
	"io"

	"github.com/x448/float16"

	"github.com/koala-go/sdk/dtype"
	"github.com/koala-go/sdk/internal/bounded"
	"github.com/koala-go/sdk/internal/half"
)

// Tensor describes one array of a checkpoint and reads it.
type Tensor struct {
	Name  string // as the file calls it
	Param Param  // what it is
	DType dtype.Type
	Shape []int64 // as stored

	Path   string // the file that holds it
	Offset int64  // of its first byte there

	layout  *Layout
	data    io.ReaderAt
	turned  io.ReaderAt // the same column by column, where the file holds it so
	extents []extent
}

// extent is a part of a file that a tensor lies in.
type extent struct {
	file   *openFile
	off, n int64
}

// Len is the number of elements.
func (t *Tensor) Len() int64 {
	n, _ := dtype.Elements(t.Shape)
	return n
}

// Bytes is the number of bytes of the elements.
func (t *Tensor) Bytes() int64 {
	n, _ := t.DType.Bytes(t.Shape)
	return n
}

// ReadAt reads the tensor's elements as bytes: little-endian, row-major,
// contiguous. It is an io.ReaderAt over Bytes() bytes.
func (t *Tensor) ReadAt(p []byte, off int64) (int, error) { return t.data.ReadAt(p, off) }

// elements are the tensor's elements, row by row, in the type in which they
// are read.
func (t *Tensor) elements() io.ReaderAt {
	if t.DType.Decoded() == t.DType {
		return t.data
	}
	return widen(t.DType, t.data, t.Len())
}

// read fills p from one of the tensor's readers, which has elements of the
// type in which they are read, and names the file in its error.
func (t *Tensor) read(from io.ReaderAt, p []byte, off int64) error {
	err := bounded.ReadFull(from, p, off)
	if err != nil {
		at := t.Offset + int64(float64(off)*float64(t.Bytes())/float64(t.Len()*t.DType.Decoded().Size()))
		return fmt.Errorf("reading tensor %q at byte %d of %s: %w", t.Name, at, t.Path, err)
	}
	return nil
}

// Float32s reads len(dst) elements from the first on, widened to float32,
// which is exact.
func (t *Tensor) Float32s(dst []float32, first int64) error {
	return readValues(t, dst, first, half.Floats)
}

// Float16s reads len(dst) elements from the first on. Elements of an F16
// tensor are read as they are, others are rounded to nearest, ties to even.
func (t *Tensor) Float16s(dst []float16.Float16, first int64) error {
	return readValues(t, dst, first, func(dst []float16.Float16, src []byte, from dtype.Type) {
		bits := make([]byte, 2*len(dst))
		half.Convert(bits, dtype.F16, src, from)
		for i := range dst {
			dst[i] = float16.Frombits(uint16(bits[2*i]) | uint16(bits[2*i+1])<<8)
		}
	})
}

// readValues reads elements in pieces of a few KiB and decodes them.
func readValues[T any](t *Tensor, dst []T, first int64, decode func([]T, []byte, dtype.Type)) error {
	if !t.DType.IsWeight() {
		return fmt.Errorf("tensor %q is of type %s, not one that weights come in: %w", t.Name, t.DType, ErrUnsupported)
	}
	if first < 0 || int64(len(dst)) > t.Len()-first {
		return fmt.Errorf("elements %d to %d of tensor %q, which has %d: %w", first, first+int64(len(dst)), t.Name, t.Len(), io.ErrUnexpectedEOF)
	}
	from, size := t.DType.Decoded(), t.DType.Decoded().Size()
	elements := t.elements()
	piece := make([]byte, min(int64(len(dst))*size, 8192))
	for len(dst) > 0 {
		n := min(int64(len(dst)), int64(len(piece))/size)
		if err := t.read(elements, piece[:n*size], first*size); err != nil {
			return err
		}
		decode(dst[:n], piece[:n*size], from)
		dst, first = dst[n:], first+n
	}
	return nil
}

// features are the tensor's rows and columns as [out, in], from its shape and
// layout; in is 1 for a vector.
func (t *Tensor) features() (out, in int64) {
	switch {
	case len(t.Shape) == 0:
		return 0, 0
	case len(t.Shape) == 1:
		return t.Shape[0], 1
	case t.layout.Transposed(t.Param.Role):
		return t.Shape[1], t.Shape[0]
	}
	return t.Shape[0], t.Shape[1]
}
