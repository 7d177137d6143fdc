package half

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

type mulFunc func(dst []float32, dstStride int, w []byte, wt Type, rows, cols int, x []float32, xStride, tokens int)

var mulFuncs = []struct {
	name string
	run  mulFunc
}{{"exact", MulRows}, {"fast", FastMulRows}}

// weightsOf fills large arrays with weights, and vectors beside them.
func weightsOf(wt Type, n int, vectors int) ([]byte, []float32) {
	few, x := matrices(rand.New(rand.NewPCG(15, 16)), wt, 1, 1<<16, vectors, 1)
	w := make([]byte, n*wt.Size())
	for i := 0; i < len(w); {
		i += copy(w[i:], few)
	}
	return w, x
}

// BenchmarkMulRows multiplies weights far larger than the caches with one
// vector, beside a loop that only reads them. On one core:
//
//	go test ./internal/half -run xxx -bench 'MulRows' -cpu 1
func BenchmarkMulRows(b *testing.B) {
	defer func(k *kernels) { active = k }(active)
	const cols = 4096
	for _, wt := range []Type{BF16, F16} {
		w, x := weightsOf(wt, large/2, cols)
		rows := len(w) / wt.Size() / cols
		dst := make([]float32, rows)
		readRooflines(b, w)
		for _, m := range mulFuncs {
			for _, k := range all() {
				b.Run(fmt.Sprintf("%s %s/%s", wt, m.name, k.name), func(b *testing.B) {
					active = k
					b.SetBytes(int64(len(w)))
					for b.Loop() {
						m.run(dst, rows, w, wt, rows, cols, x, cols, 1)
					}
				})
			}
		}
	}
}

// BenchmarkTokens multiplies weights with the vectors of a prompt. A G/s is
// 10^9 products, each with its addition, a second.
func BenchmarkTokens(b *testing.B) {
	defer func(k *kernels) { active = k }(active)
	const cols, rows = 2048, 2048
	for _, wt := range types {
		for _, tokens := range []int{8, 32, 256} {
			w, x := weightsOf(wt, rows*cols, cols*tokens)
			dst := make([]float32, rows*tokens)
			for _, m := range mulFuncs {
				for _, k := range all() {
					b.Run(fmt.Sprintf("%s %s %d tokens/%s", wt, m.name, tokens, k.name), func(b *testing.B) {
						active = k
						for b.Loop() {
							m.run(dst, rows, w, wt, rows, cols, x, cols, tokens)
						}
						b.ReportMetric(float64(b.N)*rows*cols*float64(tokens)/b.Elapsed().Seconds()/1e9, "G/s")
					})
				}
			}
		}
	}
}
