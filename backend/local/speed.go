package local

import (
	"fmt"
	"runtime"
	"sync"
	"time"

	"github.com/koala-go/sdk/dtype"
	"github.com/koala-go/sdk/forward"
	"github.com/koala-go/sdk/internal/half"
	"github.com/koala-go/sdk/internal/memory"
)

// leastRate is how many tokens a second a model must promise.
const leastRate = 1

// SlowError says that a model would be hopelessly slow here.
type SlowError struct {
	Path   string
	Rate   float64 // tokens a second, estimated; 0 where the weights do not fit the memory
	Bytes  int64   // of weights, all of which are read for each token
	Memory int64   // that is free, in bytes; 0 where the system does not tell
}

// Error reads "what: where: what to do".
func (e *SlowError) Error() string {
	what := fmt.Sprintf("a model of %.1f GB would give about %.2g tokens a second", float64(e.Bytes)/1e9, e.Rate)
	if e.Rate == 0 {
		what = fmt.Sprintf("a model of %.1f GB in %.1f GB of free memory would give about 0 tokens a second", float64(e.Bytes)/1e9, float64(e.Memory)/1e9)
	}
	return what + ": " + e.Path + ": write it as GGUF (koala convert --format gguf), let llama.cpp quantize and serve it, and use the backend llamacpp"
}

// checkSpeed estimates how fast a model is before its weights are read: making
// a token reads all of them once.
func checkSpeed(m *forward.Model, path string) error {
	e := &SlowError{Path: path, Bytes: m.Bytes(), Memory: memory.Free()}
	if e.Memory > 0 && e.Bytes > e.Memory {
		return e
	}
	if e.Bytes < 64<<20 { // too small to be slow
		return nil
	}
	if e.Rate = readingRate() / float64(e.Bytes); e.Rate < leastRate {
		return e
	}
	return nil
}

// readingRate is how many bytes of weights this machine multiplies a second: it
// lets each core take more than its caches hold, twice.
func readingRate() float64 {
	const rows, cols = 4096, 4096
	x := make([]float32, cols)
	parts := make([][]byte, runtime.GOMAXPROCS(0))
	for i := range parts {
		parts[i] = make([]byte, 2*rows*cols)
		for at := 0; at < len(parts[i]); at += 512 {
			parts[i][at] = 1 // so that its pages exist
		}
	}
	start := time.Now()
	var group sync.WaitGroup
	for _, w := range parts {
		group.Go(func() {
			sums := make([]float32, rows)
			for range 2 {
				half.FastMulRows(sums, rows, w, dtype.BF16, rows, cols, x, cols, 1)
			}
		})
	}
	group.Wait()
	return float64(2*len(parts)*len(parts[0])) / time.Since(start).Seconds()
}
