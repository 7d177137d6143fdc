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
	Name  string     // in the file
	Param Param      // the weight that it holds
	DType dtype.Type // of the elements
	Shape []int64    // as stored, outermost dimension first

	Path   string // of the file, the first of several shards
	Offset int64  // of the first byte in that file

	layout  *Layout
	data    io.ReaderAt
	columns io.ReaderAt // the elements column by column, nil unless the file holds them so
	extents []extent
}

// extent is a range of a file that holds elements of a tensor.
type extent struct {
	file   *openFile
	off, n int64
}

// Len returns the number of elements.
func (t *Tensor) Len() int64 {
	n, _ := dtype.Elements(t.Shape)
	return n
}

// Bytes returns the size of the elements in bytes, as stored.
func (t *Tensor) Bytes() int64 {
	n, _ := t.DType.Bytes(t.Shape)
	return n
}

// ReadAt reads the bytes of the elements as stored: little-endian, row by row,
// without gaps. It is an io.ReaderAt of Bytes() bytes.
func (t *Tensor) ReadAt(p []byte, off int64) (int, error) { return t.data.ReadAt(p, off) }

// elements reads the elements row by row in the type that they are decoded to.
func (t *Tensor) elements() io.ReaderAt {
	if t.DType.Decoded() == t.DType {
		return t.data
	}
	return newDecoder(t.DType, t.data, t.Len())
}

// read fills p from one of the tensor's readers of decoded elements. Its error
// names the file and the offset there.
func (t *Tensor) read(from io.ReaderAt, p []byte, off int64) error {
	err := bounded.ReadFull(from, p, off)
	if err != nil {
		// The offset is of decoded elements, those of the file may be smaller.
		at := t.Offset + int64(float64(off)*float64(t.Bytes())/float64(t.Len()*t.DType.Decoded().Size()))
		return fmt.Errorf("reading tensor %q at byte %d of %s: %w", t.Name, at, t.Path, err)
	}
	return nil
}

// Float32s reads len(dst) elements from element first on, converted to float32,
// which is exact.
func (t *Tensor) Float32s(dst []float32, first int64) error {
	return readValues(t, dst, first, half.Floats)
}

// Float16s reads len(dst) elements from element first on. Elements of an F16
// tensor are read as they are; others are rounded to nearest, ties to even.
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
		return fmt.Errorf("tensor %q has type %s, which cannot hold weights: %w", t.Name, t.DType, ErrUnsupported)
	}
	if first < 0 || int64(len(dst)) > t.Len()-first {
		return fmt.Errorf("reading elements %d to %d of tensor %q, which has %d: %w", first, first+int64(len(dst)), t.Name, t.Len(), io.ErrUnexpectedEOF)
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

// features returns the rows and columns of the weight as [out, in], from the
// shape and the layout. For a vector, in is 1.
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
