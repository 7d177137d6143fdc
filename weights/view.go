package weights

import (
	"fmt"
	"io"

	"github.com/koala-go/sdk/dtype"
	"github.com/koala-go/sdk/internal/half"
)

// View is a weight as another layout would store it: transposed, with the
// rows of heads reordered, or just as it is. It reads blocks of its rows and
// holds no data.
type View struct {
	Shape []int64    // in the view's layout
	DType dtype.Type // as it is read, see DType.Read: a view does not round

	tensor     *Tensor
	source     io.ReaderAt
	rows, cols int64 // of the view; a vector is one row
	turned     bool  // stored with rows and columns exchanged
	order      rotary
	orderCols  bool // the order is of the view's columns, not of its rows
}

// View presents the weight that holds p in the layout. It is an error when
// the checkpoint has no such weight, or when rows must be reordered and the
// number of heads is unknown.
func (c *Checkpoint) View(p Param, l *Layout) (*View, error) {
	t := c.holder(p)
	if t == nil {
		return nil, &ModelError{fmt.Sprintf("there is no weight %v", p), c.Path, "take a whole LLaMA checkpoint"}
	}
	role := t.Param.Role
	if want := c.Layout.Shape(role, &c.Config); len(t.Shape) != len(want) {
		return nil, &ModelError{fmt.Sprintf("tensor %q has shape %v where %v is due", t.Name, t.Shape, want), c.Path, "take a whole LLaMA checkpoint"}
	}
	out, in := t.features()
	v := &View{DType: t.DType.Decoded(), tensor: t, source: t.elements(), rows: out, cols: in, orderCols: l.Transposed(p.Role)}
	transposed := c.Layout.Transposed(role)
	if t.turned != nil && t.DType.IsFloat() {
		v.source, transposed = t.turned, !transposed
	}
	v.turned = transposed != l.Transposed(p.Role)
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

// holder is the tensor that holds a weight; of tied embeddings the output
// matrix is the embedding.
func (c *Checkpoint) holder(p Param) *Tensor {
	if p.Role == Output && c.byParam[p] == nil && c.Config.TiedEmbeddings {
		p.Role = Embed
	}
	return c.byParam[p]
}

// rotary is the order of the rows of Q and K: in Meta's layout the two parts
// of a rotary pair are neighbours, in Hugging Face's they stand half a head
// apart. The zero value reorders nothing.
type rotary struct {
	head   int64 // rows of one head
	halves bool  // the view has halves and the store pairs, or else the reverse
}

// stored is where row r of the view is stored. For heads of D rows,
// halves row h·D + j·D/2 + i is pairs row h·D + 2i + j.
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

// Rows is the number of rows; a vector is one row.
func (v *View) Rows() int64 { return v.rows }

// RowBytes is the length of a row in bytes.
func (v *View) RowBytes() int64 { return v.cols * v.DType.Size() }

// Step is the number of rows that blocks should be a multiple of: a whole
// head where the rows of heads are reordered, else 1. Other blocks are read
// too, at the cost of reading whole heads.
func (v *View) Step() int64 {
	if v.order.head > 0 && !v.orderCols {
		return v.order.head
	}
	return 1
}

// Scratch is the number of bytes of scratch space that ReadRows needs for a
// block of n rows that begins and ends at multiples of Step.
func (v *View) Scratch(n int64) int64 {
	if v.asStored() {
		return 0
	}
	return n * v.RowBytes()
}

// ReadRows reads n rows from the first on into dst, of n·RowBytes() bytes.
// scratch is space to work in, of Scratch(n) bytes, or nil to allocate it.
func (v *View) ReadRows(dst []byte, first, n int64, scratch []byte) error {
	if first < 0 || n < 0 || n > v.rows-first || int64(len(dst)) != n*v.RowBytes() {
		return fmt.Errorf("rows %d to %d into %d bytes: tensor %q has %d rows of %d bytes", first, first+n, len(dst), v.tensor.Name, v.rows, v.RowBytes())
	}
	if v.asStored() {
		return v.tensor.read(v.source, dst, first*v.RowBytes())
	}
	step := v.Step()
	if from, to := first/step*step, (first+n+step-1)/step*step; from != first || to != first+n {
		wide := make([]byte, (to-from)*v.RowBytes())
		err := v.readBlock(wide, from, to-from, nil)
		copy(dst, wide[(first-from)*v.RowBytes():])
		return err
	}
	return v.readBlock(dst, first, n, scratch)
}

// asStored is true when the view's rows are the store's.
func (v *View) asStored() bool { return !v.turned && v.order.head == 0 }

// readBlock reads a block of whole steps that is not as it is stored.
func (v *View) readBlock(dst []byte, first, n int64, scratch []byte) error {
	if need := v.Scratch(n); int64(len(scratch)) < need {
		scratch = make([]byte, need)
	}
	scratch = scratch[:len(dst)]
	if v.turned {
		return v.readTurned(dst, first, n, scratch)
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

// permuteCols puts the elements of each row into the view's order.
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

// prefetchPlain is the size up to which Prefetch reads ahead what is read in the
// order in which it is stored: of more, the system does by itself.
const prefetchPlain = 32 << 20

// Prefetch tells the system that the weight is about to be read, so that it
// reads ahead. The blocks of a view that is Turned take a piece of every row of
// the store, in which the system would see no order.
func (v *View) Prefetch() {
	if v.turned || v.tensor.Bytes() <= prefetchPlain {
		for _, s := range v.tensor.extents {
			s.file.prefetch(s.off, s.n)
		}
	}
}

// Release tells the system that the weight will not be read again soon.
func (v *View) Release() {
	for _, s := range v.tensor.extents {
		s.file.release(s.off, s.n)
	}
}

// Turned says whether the store has the view's rows as columns: ReadRows
// gathers and transposes them then. Who combines several such views gathers
// with ReadColumns, combines what is gathered, and transposes once.
func (v *View) Transposed() bool { return v.turned }

// TurnedAlike says whether both views are Turned, and their gathered blocks
// have the same elements at the same places.
func (v *View) TurnedAlike(w *View) bool {
	return v.turned && w.turned && v.order == w.order && v.orderCols == w.orderCols
}

// ReadColumns reads n rows of a view that is Turned, from the first on, as the
// store has them: a matrix of a row for each of the view's columns, and of n
// columns. It becomes the view's block when it is transposed and its column c
// put in row order[c]; a nil order is the identity. The block begins and ends
// at multiples of Step.
func (v *View) ReadColumns(dst []byte, first, n int64) (order []int32, err error) {
	size := v.DType.Size()
	if n == v.rows && !v.orderCols { // all of it, in one piece
		return v.blockOrder(first, n), v.tensor.read(v.source, dst[:v.cols*n*size], 0)
	}
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

// ReadCorner reads the leading rows and columns of a matrix whose rows are not
// reordered into dst, row by row. It costs a read for each row, or for each
// column of a view that is Turned. scratch has the length of dst, too.
func (v *View) ReadCorner(dst []byte, rows, cols int64, scratch []byte) error {
	size := v.DType.Size()
	if v.order.head > 0 || rows > v.rows || cols > v.cols || int64(len(dst)) != rows*cols*size || len(scratch) < len(dst) {
		return fmt.Errorf("%d × %d elements of tensor %q, %d × %d, into %d bytes", rows, cols, v.tensor.Name, v.rows, v.cols, len(dst))
	}
	if !v.turned {
		return v.readLeading(dst, rows, cols*size, v.cols*size)
	}
	stored := scratch[:len(dst)]
	if err := v.readLeading(stored, cols, rows*size, v.rows*size); err != nil {
		return err
	}
	half.Transpose(dst, stored, int(cols), int(rows), int(size), nil)
	return nil
}

// readLeading reads the first n bytes of each of the store's first rows.
func (v *View) readLeading(dst []byte, rows, n, row int64) error {
	for r := range rows {
		if err := v.tensor.read(v.source, dst[r*n:(r+1)*n], r*row); err != nil {
			return err
		}
	}
	return nil
}

// readTurned gathers a block of columns of the store, which is the block of
// rows, and transposes it.
func (v *View) readTurned(dst []byte, first, n int64, gathered []byte) error {
	order, err := v.ReadColumns(gathered, first, n)
	if err == nil {
		half.Transpose(dst, gathered, int(v.cols), int(n), int(v.DType.Size()), order)
	}
	return err
}

// blockOrder says which row of a block each gathered column becomes.
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
