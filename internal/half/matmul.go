package half

import (
	"sync"
	"unsafe"

	"github.com/koala-go/sdk/dtype"
)

// MulRows multiplies rows of weights with vectors: dst[t·dstStride+r] is the
// sum over c of w[r·cols+c] · x[t·xStride+c], for r below rows and t below
// tokens. w holds rows·cols little-endian elements of type wt at any
// alignment; dst overlaps neither operand.
//
// The sum is the same on every machine, bit for bit, however rows and tokens
// are split into calls. Each product is rounded to fp32 and then added,
// rounded again: nothing is fused. Lane j of 16 adds the products whose column
// is j modulo 16, in the order of the columns, starting from +0; then the
// lanes are folded: lane j takes lane j+8, then j+4, j+2, and j+1. A NaN is
// the one of fp32.
func MulRows(dst []float32, dstStride int, w []byte, wt dtype.Type, rows, cols int, x []float32, xStride, tokens int) {
	m := product{&active.exact[index(wt)], w, size(wt), cols, x, xStride}
	m.rows(dst, dstStride, rows, tokens)
}

// FastMulRows is MulRows to within rounding: it may fuse a product with its
// addition, and is the same on one machine.
func FastMulRows(dst []float32, dstStride int, w []byte, wt dtype.Type, rows, cols int, x []float32, xStride, tokens int) {
	m := product{&active.fast[index(wt)], w, size(wt), cols, x, xStride}
	m.rows(dst, dstStride, rows, tokens)
}

// Dot is the sum of a[c] · b[c], by the rule of MulRows.
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
// added; a NaN is the one of fp32.
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

// bytesOf is the memory of f.
func bytesOf(f []float32) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(f))), 4*len(f))
}

// sumLanes is the number of lanes of a sum.
const sumLanes = 16

// A dotKernel adds the products of n columns, a multiple of sumLanes, to the
// lanes of some rows and tokens: those of row r and token t are at
// lanes[(t·panelRows+r)·sumLanes]. The columns of row r begin at w + r·stride,
// those of token t at x[t·xStride].
type dotKernel func(lanes *float32, w *byte, stride int, x *float32, xStride, n int)

// dots are the kernels for one type of weights. Each does as many rows and
// tokens as its name says; tile is nil where there is none.
type dots struct {
	one        dotKernel // one row, one token
	four       dotKernel // tileRows rows, one token
	tile       dotKernel // tileRows rows, tileTokens tokens
	tileTokens int
}

// The lanes of a panel stay in the L2 cache beside the weights and the columns
// of the tokens that they are summed from. The rows of a tile are a quarter of
// the panel apart: the memory of each is then read on and on, as processors
// expect it.
const (
	tileRows    = 4
	panelRows   = 64
	panelTokens = 32
	panelCols   = 2048
)

// PanelRows is the number of rows that MulRows does at a time: calls with
// multiples of it are the fastest.
const PanelRows = panelRows

// panel is space for the sums of a panel, and for the last columns where they
// are not a multiple of sumLanes.
type panel struct {
	lanes [panelTokens * panelRows * sumLanes]float32
	sums  [panelRows]float32
	w     [4 * sumLanes]byte
	x     [sumLanes]float32
}

var panels = sync.Pool{New: func() any { return new(panel) }}

// product is a multiplication without its size.
type product struct {
	k       *dots
	w       []byte
	size    int // of a weight
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
		panic("half: operands shorter than a product")
	}
	p := panels.Get().(*panel)
	defer panels.Put(p)
	for r := 0; r < rows; r += panelRows {
		height := min(panelRows, rows-r)
		for t := 0; t < tokens; t += panelTokens {
			width := min(panelTokens, tokens-t)
			clear(p.lanes[:((width-1)*panelRows+height)*sumLanes])
			m.sum(p, r, height, t, width)
			for i := range width {
				active.fold(&p.sums[0], &p.lanes[i*panelRows*sumLanes])
				p.put(dst[(t+i)*dstStride+r:][:height])
			}
		}
	}
}

// put writes the sums of a token: see rowAt.
func (p *panel) put(dst []float32) {
	apart := len(dst) / tileRows
	for k := range tileRows {
		for i := range dst[k*apart : (k+1)*apart] {
			dst[k*apart+i] = p.sums[(i*tileRows+k)%panelRows]
		}
	}
	copy(dst[apart*tileRows:], p.sums[apart*tileRows:])
}

// sum adds the products of all columns to the lanes of a panel.
func (m *product) sum(p *panel, r, height, t, width int) {
	whole := m.cols &^ (sumLanes - 1)
	step := panelCols
	if width == 1 { // the weights are read once, and so on and on
		step = max(whole, 1)
	}
	for c := 0; c < whole; c += step {
		m.columns(p, r, height, t, width, c, min(step, whole-c))
	}
	if whole == m.cols {
		return
	}
	p.w, p.x = [4 * sumLanes]byte{}, [sumLanes]float32{} // zeros add +0
	for j := range width {
		copy(p.x[:], m.x[(t+j)*m.xStride+whole:][:m.cols-whole])
		for i := range height {
			row := r + rowAt(i, height)
			copy(p.w[:], m.w[(row*m.cols+whole)*m.size:(row+1)*m.cols*m.size])
			m.k.one(p.at(i, j), &p.w[0], 0, &p.x[0], 0, sumLanes)
		}
	}
}

// rowAt is the row of a panel whose lanes are in place i.
func rowAt(i, height int) int {
	apart := height / tileRows
	if i >= apart*tileRows {
		return i
	}
	return i%tileRows*apart + i/tileRows
}

// columns adds the products of n columns, by tiles as large as there are.
func (m *product) columns(p *panel, r, height, t, width, c, n int) {
	rowBytes := m.cols * m.size
	apart := height / tileRows
	for j := 0; j < width; {
		step, four := 1, m.k.four
		if m.k.tile != nil && width-j >= m.k.tileTokens {
			step, four = m.k.tileTokens, m.k.tile
		}
		x := m.x[(t+j)*m.xStride+c:][:(step-1)*m.xStride+n]
		for i := range apart {
			w := m.w[(r+i)*rowBytes+c*m.size:][:(tileRows-1)*apart*rowBytes+n*m.size]
			four(p.at(tileRows*i, j), &w[0], apart*rowBytes, &x[0], m.xStride, n)
		}
		for i := apart * tileRows; i < height; i++ {
			w := m.w[(r+i)*rowBytes+c*m.size:][:n*m.size]
			for k := range step {
				m.k.one(p.at(i, j+k), &w[0], 0, &x[k*m.xStride], 0, n)
			}
		}
		j += step
	}
}

// at is the first lane of a row and token of the panel.
func (p *panel) at(r, t int) *float32 { return &p.lanes[(t*panelRows+r)*sumLanes] }
