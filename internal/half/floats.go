package half

import "github.com/koala-go/sdk/dtype"

// MulFloats is MulRows for weights that are a slice of float32.
func MulFloats(dst []float32, dstStride int, w []float32, rows, cols int, x []float32, xStride, tokens int) {
	MulRows(dst, dstStride, bytesOf(w), dtype.F32, rows, cols, x, xStride, tokens)
}
