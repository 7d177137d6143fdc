package half

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/dtype"
)

// shapes are the rows and columns of matrices around multiples of the blocks
// and of the kernel's squares.
var shapes = [][2]int{{1, 1}, {1, 9}, {9, 1}, {4, 4}, {5, 7}, {8, 16}, {16, 16}, {7, 17}, {33, 65}, {64, 64}, {65, 48}, {100, 31}, {129, 300}, {513, 530}, {1030, 260}}

// permutation returns nil, or a random permutation of n if some is set.
func permutation(r *rand.Rand, n int, some bool) []int32 {
	if !some {
		return nil
	}
	order := make([]int32, n)
	for i, v := range r.Perm(n) {
		order[i] = int32(v)
	}
	return order
}

// at returns the position to which an order moves i.
func at(order []int32, i int) int {
	if order == nil {
		return i
	}
	return int(order[i])
}

func TestTranspose(t *testing.T) {
	forEachKernel(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(5, 6))
		for _, shape := range shapes {
			for _, size := range []int{2, 4} {
				for _, permuted := range []bool{false, true} {
					rows, cols := shape[0], shape[1]
					src := randomBytes(r, rows*cols*size)
					order := permutation(r, cols, permuted)
					dst := guard(len(src), 2*(rows%32))
					Transpose(dst.part, src, rows, cols, size, order)
					for y := range rows {
						for x := range cols {
							require.Equal(t, src[(y*cols+x)*size:][:size], dst.part[(at(order, x)*rows+y)*size:][:size])
						}
					}
					dst.check(t)
				}
			}
		}
	})
}

// TestTransposeColumns checks that the transpose of part of a matrix is part of
// the transpose of the matrix.
func TestTransposeColumns(t *testing.T) {
	forEachKernel(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(7, 8))
		for _, shape := range shapes {
			for _, size := range []int{2, 4} {
				rows, cols := shape[0], shape[1]
				src, whole := randomBytes(r, rows*cols*size), make([]byte, rows*cols*size)
				Transpose(whole, src, rows, cols, size, nil)
				for _, n := range []int{0, 1, 7, 16, 40} {
					for first := 0; first+n <= cols; first += max(n, 5) {
						dst := guard(n*rows*size, 2*(rows%32))
						TransposeColumns(dst.part, src[first*size:], rows, cols, size, nil)
						require.Equal(t, whole[first*rows*size:(first+n)*rows*size], dst.part)
						dst.check(t)
					}
				}
			}
		}
	})
}

func TestCombineTransposed(t *testing.T) {
	testCombineTransposed(t, shapes)
	defer func(n int) { streamFrom = n }(streamFrom)
	streamFrom = 0 // use streaming stores
	testCombineTransposed(t, [][2]int{{32, 5}, {48, 48}, {64, 64}, {1024, 33}, {1056, 300}, {100, 100}})
}

func testCombineTransposed(t *testing.T, shapes [][2]int) {
	forEachKernel(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(7, 8))
		for _, shape := range shapes {
			for _, c := range [][3]dtype.Type{{dtype.F16, dtype.BF16, dtype.BF16}, {dtype.F16, dtype.F16, dtype.F16}, {dtype.F32, dtype.F16, dtype.BF16}, {dtype.BF16, dtype.F32, dtype.F32}} {
				for _, permuted := range []bool{false, true} {
					rows, cols := shape[0], shape[1]
					a, b := randomBytes(r, rows*cols*int(c[0].Size())), randomBytes(r, rows*cols*int(c[1].Size()))
					order := permutation(r, cols, permuted)
					transposed := make([]byte, len(b)) // the transpose of b
					size := int(c[1].Size())
					for y := range rows {
						for x := range cols {
							copy(transposed[(at(order, x)*rows+y)*size:][:size], b[(y*cols+x)*size:])
						}
					}
					dst := guard(rows*cols*int(c[2].Size()), 0)
					AddTransposed(dst.part, c[2], a, c[0], b, c[1], rows, cols, order)
					require.True(t, bytes.Equal(oracle(c[2], a, c[0], transposed, c[1], 1), dst.part), "%v %v", shape, c)
					SubTransposed(dst.part, c[2], a, c[0], b, c[1], rows, cols, order)
					require.True(t, bytes.Equal(oracle(c[2], a, c[0], transposed, c[1], -1), dst.part), "%v %v", shape, c)
					dst.check(t)
				}
			}
		}
	})
}

// BenchmarkTransposed measures the sum of fp16 numbers and transposed bf16
// numbers on shapes from the smallest to the largest, next to the plain sum of
// as many elements.
//
//	go test ./internal/half -run xxx -bench Transposed -cpu 1
func BenchmarkTransposed(b *testing.B) {
	x, y, dst := arrays(32000 * 8192)
	for _, shape := range [][2]int{{16, 16}, {64, 64}, {256, 256}, {1000, 1000}, {4096, 4096}, {4096, 11008}, {11008, 4096}, {32000, 8192}} {
		rows, cols := shape[0], shape[1]
		n := 2 * rows * cols
		eachKernel(b, fmt.Sprintf("%d×%d/sum of transposed", rows, cols), n, func() {
			AddTransposed(dst[:n], dtype.BF16, x[:n], dtype.F16, y[:n], dtype.BF16, cols, rows, nil)
		})
		eachKernel(b, fmt.Sprintf("%d×%d/sum", rows, cols), n, func() {
			Add(dst[:n], dtype.BF16, x[:n], dtype.F16, y[:n], dtype.BF16)
		})
		eachKernel(b, fmt.Sprintf("%d×%d/transposed", rows, cols), n, func() {
			Transpose(dst[:n], y[:n], cols, rows, 2, nil)
		})
	}
}

func TestPermuteRows(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 10))
	for _, n := range []int{0, 1, 5, 64} {
		for _, size := range []int{1, 2, 33, 4096} {
			src, order := randomBytes(r, n*size), permutation(r, n, true)
			dst := guard(n*size, 3)
			PermuteRows(dst.part, src, size, order)
			for i := range n {
				require.Equal(t, src[at(order, i)*size:][:size], dst.part[i*size:][:size])
			}
			dst.check(t)
		}
	}
}
