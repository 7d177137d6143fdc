package half

// block is the edge of the squares that Transpose works in: small enough that
// the lines of both sides stay in the L1 cache.
const block = 32

// Transpose writes the transpose of src, rows × cols elements of size 2 or 4
// bytes, row-major, to dst. The element (r, c) goes to dst's row order[c],
// column r; a nil order is the identity. dst and src must not overlap, and
// order must be a permutation of 0 … cols-1.
func Transpose(dst, src []byte, rows, cols, size int, order []int32) {
	if len(dst) != rows*cols*size || len(src) != len(dst) || order != nil && len(order) != cols {
		panic("half: lengths do not fit the shape")
	}
	move := move16
	if size == 4 {
		move = move32
	}
	var to [block]int // dst offset of each column of the square
	for c := 0; c < cols; c += block {
		width := min(block, cols-c)
		for i := range width {
			row := c + i
			if order != nil {
				row = int(order[row])
			}
			to[i] = row * rows * size
		}
		for r := 0; r < rows; r += block {
			move(dst, src[(r*cols+c)*size:], cols, r, min(block, rows-r), to[:width])
		}
	}
}

// move16 transposes one square: height rows of src, stride elements apart, to
// the columns from r on of the dst rows that begin at the offsets to. Four
// rows by four columns are turned in registers.
func move16(dst, src []byte, stride, r, height int, to []int) {
	y := 0
	for ; y+4 <= height; y += 4 {
		x := 0
		at := y * stride * 2
		for ; x+4 <= len(to); x += 4 {
			p := at + 2*x
			a, b := le.Uint64(src[p:]), le.Uint64(src[p+2*stride:])
			c, d := le.Uint64(src[p+4*stride:]), le.Uint64(src[p+6*stride:])
			ab, cd := pairs(a, b), pairs(c, d)
			q := 2 * (r + y)
			le.PutUint64(dst[to[x]+q:], ab&low32|cd<<32)
			le.PutUint64(dst[to[x+1]+q:], ab>>32|cd&^low32)
			ab, cd = pairs(a>>32, b>>32), pairs(c>>32, d>>32)
			le.PutUint64(dst[to[x+2]+q:], ab&low32|cd<<32)
			le.PutUint64(dst[to[x+3]+q:], ab>>32|cd&^low32)
		}
		for ; x < len(to); x++ {
			for k := range 4 {
				le.PutUint16(dst[to[x]+2*(r+y+k):], le.Uint16(src[at+2*(k*stride+x):]))
			}
		}
	}
	for ; y < height; y++ {
		for x, row := range to {
			le.PutUint16(dst[row+2*(r+y):], le.Uint16(src[2*(y*stride+x):]))
		}
	}
}

const low32 = 1<<32 - 1

// pairs interleaves the low two 16-bit elements of a and b: a0 b0 a1 b1.
func pairs(a, b uint64) uint64 {
	return a&0xffff | b&0xffff<<16 | a&0xffff0000<<16 | b&0xffff0000<<32
}

func move32(dst, src []byte, stride, r, height int, to []int) {
	for y := range height {
		for x, row := range to {
			le.PutUint32(dst[row+4*(r+y):], le.Uint32(src[4*(y*stride+x):]))
		}
	}
}
