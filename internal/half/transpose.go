package half

import (
	"sync"

	"github.com/koala-go/sdk/dtype"
)

// Matrices are transposed in blocks. Their sides are long enough that reading a
// part of a row justifies the access to its memory page, and short enough that
// a block fits in the L2 cache. The cache lines that 16 columns fill at a time
// fit in the L1 cache.
const blockRows, blockCols = 1024, 256

// transposedBlock holds a transposed block. Consecutive rows have a gap of one
// cache line: without it their addresses would differ by a power of two and
// compete for the same lines of the L1 cache.
type transposedBlock struct {
	bytes [blockCols * (4*blockRows + 64)]byte
	to    [blockCols]int // offsets of the rows in bytes
}

var transposedBlocks = sync.Pool{New: func() any { return new(transposedBlock) }}

// Transpose writes the transpose of src to dst. src is a row-major matrix of
// rows × cols elements of size bytes, 2 or 4. Element (r, c) goes to row
// order[c], column r, of dst. A nil order is the identity. Otherwise order must
// be a permutation of 0 … cols-1. dst and src must not overlap.
func Transpose(dst, src []byte, rows, cols, size int, order []int32) {
	checkLengths(len(src), rows*cols*size)
	TransposeColumns(dst, src, rows, cols, size, order)
}

// TransposeColumns transposes some columns of a matrix. The rows of the matrix
// begin stride elements apart, and src begins with the first of the columns.
// Their number follows from the length of dst. See Transpose.
func TransposeColumns(dst, src []byte, rows, stride, size int, order []int32) {
	if len(dst) == 0 {
		return
	}
	cols := len(dst) / (rows * size)
	checkLengths(len(dst), rows*cols*size)
	eachTransposed(src, rows, cols, stride, size, order, func(at int, row []byte) {
		copy(dst[at*size:], row)
	})
}

// AddTransposed writes the sum of a and the transpose of b to dst. b has rows ×
// cols elements and is transposed as src is by Transpose. a and dst have cols ×
// rows elements. The rules of Add apply, and dst must not overlap b.
func AddTransposed(dst []byte, out dtype.Type, a []byte, at dtype.Type, b []byte, bt dtype.Type, rows, cols int, order []int32) {
	combineTransposed(dst, out, a, at, b, bt, rows, cols, order, add)
}

// SubTransposed writes a minus the transpose of b to dst. See AddTransposed.
func SubTransposed(dst []byte, out dtype.Type, a []byte, at dtype.Type, b []byte, bt dtype.Type, rows, cols int, order []int32) {
	combineTransposed(dst, out, a, at, b, bt, rows, cols, order, sub)
}

func combineTransposed(dst []byte, out dtype.Type, a []byte, at dtype.Type, b []byte, bt dtype.Type, rows, cols int, order []int32, op operation) {
	checkLengths(len(dst)/size(out), rows*cols)
	checkLengths(len(a)/size(at), rows*cols)
	stream := active.find(op, at, bt, out).stream
	if p := split(dst, out, stream != nil); !p.stream || p.head > 0 || rows%kernelBlock != 0 {
		stream = nil // pieces would not be aligned, or not consist of whole blocks
	}
	checkLengths(len(b), rows*cols*size(bt))
	eachTransposed(b, rows, cols, cols, size(bt), order, func(first int, row []byte) {
		end := first + len(row)/size(bt)
		prefetchElements(a, size(at), first+rowsAhead*rows, end-first)
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

// rowsAhead is how many rows ahead a piece is prefetched. Each piece is on a
// memory page of its own, where the processor does not prefetch by itself.
const rowsAhead = 6

// prefetchElements prefetches n elements from index first on, if b has them.
func prefetchElements(b []byte, size, first, n int) {
	if active.prefetch != nil && (first+n)*size <= len(b) {
		active.prefetch(&b[first*size], n*size)
	}
}

// shortRow is the number of elements up to which several rows of a transpose
// are passed on together, if they are contiguous.
const shortRow = 128

// eachTransposed transposes a matrix, whose rows begin stride elements apart,
// block by block. It calls piece with each piece of a row of the transpose, or
// with several short rows, and with the index of the piece's first element in
// the transpose.
func eachTransposed(src []byte, rows, cols, stride, size int, order []int32, piece func(first int, row []byte)) {
	if order != nil {
		checkLengths(len(order), cols)
	}
	contiguous := order == nil && rows <= shortRow
	block := transposedBlocks.Get().(*transposedBlock)
	defer transposedBlocks.Put(block)
	for c := 0; c < cols; c += blockCols {
		width := min(blockCols, cols-c)
		for r := 0; r < rows; r += blockRows {
			height := min(blockRows, rows-r)
			pitch := height*size + 64 // one cache line more than a row
			if contiguous {
				pitch = height * size
			}
			for i := range width {
				block.to[i] = i * pitch
			}
			transposeBlock(block.bytes[:], src[(r*stride+c)*size:], stride, height, block.to[:width], size)
			if contiguous {
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

// transposeBlock transposes a block. src has height rows, stride elements
// apart. They become the columns of dst, whose rows begin at the offsets to.
func transposeBlock(dst, src []byte, stride, height int, to []int, size int) {
	if size == 4 {
		transposeGeneric32(dst, src, stride, height, to)
	} else {
		transposeBlock16(dst, src, stride, height, to)
	}
}

// transposeBlock16 transposes a block of elements of two bytes.
func transposeBlock16(dst, src []byte, stride, height int, to []int) {
	y, x := 0, 0
	if kernel := active.transpose8; kernel != nil && len(to) >= 16 {
		// The kernel handles squares of 8 rows and 16 columns. The columns and
		// rows that are left at the edges go through the generic code.
		x = len(to) &^ 15
		for ; y+8 <= height; y += 8 {
			kernel(&dst[2*y], &src[2*y*stride], 2*stride, &to[0], x)
		}
	}
	if y > 0 && x < len(to) {
		transposeGeneric16(dst, src[2*x:], stride, y, to[x:])
	}
	if y < height {
		transposeGeneric16(dst[2*y:], src[2*y*stride:], stride, height-y, to)
	}
}

// transposeGeneric16 transposes four rows by four columns at a time in registers.
func transposeGeneric16(dst, src []byte, stride, height int, to []int) {
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

func transposeGeneric32(dst, src []byte, stride, height int, to []int) {
	for y := range height {
		for x, row := range to {
			le.PutUint32(dst[row+4*y:], le.Uint32(src[4*(y*stride+x):]))
		}
	}
}

// PermuteRows copies the rows of src in another order: row r of dst is row
// order[r] of src. Both have len(order) rows of rowBytes bytes, and must not
// overlap. The rotary orders of checkpoints are such permutations.
func PermuteRows(dst, src []byte, rowBytes int, order []int32) {
	checkLengths(len(dst), len(order)*rowBytes)
	checkLengths(len(src), len(dst))
	for i, r := range order {
		copy(dst[i*rowBytes:(i+1)*rowBytes], src[int(r)*rowBytes:])
	}
}
