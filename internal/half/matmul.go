package half

import (
	"sync"
	"unsafe"

	"github.com/koala-go/sdk/dtype"
)

// MulRows multiplies rows of weights with vectors: dst[t·dstStride+r] is the
// sum over c of w[r·cols+c] · x[t·xStride+c], for r below rows and t below
// tokens. w holds rows·cols little-endian elements of type wt at any alignment.
// dst must not overlap an operand.
//
// The sum is the same on every machine, bit for bit, and does not depend on how
// rows and tokens are divided into calls. Each product is rounded to fp32 and
// then added, with a second rounding. Of 16 lanes, lane j adds the products of
// the columns that equal j modulo 16, in ascending order, starting with +0.
// Then the lanes are folded: lane j adds lane j+8, then j+4, j+2 and j+1. NaNs
// become the NaN of fp32.
func MulRows(dst []float32, dstStride int, w []byte, wt dtype.Type, rows, cols int, x []float32, xStride, tokens int) {
	m := product{&active.exact[index(wt)], w, size(wt), cols, x, xStride}
	m.rows(dst, dstStride, rows, tokens)
}

// FastMulRows is like MulRows to within rounding. It may fuse a product with
// its addition, so that the result is the same only on machines of one kind.
func FastMulRows(dst []float32, dstStride int, w []byte, wt dtype.Type, rows, cols int, x []float32, xStride, tokens int) {
	m := product{&active.fast[index(wt)], w, size(wt), cols, x, xStride}
	m.rows(dst, dstStride, rows, tokens)
}

// Dot returns the sum of a[c] · b[c], computed as in MulRows.
func Dot(a, b []float32) float32 {
	checkLengths(len(a), len(b))
	if len(a) == 0 {
		return 0
	}
	var sum [1]float32
	MulRows(sum[:], 1, bytesOf(a), dtype.F32, 1, len(a), b, len(b), 1)
	return sum[0]
}

// AddScaled adds s · x[i] to dst[i]. Each product is rounded before it is
// added. NaNs become the NaN of fp32.
func AddScaled(dst, x []float32, s float32) {
	checkLengths(len(dst), len(x))
	if n := len(x) &^ (sumLanes - 1); n > 0 && active.addScaled != nil {
		active.addScaled(&dst[0], &x[0], s, n)
		dst, x = dst[n:], x[n:]
	}
	for i, v := range x {
		dst[i] = canonicalFloat(dst[i] + float32(s*v)) // the conversion keeps arm64 from fusing the two
	}
}

// bytesOf returns the memory of f as bytes.
func bytesOf(f []float32) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(f))), 4*len(f))
}

// sumLanes is the number of lanes of a sum.
const sumLanes = 16

// A dotKernel adds the products of n columns, a multiple of sumLanes, to the
// lanes of some rows and tokens. The lanes of row r and token t are at
// lanes[(t·panelRows+r)·sumLanes]. The columns of row r begin at w + r·stride,
// and those of token t at x[t·xStride].
type dotKernel func(lanes *float32, w *byte, stride int, x *float32, xStride, n int)

// dots holds the kernels for one type of weights. They differ in the numbers of
// rows and tokens.
type dots struct {
	one        dotKernel // one row, one token
	four       dotKernel // tileRows rows, one token
	tile       dotKernel // tileRows rows, tileTokens tokens; may be nil
	tileTokens int
}

// The dimensions of a panel. The lanes of a panel fit in the L2 cache together
// with the weights and the columns of the tokens that they sum. The rows of a
// tile are a quarter of the panel apart, so that the kernel reads four
// contiguous streams of memory, which processors prefetch.
const (
	tileRows    = 4
	panelRows   = 64
	panelTokens = 32
	panelCols   = 2048
)

// PanelRows is the number of rows that MulRows processes at a time. Calls with
// a multiple of PanelRows rows are the fastest.
const PanelRows = panelRows

// panel holds the lanes and the sums of a panel, and the last columns if their
// number is not a multiple of sumLanes.
type panel struct {
	lanes [panelTokens * panelRows * sumLanes]float32
	sums  [panelRows]float32
	w     [4 * sumLanes]byte
	x     [sumLanes]float32
}

var panels = sync.Pool{New: func() any { return new(panel) }}

// product holds the operands of a multiplication.
type product struct {
	k       *dots
	w       []byte
	size    int // of a weight in bytes
	cols    int
	x       []float32
	xStride int
}

// rows writes the sums of all rows and tokens, panel by panel.
func (m *product) rows(dst []float32, dstStride, rows, tokens int) {
	if rows <= 0 || tokens <= 0 {
		return
	}
	checkLengths(len(m.w), rows*m.cols*m.size)
	if len(dst) < (tokens-1)*dstStride+rows || len(m.x) < (tokens-1)*m.xStride+m.cols {
		panic("half: an operand is too short for the product")
	}
	p := panels.Get().(*panel)
	defer panels.Put(p)
	for r := 0; r < rows; r += panelRows {
		height := min(panelRows, rows-r)
		for t := 0; t < tokens; t += panelTokens {
			width := min(panelTokens, tokens-t)
			// Lanes start at +0: a sum of no columns is +0 and not -0.
			clear(p.lanes[:((width-1)*panelRows+height)*sumLanes])
			m.sum(p, r, height, t, width)
			for i := range width {
				active.fold(&p.sums[0], &p.lanes[i*panelRows*sumLanes])
				p.put(dst[(t+i)*dstStride+r:][:height])
			}
		}
	}
}

// put writes the sums of a token to dst in the order of the rows. See rowAt.
func (p *panel) put(dst []float32) {
	spacing := len(dst) / tileRows
	for k := range tileRows {
		for i := range dst[k*spacing : (k+1)*spacing] {
			dst[k*spacing+i] = p.sums[(i*tileRows+k)%panelRows]
		}
	}
	copy(dst[spacing*tileRows:], p.sums[spacing*tileRows:])
}

// sum adds the products of all columns to the lanes of a panel.
func (m *product) sum(p *panel, r, height, t, width int) {
	whole := m.cols &^ (sumLanes - 1)
	step := panelCols
	if width == 1 { // the weights are read only once: read whole rows
		step = max(whole, 1)
	}
	for c := 0; c < whole; c += step {
		m.columns(p, r, height, t, width, c, min(step, whole-c))
	}
	if whole == m.cols {
		return
	}
	p.w, p.x = [4 * sumLanes]byte{}, [sumLanes]float32{} // the product of zeros adds +0
	for j := range width {
		copy(p.x[:], m.x[(t+j)*m.xStride+whole:][:m.cols-whole])
		for i := range height {
			row := r + rowAt(i, height)
			copy(p.w[:], m.w[(row*m.cols+whole)*m.size:(row+1)*m.cols*m.size])
			m.k.one(p.at(i, j), &p.w[0], 0, &p.x[0], 0, sumLanes)
		}
	}
}

// rowAt returns the row of a panel whose lanes have index i.
func rowAt(i, height int) int {
	spacing := height / tileRows
	if i >= spacing*tileRows {
		return i
	}
	return i%tileRows*spacing + i/tileRows
}

// columns adds the products of n columns, with the largest tiles that fit.
func (m *product) columns(p *panel, r, height, t, width, c, n int) {
	rowBytes := m.cols * m.size
	spacing := height / tileRows
	for j := 0; j < width; {
		step, four := 1, m.k.four
		if m.k.tile != nil && width-j >= m.k.tileTokens {
			step, four = m.k.tileTokens, m.k.tile
		}
		x := m.x[(t+j)*m.xStride+c:][:(step-1)*m.xStride+n]
		for i := range spacing {
			w := m.w[(r+i)*rowBytes+c*m.size:][:(tileRows-1)*spacing*rowBytes+n*m.size]
			four(p.at(tileRows*i, j), &w[0], spacing*rowBytes, &x[0], m.xStride, n)
		}
		for i := spacing * tileRows; i < height; i++ {
			w := m.w[(r+i)*rowBytes+c*m.size:][:n*m.size]
			for k := range step {
				m.k.one(p.at(i, j+k), &w[0], 0, &x[k*m.xStride], 0, n)
			}
		}
		j += step
	}
}

// at returns the address of the first lane of a row and token of the panel.
func (p *panel) at(r, t int) *float32 { return &p.lanes[(t*panelRows+r)*sumLanes] }
