package forward

import (
	"github.com/koala-go/sdk/dtype"
	"github.com/koala-go/sdk/internal/half"
	"github.com/koala-go/sdk/weights"
)

// matrix is a weight in Meta's layout, [rows, cols]. A vector is a matrix of one
// row.
type matrix struct {
	param      weights.Param
	name       string // of the tensor in its file, for messages
	view       *weights.View
	rows, cols int
	dtype      dtype.Type
	data       []byte // the whole matrix, if it is in memory
}

func newMatrix(c *weights.Checkpoint, p weights.Param, v *weights.View) *matrix {
	t := c.Tensor(p)
	if t == nil { // the output matrix of tied embeddings
		t = c.Tensor(weights.Param{Role: weights.Embed})
	}
	return &matrix{param: p, name: t.Name, view: v, rows: int(v.Rows()), cols: int(v.RowBytes() / v.DType.Size()), dtype: v.DType}
}

func (x *matrix) bytes() int64 { return int64(x.rows) * x.view.RowBytes() }

// read returns n rows from row first on. It reads them into the buffer, which
// has bufferSize(n) bytes, unless the matrix is in memory.
func (x *matrix) read(buffer []byte, first, n int) ([]byte, error) {
	size := int(x.view.RowBytes())
	if x.data != nil {
		return x.data[first*size : (first+n)*size], nil
	}
	block := buffer[:n*size]
	return block, x.view.ReadRows(block, int64(first), int64(n), buffer[n*size:])
}

// bufferSize returns the size of the buffer that read needs for n rows.
func (x *matrix) bufferSize(n int) int64 {
	if x.data != nil {
		return 0
	}
	return int64(n)*x.view.RowBytes() + x.view.Scratch(int64(n))
}

// readRow reads one row as numbers, which must be finite.
func (x *matrix) readRow(dst []float32, i int) error {
	block, err := x.read(make([]byte, x.bufferSize(1)), i, 1)
	if err != nil {
		return err
	}
	if err := x.checkFinite(block, i); err != nil {
		return err
	}
	half.Floats(dst, block, x.dtype)
	return nil
}

// checkFinite returns an error if a block of rows, which begins at row first, has
// an element that is infinite or NaN.
func (x *matrix) checkFinite(block []byte, first int) error {
	if i := half.FirstNonFinite(block, x.dtype); i >= 0 {
		return nonFinite("a weight", x.name, int64(first)*int64(x.cols)+int64(i))
	}
	return nil
}
