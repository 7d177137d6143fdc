package weights

import (
	"fmt"
	"io"

	"github.com/koala-go/sdk/dtype"
	"github.com/koala-go/sdk/internal/half"
)

// View reads a weight as another layout stores it: transposed, with the rows of
// heads reordered, or unchanged. It reads blocks of rows and holds no data.
type View struct {
	Shape []int64    // in the layout of the view
	DType dtype.Type // of the elements as they are read: the tensor's DType.Decoded

	tensor     *Tensor
	source     io.ReaderAt
	rows, cols int64 // of the view; a vector is one row
	transposed bool  // the store has the rows of the view as columns
	order      rotary
	orderCols  bool // the columns of the view are reordered, not its rows
}

// View returns the weight p in the layout l. It returns a *ModelError if the
// checkpoint does not have the weight, or if rows have to be reordered and the
// number of heads is unknown.
func (c *Checkpoint) View(p Param, l *Layout) (*View, error) {
	t := c.tensorOf(p)
	if t == nil {
		return nil, &ModelError{fmt.Sprintf("weight %v is missing", p), c.Path, "take a whole LLaMA checkpoint"}
	}
	role := t.Param.Role
	if want := c.Layout.Shape(role, &c.Config); len(t.Shape) != len(want) {
		return nil, &ModelError{fmt.Sprintf("tensor %q has shape %v, want %v", t.Name, t.Shape, want), c.Path, "take a whole LLaMA checkpoint"}
	}
	out, in := t.features()
	v := &View{DType: t.DType.Decoded(), tensor: t, source: t.elements(), rows: out, cols: in, orderCols: l.Transposed(p.Role)}
	transposed := c.Layout.Transposed(role)
	// A matrix that torch stored column by column is read as its transpose: in
	// the order of the file instead of in small pieces. That reader returns stored
	// elements, so it serves only types that need no decoding.
	if t.columns != nil && t.DType.IsFloat() {
		v.source, transposed = t.columns, !transposed
	}
	// Transposing the store and transposing for the layout cancel out.
	v.transposed = transposed != l.Transposed(p.Role)
	switch {
	case len(t.Shape) == 1:
		v.rows, v.cols, v.Shape = 1, out, []int64{out}
	case l.Transposed(p.Role):
		v.rows, v.cols = in, out
		fallthrough
	default:
		v.Shape = []int64{v.rows, v.cols}
	}
	if l.Permuted(p.Role) != c.Layout.Permuted(p.Role) {
		v.order = rotary{int64(c.Config.HeadDim()), l.Permuted(p.Role)}
		if v.order.head == 0 {
			return nil, headsError(c.Path)
		}
	}
	return v, nil
}

// tensorOf returns the tensor that holds a weight. For tied embeddings, the
// embedding holds the output matrix too.
func (c *Checkpoint) tensorOf(p Param) *Tensor {
	if p.Role == Output && c.byParam[p] == nil && c.Config.TiedEmbeddings {
		p.Role = Embed
	}
	return c.byParam[p]
}

// rotary is the order of the rows of Q and K. In Meta's layout the two rows of
// a rotary pair are neighbours; in Hugging Face's they are half a head apart.
// The zero value reorders nothing.
type rotary struct {
	head   int64 // rows of one head
	halves bool  // the view has halves and the store has pairs; false for the reverse
}

// stored returns the row of the store that is row r of the view. For heads of D
// rows, row h·D + j·D/2 + i of halves is row h·D + 2i + j of pairs.
func (o rotary) stored(r int64) int64 {
	if o.head == 0 {
		return r
	}
	h, k := r-r%o.head, r%o.head
	if o.halves {
		return h + 2*(k%(o.head/2)) + k/(o.head/2)
	}
	return h + k%2*(o.head/2) + k/2
}

// Rows returns the number of rows. A vector is one row.
func (v *View) Rows() int64 { return v.rows }

// RowBytes returns the size of a row in bytes.
func (v *View) RowBytes() int64 { return v.cols * v.DType.Size() }

// Step returns the number that the bounds of blocks should be multiples of: the
// rows of a head if the rows of heads are reordered, else 1. Other blocks are
// read too, at the cost of reading whole heads.
func (v *View) Step() int64 {
	if v.order.head > 0 && !v.orderCols {
		return v.order.head
	}
	return 1
}

// Scratch returns the number of bytes of scratch space that ReadRows needs for
// a block of n rows that begins and ends at multiples of Step.
func (v *View) Scratch(n int64) int64 {
	if v.isStored() {
		return 0
	}
	return n * v.RowBytes()
}

// ReadRows reads n rows from row first on into dst, which has n·RowBytes()
// bytes. scratch is working space of Scratch(n) bytes; nil means that ReadRows
// allocates it.
func (v *View) ReadRows(dst []byte, first, n int64, scratch []byte) error {
	if first < 0 || n < 0 || n > v.rows-first || int64(len(dst)) != n*v.RowBytes() {
		return fmt.Errorf("reading rows %d to %d into %d bytes: tensor %q has %d rows of %d bytes", first, first+n, len(dst), v.tensor.Name, v.rows, v.RowBytes())
	}
	if v.isStored() {
		return v.tensor.read(v.source, dst, first*v.RowBytes())
	}
	step := v.Step()
	// A reordered row may come from any row of its head, so whole heads are read.
	if from, to := first/step*step, (first+n+step-1)/step*step; from != first || to != first+n {
		wide := make([]byte, (to-from)*v.RowBytes())
		err := v.readBlock(wide, from, to-from, nil)
		copy(dst, wide[(first-from)*v.RowBytes():])
		return err
	}
	return v.readBlock(dst, first, n, scratch)
}

// isStored reports whether the rows of the view are those of the store.
func (v *View) isStored() bool { return !v.transposed && v.order.head == 0 }

// readBlock reads a block of whole steps that is transposed or reordered.
func (v *View) readBlock(dst []byte, first, n int64, scratch []byte) error {
	if need := v.Scratch(n); int64(len(scratch)) < need {
		scratch = make([]byte, need)
	}
	scratch = scratch[:len(dst)]
	if v.transposed {
		return v.readTransposed(dst, first, n, scratch)
	}
	if err := v.tensor.read(v.source, scratch, first*v.RowBytes()); err != nil {
		return err
	}
	if v.orderCols {
		v.permuteCols(dst, scratch)
		return nil
	}
	order := make([]int32, n)
	for r := range n {
		order[r] = int32(v.order.stored(first+r) - first)
	}
	half.PermuteRows(dst, scratch, int(v.RowBytes()), order)
	return nil
}

// permuteCols reorders the elements of each row.
func (v *View) permuteCols(dst, src []byte) {
	size := v.DType.Size()
	order := make([]int64, v.cols)
	for c := range order {
		order[c] = v.order.stored(int64(c)) * size
	}
	for ; len(dst) > 0; dst, src = dst[v.RowBytes():], src[v.RowBytes():] {
		for c, from := range order {
			copy(dst[int64(c)*size:(int64(c)+1)*size], src[from:])
		}
	}
}

// prefetchPlain is the size up to which Prefetch gives advice for a view that
// is read in the order of the store. The system reads ahead by itself in larger
// ones.
const prefetchPlain = 32 << 20

// Prefetch advises the system that the weight is about to be read. The advice
// matters for a Transposed view: a block of it takes a piece of every row of
// the store, an order that the system does not recognize.
func (v *View) Prefetch() {
	if v.transposed || v.tensor.Bytes() <= prefetchPlain {
		for _, s := range v.tensor.extents {
			s.file.prefetch(s.off, s.n)
		}
	}
}

// Release advises the system that the weight will not be read again soon.
func (v *View) Release() {
	for _, s := range v.tensor.extents {
		s.file.release(s.off, s.n)
	}
}

// Transposed reports whether the store has the rows of the view as columns.
// ReadRows then gathers and transposes them. To combine several such views,
// gather them with ReadColumns, combine the gathered blocks, and transpose
// once.
func (v *View) Transposed() bool { return v.transposed }

// TransposedLike reports whether both views are Transposed and have the same
// elements at the same places of their gathered blocks.
func (v *View) TransposedLike(w *View) bool {
	return v.transposed && w.transposed && v.order == w.order && v.orderCols == w.orderCols
}

// ReadColumns reads n rows of a Transposed view, from row first on, as the
// store has them: as a matrix of n columns with one row for each column of the
// view. To get the block of the view, transpose the matrix and put its column c
// into row order[c]; a nil order changes nothing. The block must begin and end
// at multiples of Step.
func (v *View) ReadColumns(dst []byte, first, n int64) (order []int32, err error) {
	size := v.DType.Size()
	if n == v.rows && !v.orderCols { // all of it, in one piece
		return v.blockOrder(first, n), v.tensor.read(v.source, dst[:v.cols*n*size], 0)
	}
	// The block takes n consecutive elements of each row of the store, and the
	// rows of the store in the order of the view's columns.
	for c := range v.cols {
		row := c
		if v.orderCols {
			row = v.order.stored(c)
		}
		if err := v.tensor.read(v.source, dst[c*n*size:(c+1)*n*size], (row*v.rows+first)*size); err != nil {
			return nil, err
		}
	}
	return v.blockOrder(first, n), nil
}

// ReadCorner reads the first rows and columns of a matrix whose rows are not
// reordered into dst, row by row. It costs a read for each row, or for each
// column of a Transposed view. scratch has the length of dst.
func (v *View) ReadCorner(dst []byte, rows, cols int64, scratch []byte) error {
	size := v.DType.Size()
	if v.order.head > 0 || rows > v.rows || cols > v.cols || int64(len(dst)) != rows*cols*size || len(scratch) < len(dst) {
		return fmt.Errorf("reading a corner of %d × %d elements of tensor %q, which has %d × %d, into %d bytes", rows, cols, v.tensor.Name, v.rows, v.cols, len(dst))
	}
	if !v.transposed {
		return v.readLeading(dst, rows, cols*size, v.cols*size)
	}
	stored := scratch[:len(dst)]
	if err := v.readLeading(stored, cols, rows*size, v.rows*size); err != nil {
		return err
	}
	half.Transpose(dst, stored, int(cols), int(rows), int(size), nil)
	return nil
}

// readLeading reads the first n bytes of each of the first rows of the store.
func (v *View) readLeading(dst []byte, rows, n, row int64) error {
	for r := range rows {
		if err := v.tensor.read(v.source, dst[r*n:(r+1)*n], r*row); err != nil {
			return err
		}
	}
	return nil
}

// readTransposed gathers a block of columns of the store, which are the rows of
// the block, and transposes it.
func (v *View) readTransposed(dst []byte, first, n int64, gathered []byte) error {
	order, err := v.ReadColumns(gathered, first, n)
	if err == nil {
		half.Transpose(dst, gathered, int(v.cols), int(n), int(v.DType.Size()), order)
	}
	return err
}

// blockOrder returns the row of a block that each gathered column becomes.
func (v *View) blockOrder(first, n int64) []int32 {
	if v.order.head == 0 || v.orderCols {
		return nil
	}
	order := make([]int32, n)
	for r := range n {
		order[v.order.stored(first+r)-first] = int32(r)
	}
	return order
}
