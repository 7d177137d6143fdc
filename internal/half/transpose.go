package half

import (
	"sync"

	"github.com/koala-go/sdk/dtype"
)

// Matrices are turned in blocks: long enough on both sides that a piece of a
// row is worth the visit to its page, and small enough for the L2 cache. The
// lines that 16 columns fill at once stay in the L1 cache.
const blockRows, blockCols = 1024, 256

// turnedBlock holds a turned block, its rows a cache line further apart than
// they are long: at a power of two they would all want the same few places of
// the L1 cache.
type turnedBlock struct {
	bytes [blockCols * (4*blockRows + 64)]byte
	to    [blockCols]int // offsets of the rows
}

var turnedBlocks = sync.Pool{New: func() any { return new(turnedBlock) }}

// Transpose writes the transpose of src, rows × cols elements of size 2 or 4
// bytes, row-major, to dst. The element (r, c) goes to dst's row order[c],
// column r; a nil order is the identity. dst and src must not overlap, and
// order must be a permutation of 0 … cols-1.
func Transpose(dst, src []byte, rows, cols, size int, order []int32) {
	checkLengths(len(src), rows*cols*size)
	TransposeColumns(dst, src, rows, cols, size, order)
}

// TransposeColumns is Transpose of a part of a matrix: cols columns of one
// whose rows begin stride elements apart, the first at the beginning of src.
func TransposeColumns(dst, src []byte, rows, stride, size int, order []int32) {
	if len(dst) == 0 {
		return
	}
	cols := len(dst) / (rows * size)
	checkLengths(len(dst), rows*cols*size)
	eachTurned(src, rows, cols, stride, size, order, func(at int, row []byte) {
		copy(dst[at*size:], row)
	})
}

// AddTransposed writes a + b to dst, where b is as src is to Transpose and
// dst and a are as dst is: b is rows × cols, the others cols × rows. The
// rules of Add hold, and dst must not overlap b.
func AddTransposed(dst []byte, out dtype.Type, a []byte, at dtype.Type, b []byte, bt dtype.Type, rows, cols int, order []int32) {
	combineTransposed(dst, out, a, at, b, bt, rows, cols, order, add)
}

// SubTransposed writes a - b, otherwise as AddTransposed.
func SubTransposed(dst []byte, out dtype.Type, a []byte, at dtype.Type, b []byte, bt dtype.Type, rows, cols int, order []int32) {
	combineTransposed(dst, out, a, at, b, bt, rows, cols, order, sub)
}

func combineTransposed(dst []byte, out dtype.Type, a []byte, at dtype.Type, b []byte, bt dtype.Type, rows, cols int, order []int32, op operation) {
	checkLengths(len(dst)/size(out), rows*cols)
	checkLengths(len(a)/size(at), rows*cols)
	stream := active.find(op, at, bt, out).stream
	if p := split(dst, out, stream != nil); !p.stream || p.head > 0 || rows%kernelBlock != 0 {
		stream = nil // some piece would not be aligned, or not whole blocks
	}
	checkLengths(len(b), rows*cols*size(bt))
	eachTurned(b, rows, cols, cols, size(bt), order, func(first int, row []byte) {
		end := first + len(row)/size(bt)
		ask(a, size(at), first+rowsAhead*rows, end-first)
		if stream != nil {
			stream(&dst[first*size(out)], &a[first*size(at)], &row[0], end-first)
			return
		}
		combine(dst[first*size(out):end*size(out)], out, a[first*size(at):end*size(at)], at, row, bt, op)
	})
	if stream != nil {
		active.fence()
	}
}

// rowsAhead is how early a piece of a row is asked for: it lies on a page of
// its own, where the processor does not look ahead by itself.
const rowsAhead = 6

// ask prefetches n elements from the first on, if they are there.
func ask(b []byte, size, first, n int) {
	if active.prefetch != nil && (first+n)*size <= len(b) {
		active.prefetch(&b[first*size], n*size)
	}
}

// shortRow is up to how many elements the rows of a transpose are given
// together, where they stand one after the other.
const shortRow = 128

// eachTurned turns a matrix, whose rows are stride elements apart, block by
// block and gives each piece of a row of its transpose, or several short rows,
// with the index of the first element there.
func eachTurned(src []byte, rows, cols, stride, size int, order []int32, piece func(first int, row []byte)) {
	if order != nil {
		checkLengths(len(order), cols)
	}
	together := order == nil && rows <= shortRow
	block := turnedBlocks.Get().(*turnedBlock)
	defer turnedBlocks.Put(block)
	for c := 0; c < cols; c += blockCols {
		width := min(blockCols, cols-c)
		for r := 0; r < rows; r += blockRows {
			height := min(blockRows, rows-r)
			pitch := height*size + 64
			if together {
				pitch = height * size
			}
			for i := range width {
				block.to[i] = i * pitch
			}
			turn(block.bytes[:], src[(r*stride+c)*size:], stride, height, block.to[:width], size)
			if together {
				piece(c*rows, block.bytes[:width*pitch])
				continue
			}
			for i := range width {
				row := c + i
				if order != nil {
					row = int(order[row])
				}
				piece(row*rows+r, block.bytes[i*pitch:i*pitch+height*size])
			}
		}
	}
}

// turn transposes a block: height rows of src, stride elements apart, to the
// columns of the dst rows that begin at the offsets to.
func turn(dst, src []byte, stride, height int, to []int, size int) {
	if size == 4 {
		move32(dst, src, stride, height, to)
	} else {
		turn16(dst, src, stride, height, to)
	}
}

// turn16 is turn for elements of two bytes.
func turn16(dst, src []byte, stride, height int, to []int) {
	y, x := 0, 0
	if kernel := active.transpose8; kernel != nil && len(to) >= 16 {
		x = len(to) &^ 15
		for ; y+8 <= height; y += 8 {
			kernel(&dst[2*y], &src[2*y*stride], 2*stride, &to[0], x)
		}
	}
	if y > 0 && x < len(to) {
		move16(dst, src[2*x:], stride, y, to[x:])
	}
	if y < height {
		move16(dst[2*y:], src[2*y*stride:], stride, height-y, to)
	}
}

// move16 turns four rows by four columns in registers.
func move16(dst, src []byte, stride, height int, to []int) {
	y := 0
	for ; y+4 <= height; y += 4 {
		x := 0
		at := y * stride * 2
		for ; x+4 <= len(to); x += 4 {
			p := at + 2*x
			a, b := le.Uint64(src[p:]), le.Uint64(src[p+2*stride:])
			c, d := le.Uint64(src[p+4*stride:]), le.Uint64(src[p+6*stride:])
			ab, cd := pairs(a, b), pairs(c, d)
			le.PutUint64(dst[to[x]+2*y:], ab&low32|cd<<32)
			le.PutUint64(dst[to[x+1]+2*y:], ab>>32|cd&^low32)
			ab, cd = pairs(a>>32, b>>32), pairs(c>>32, d>>32)
			le.PutUint64(dst[to[x+2]+2*y:], ab&low32|cd<<32)
			le.PutUint64(dst[to[x+3]+2*y:], ab>>32|cd&^low32)
		}
		for ; x < len(to); x++ {
			for k := range 4 {
				le.PutUint16(dst[to[x]+2*(y+k):], le.Uint16(src[at+2*(k*stride+x):]))
			}
		}
	}
	for ; y < height; y++ {
		for x, row := range to {
			le.PutUint16(dst[row+2*y:], le.Uint16(src[2*(y*stride+x):]))
		}
	}
}

const low32 = 1<<32 - 1

// pairs interleaves the low two 16-bit elements of a and b: a0 b0 a1 b1.
func pairs(a, b uint64) uint64 {
	return a&0xffff | b&0xffff<<16 | a&0xffff0000<<16 | b&0xffff0000<<32
}

func move32(dst, src []byte, stride, height int, to []int) {
	for y := range height {
		for x, row := range to {
			le.PutUint32(dst[row+4*y:], le.Uint32(src[4*(y*stride+x):]))
		}
	}
}

// PermuteRows writes the rows of src in another order: row r of dst is row
// order[r] of src. Both are len(order) rows of rowBytes bytes, and do not
// overlap. The rotary orders of checkpoints are such permutations.
func PermuteRows(dst, src []byte, rowBytes int, order []int32) {
	checkLengths(len(dst), len(order)*rowBytes)
	checkLengths(len(src), len(dst))
	for i, r := range order {
		copy(dst[i*rowBytes:(i+1)*rowBytes], src[int(r)*rowBytes:])
	}
}
