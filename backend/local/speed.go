package local

import (
	"context"
	"fmt"
	"time"

	"github.com/koala-go/sdk/dtype"
	"github.com/koala-go/sdk/forward"
	"github.com/koala-go/sdk/internal/half"
	"github.com/koala-go/sdk/internal/memory"
	"github.com/koala-go/sdk/internal/parallel"
)

// minRate is the minimum rate in tokens per second without Options.Slow.
const minRate = 1

// SlowError reports that a model would be too slow on this machine.
type SlowError struct {
	Path   string  // the checkpoint
	Rate   float64 // the estimated number of tokens per second, 0 if the weights do not fit into memory
	Bytes  int64   // the size of the weights, all of which are read for each token
	Memory int64   // the free memory in bytes, 0 if the system does not tell
}

// Error returns "what: where: what to do".
func (e *SlowError) Error() string {
	what := fmt.Sprintf("a model of %.1f GB would make about %.2g tokens per second", float64(e.Bytes)/1e9, e.Rate)
	if e.Rate == 0 {
		what = fmt.Sprintf("a model of %.1f GB in %.1f GB of free memory would make about 0 tokens per second", float64(e.Bytes)/1e9, float64(e.Memory)/1e9)
	}
	return what + ": " + e.Path + ": write it as GGUF (koala convert --format gguf), let llama.cpp quantize and serve it, and use the backend llamacpp"
}

// checkSpeed estimates the speed of a model before its weights are read. The model
// is one of memory bandwidth: making a token reads all weights once.
func checkSpeed(m *forward.Model, path string) error {
	e := &SlowError{Path: path, Bytes: m.Bytes(), Memory: memory.Free()}
	if e.Memory > 0 && e.Bytes > e.Memory {
		return e
	}
	if e.Bytes < 64<<20 { // too small to be slow
		return nil
	}
	if e.Rate = readingRate() / float64(e.Bytes); e.Rate < minRate {
		return e
	}
	return nil
}

// readingRate measures the bytes of weights that this machine multiplies per second.
// Each core multiplies a matrix that is larger than its caches, twice.
func readingRate() float64 {
	const rows, cols = 4096, 4096
	x := make([]float32, cols)
	parts := make([][]byte, parallel.Workers(0))
	for i := range parts {
		parts[i] = make([]byte, 2*rows*cols)
		for at := 0; at < len(parts[i]); at += 512 {
			parts[i][at] = 1 // map the page
		}
	}
	start := time.Now()
	// The function returns no error, so For returns none.
	_ = parallel.For(context.Background(), len(parts), len(parts), func(_ context.Context, i int) error {
		sums := make([]float32, rows)
		for range 2 {
			half.FastMulRows(sums, rows, parts[i], dtype.BF16, rows, cols, x, cols, 1)
		}
		return nil
	})
	return float64(2*len(parts)*len(parts[0])) / time.Since(start).Seconds()
}
