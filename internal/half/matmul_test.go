package half

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/dtype"
)

// matrices returns weights at an odd address, and vectors.
func matrices(r *rand.Rand, wt dtype.Type, rows, cols, xStride, tokens int) ([]byte, []float32) {
	w := make([]byte, 1, 1+rows*cols*size(wt))
	for range rows * cols {
		w = pattern(w, float32(r.NormFloat64()*0.02), wt)
	}
	x := make([]float32, tokens*xStride)
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	return w[1:], x
}

// checkMulRows compares every sum with the reference: bit for bit for MulRows,
// and within 2^-20 of the sum of the products' magnitudes for FastMulRows.
func checkMulRows(t *testing.T, w []byte, wt dtype.Type, rows, cols int, x []float32, xStride, tokens int) {
	t.Helper()
	stride := rows + 3
	dst, fast := make([]float32, tokens*stride), make([]float32, tokens*stride)
	for i := range dst {
		dst[i], fast[i] = canary, canary
	}
	MulRows(dst, stride, w, wt, rows, cols, x, xStride, tokens)
	FastMulRows(fast, stride, w, wt, rows, cols, x, xStride, tokens)
	for i := range dst {
		token, row := i/stride, i%stride
		if row >= rows {
			require.True(t, dst[i] == canary && fast[i] == canary, "an element outside the result was written")
			continue
		}
		ws, vector := w[row*cols*size(wt):(row+1)*cols*size(wt)], x[token*xStride:][:cols]
		want := dotReference(ws, wt, vector)
		if math.Float32bits(dst[i]) != math.Float32bits(want) {
			t.Fatalf("%s %d×%d, %d tokens: row %d, token %d: got %x, want %x", wt, rows, cols, tokens, row, token, dst[i], want)
		}
		var magnitude float64
		for c, v := range vector {
			magnitude += math.Abs(float64(value(ws[c*size(wt):], wt)) * float64(v))
		}
		if d := math.Abs(float64(fast[i] - want)); d > magnitude*0x1p-20 {
			t.Fatalf("%s %d×%d, %d tokens: row %d, token %d: the fast sum is off by %g of %g", wt, rows, cols, tokens, row, token, d, magnitude)
		}
	}
}

// TestMulRowsLengths checks every number of columns up to 200.
func TestMulRowsLengths(t *testing.T) {
	forEachKernel(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(5, 6))
		for _, wt := range types {
			for cols := range 201 {
				rows, tokens := 1+cols%9, 1+cols/9%7
				w, x := matrices(r, wt, rows, cols, cols+cols%3, tokens)
				checkMulRows(t, w, wt, rows, cols, x, cols+cols%3, tokens)
			}
		}
	})
}

// TestMulRowsShapes checks shapes around multiples of tiles and panels.
func TestMulRowsShapes(t *testing.T) {
	forEachKernel(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(7, 8))
		for _, wt := range types {
			for _, rows := range []int{1, 3, 4, 5, 31, 32, 33, 67} {
				for _, tokens := range []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 13, 31, 32, 33, 65} {
					w, x := matrices(r, wt, rows, 48, 48, tokens)
					checkMulRows(t, w, wt, rows, 48, x, 48, tokens)
				}
			}
			for _, cols := range []int{2048, 2064, 4100, 5632} {
				w, x := matrices(r, wt, 7, cols, cols, 9)
				checkMulRows(t, w, wt, 7, cols, x, cols, 9)
			}
		}
	})
}

// TestMulRowsOfAllHalves checks every 16-bit pattern as a weight, including
// denormals, infinities and NaNs.
func TestMulRowsOfAllHalves(t *testing.T) {
	var w []byte
	for i := range 1 << 16 {
		w = le.AppendUint16(w, uint16(i))
	}
	const cols = 16
	x := make([]float32, 3*cols)
	for i := range x {
		x[i] = []float32{1, -0x1p-120, 0, 3.5, -0x1p120}[i%5]
	}
	forEachKernel(t, func(t *testing.T) {
		for _, wt := range []dtype.Type{dtype.F16, dtype.BF16} {
			rows := len(w) / 2 / cols
			dst := make([]float32, 3*rows)
			MulRows(dst, rows, w, wt, rows, cols, x, cols, 3)
			for i, got := range dst {
				row, token := i%rows, i/rows
				want := dotReference(w[row*cols*2:(row+1)*cols*2], wt, x[token*cols:(token+1)*cols])
				require.Equal(t, math.Float32bits(want), math.Float32bits(got), "%s, row %d", wt, row)
			}
		}
	})
}

// TestMulRowsSplits checks that any division into calls gives the same bits.
func TestMulRowsSplits(t *testing.T) {
	forEachKernel(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(9, 10))
		const rows, cols, tokens = 45, 80, 11
		for _, wt := range types {
			w, x := matrices(r, wt, rows, cols, cols, tokens)
			for name, mul := range map[string]func([]float32, int, []byte, dtype.Type, int, int, []float32, int, int){"exact": MulRows, "fast": FastMulRows} {
				whole, parts := make([]float32, tokens*rows), make([]float32, tokens*rows)
				mul(whole, rows, w, wt, rows, cols, x, cols, tokens)
				for from := 0; from < rows; {
					height := min(1+r.IntN(20), rows-from)
					for first := 0; first < tokens; {
						width := min(1+r.IntN(7), tokens-first)
						mul(parts[first*rows+from:], rows, w[from*cols*size(wt):(from+height)*cols*size(wt)], wt, height, cols, x[first*cols:], cols, width)
						first += width
					}
					from += height
				}
				require.Equal(t, whole, parts, name)
			}
		}
	})
}

func TestDot(t *testing.T) {
	forEachKernel(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(11, 12))
		for n := range 300 {
			w, x := matrices(r, dtype.F32, 1, n, n, 1)
			a := make([]float32, n)
			Floats(a, w, dtype.F32)
			require.Equal(t, math.Float32bits(dotReference(w, dtype.F32, x)), math.Float32bits(Dot(a, x)), n)
		}
	})
}

func TestAddScaled(t *testing.T) {
	forEachKernel(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(13, 14))
		for n := range 300 {
			_, x := matrices(r, dtype.F32, 0, 0, n+2, 2)
			dst, src := x[:n], x[n+2:][:n]
			if n > 3 {
				src[n-1], src[n-2], dst[n-3] = float32(math.Inf(1)), float32(math.NaN()), float32(math.Inf(-1))
			}
			want := make([]float32, n, n+2)
			for i := range want {
				product := 1.7 * src[i]
				want[i] = canonicalFloat(dst[i] + float32(product))
			}
			want = append(want, x[n:n+2]...)
			AddScaled(dst, src, 1.7)
			require.Equal(t, bytesOf(want), bytesOf(x[:n+2]), n)
		}
	})
}

func TestMulRowsChecksLengths(t *testing.T) {
	require.Panics(t, func() { MulRows(make([]float32, 2), 2, make([]byte, 15), dtype.BF16, 2, 4, make([]float32, 4), 4, 1) })
	require.Panics(t, func() { MulRows(make([]float32, 1), 2, make([]byte, 16), dtype.BF16, 2, 4, make([]float32, 4), 4, 1) })
	require.Panics(t, func() { MulRows(make([]float32, 2), 2, make([]byte, 16), dtype.BF16, 2, 4, make([]float32, 3), 4, 1) })
	require.Panics(t, func() {
		MulRows(make([]float32, 2, 9), 2, make([]byte, 16), dtype.BF16, 2, 4, make([]float32, 8), 4, 2)
	})
	require.Panics(t, func() {
		MulRows(make([]float32, 4), 2, make([]byte, 16), dtype.BF16, 2, 4, make([]float32, 7, 9), 4, 2)
	})
	require.Panics(t, func() { Dot(make([]float32, 2), make([]float32, 3)) })
	require.Panics(t, func() { AddScaled(make([]float32, 2), make([]float32, 3), 1) })
}

func TestMulRowsAllocatesNothing(t *testing.T) {
	w, x := matrices(rand.New(rand.NewPCG(1, 1)), dtype.BF16, 64, 64, 64, 5)
	dst := make([]float32, 64*5)
	for name, run := range map[string]func(){
		"MulRows":     func() { MulRows(dst, 64, w, dtype.BF16, 64, 64, x, 64, 5) },
		"FastMulRows": func() { FastMulRows(dst, 64, w, dtype.BF16, 64, 64, x, 64, 1) },
		"Dot":         func() { dst[0] = Dot(x[:64], x[64:128]) },
		"AddScaled":   func() { AddScaled(dst[:64], x[:64], 2) },
	} {
		require.Zero(t, testing.AllocsPerRun(100, run), name)
	}
}
