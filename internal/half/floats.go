package half

import "github.com/koala-go/sdk/dtype"

// MulFloats is MulRows with weights that are numbers of the machine's own.
func MulFloats(dst []float32, dstStride int, w []float32, rows, cols int, x []float32, xStride, tokens int) {
	MulRows(dst, dstStride, bytesOf(w), dtype.F32, rows, cols, x, xStride, tokens)
}
