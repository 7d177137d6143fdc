package half

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/koala-go/sdk/dtype"
)

type mulFunc func(dst []float32, dstStride int, w []byte, wt dtype.Type, rows, cols int, x []float32, xStride, tokens int)

var mulFuncs = []struct {
	name string
	run  mulFunc
}{{"exact", MulRows}, {"fast", FastMulRows}}

// weightsOf returns large arrays of weights, and vectors.
func weightsOf(wt dtype.Type, n int, vectors int) ([]byte, []float32) {
	few, x := matrices(rand.New(rand.NewPCG(15, 16)), wt, 1, 1<<16, vectors, 1)
	w := make([]byte, n*size(wt))
	for i := 0; i < len(w); {
		i += copy(w[i:], few)
	}
	return w, x
}

// onThreads divides n among one or two threads.
func onThreads(threads, n int, run func(from, to int)) {
	var group sync.WaitGroup
	for i := range threads {
		group.Go(func() { run(i*n/threads, (i+1)*n/threads) })
	}
	group.Wait()
}

// BenchmarkMulRows multiplies weights far larger than the caches with one
// vector, on one thread and on two. Each iteration is followed by a loop that
// only reads the same weights. of-read is the quotient of the medians.
//
//	go test ./internal/half -run xxx -bench MulRows
func BenchmarkMulRows(b *testing.B) {
	defer func(k *kernels) { active = k }(active)
	const cols = 4096
	for _, wt := range []dtype.Type{dtype.BF16, dtype.F16} {
		w, x := weightsOf(wt, large/2, cols)
		rows := len(w) / size(wt) / cols
		dst := make([]float32, rows)
		for threads := 1; threads <= 2; threads++ {
			for _, m := range mulFuncs {
				for _, k := range all() {
					active = k
					b.Run(fmt.Sprintf("%s %s %d threads/%s", wt, m.name, threads, k.name), func(b *testing.B) {
						compareWithReading(b, w, func() {
							onThreads(threads, rows, func(from, to int) { readOnly(w[2*cols*from : 2*cols*to]) })
						}, func() {
							onThreads(threads, rows, func(from, to int) {
								m.run(dst[from:], rows, w[2*cols*from:2*cols*to], wt, to-from, cols, x, cols, 1)
							})
						})
					})
				}
			}
		}
	}
}

// compareWithReading reports the speed at which both loops read w, and their
// quotient.
func compareWithReading(b *testing.B, w []byte, read, run func()) {
	var reads, runs []float64
	for b.Loop() {
		reads = append(reads, seconds(read))
		runs = append(runs, seconds(run))
	}
	slices.Sort(reads)
	slices.Sort(runs)
	r, k := reads[len(reads)/2], runs[len(runs)/2]
	b.ReportMetric(float64(len(w))/r/1e9, "read-GB/s")
	b.ReportMetric(float64(len(w))/k/1e9, "GB/s")
	b.ReportMetric(r/k, "of-read")
	b.ReportMetric(0, "ns/op")
}

func seconds(run func()) float64 {
	start := time.Now()
	run()
	return time.Since(start).Seconds()
}

// BenchmarkTokens multiplies weights with the vectors of a prompt. One G/s is
// 10^9 products with their additions per second.
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
