package forward

import (
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/koala-go/sdk/modeltest"
	"github.com/koala-go/sdk/weights"

	"github.com/koala-go/sdk/dtype"
)

// large is a model of 7B's shape: 13.5 GB in 16 bits.
var large = modeltest.Model{Layers: 32, Dim: 4096, FFN: 11008, Vocab: 32000, Heads: 32}

// BenchmarkLogits runs 32 tokens through a checkpoint of 7B's shape in the
// directory that KOALA_BENCH_DIR names. It writes the checkpoint if it is not there.
// Right before each run, the same number of goroutines reads the same files.
// "cold" drops the files from the page cache before both.
func BenchmarkLogits(b *testing.B) {
	dir := os.Getenv("KOALA_BENCH_DIR")
	if dir == "" {
		b.Skip("needs 13.5 GB on disk for each format: name a directory in KOALA_BENCH_DIR")
	}
	for _, format := range []weights.Format{weights.FormatSafetensors, weights.FormatEasyLM} {
		path := filepath.Join(dir, "7b-"+string(format))
		for _, state := range []string{"cold", "warm"} {
			b.Run(string(format)+"/"+state, func(b *testing.B) { benchmarkLogits(b, path, format, state == "cold") })
		}
	}
}

func benchmarkLogits(b *testing.B, path string, format weights.Format, cold bool) {
	makeLarge(b, path, format)
	tokens := make([]int32, 32)
	for i := range tokens {
		tokens[i] = int32(i * 997)
	}
	c, err := weights.Open(b.Context(), path, nil)
	require.NoError(b, err)
	defer c.Close()
	prepare := func() {
		if cold {
			drop(b, c)
		}
		runtime.GC()
	}
	if !cold {
		readAll(b, c)
	}
	var floors, passes []float64
	resetPeak(b)
	for b.Loop() {
		prepare()
		start := time.Now()
		readAll(b, c)
		floors = append(floors, time.Since(start).Seconds())
		prepare()
		start = time.Now()
		m, err := Open(b.Context(), c, nil)
		require.NoError(b, err)
		_, err = m.Logits(b.Context(), tokens)
		require.NoError(b, err)
		passes = append(passes, time.Since(start).Seconds())
	}
	b.ReportMetric(median(floors), "s-read")
	b.ReportMetric(median(passes), "s-logits")
	b.ReportMetric(median(passes)/median(floors), "x-read")
	b.ReportMetric(peak(b), "MiB-peak")
}

func median(x []float64) float64 {
	slices.Sort(x)
	return x[len(x)/2]
}

// makeLarge writes the model, with random bf16 numbers of about 0.01.
func makeLarge(b *testing.B, path string, format weights.Format) {
	if _, err := os.Stat(path); err == nil {
		return
	}
	options := &modeltest.Options{Format: format, DType: dtype.BF16}
	require.NoError(b, large.Write(path, options)) // headers alone
	plan, err := large.Plan(options)
	require.NoError(b, err)
	block := make([]byte, 64<<20)
	random := rand.New(rand.NewPCG(1, 2))
	for i := 0; i < len(block); i += 2 {
		bits := 0x3c00 + random.Uint32N(0x100) | random.Uint32N(2)<<15
		block[i], block[i+1] = byte(bits), byte(bits>>8)
	}
	for _, p := range plan.Order() {
		at := plan.Placement(p)
		name := filepath.Join(path, plan.Files[at.Parts[0].File].Name)
		f, err := os.OpenFile(name, os.O_WRONLY, 0)
		require.NoError(b, err)
		for done := int64(0); done < at.Bytes(); {
			n := min(at.Bytes()-done, int64(len(block)))
			_, err := f.WriteAt(block[:n], at.Parts[0].Offset+done)
			require.NoError(b, err)
			done += n
		}
		require.NoError(b, f.Sync())
		require.NoError(b, f.Close())
	}
}

// drop drops a checkpoint's files from the page cache.
func drop(b *testing.B, c *weights.Checkpoint) {
	for _, info := range c.Files() {
		f, err := os.Open(info.Path)
		require.NoError(b, err)
		require.NoError(b, unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED))
		require.NoError(b, f.Close())
	}
}

// readAll reads a checkpoint's files from beginning to end.
func readAll(b *testing.B, c *weights.Checkpoint) {
	var group sync.WaitGroup
	for _, info := range c.Files() {
		var next atomic.Int64
		for range 2 * runtime.GOMAXPROCS(0) { // as many as a pass starts
			group.Go(func() {
				block := make([]byte, 1<<20)
				for {
					off := (next.Add(1) - 1) * int64(len(block))
					if off >= info.Size {
						return
					}
					if _, err := info.Data.ReadAt(block[:min(int64(len(block)), info.Size-off)], off); err != nil && err != io.EOF {
						b.Error(err)
						return
					}
				}
			})
		}
		group.Wait()
	}
}

// resetPeak resets the peak of the process's memory.
func resetPeak(b *testing.B) {
	require.NoError(b, os.WriteFile("/proc/self/clear_refs", []byte("5"), 0))
}

// peak returns the peak of the process's memory since resetPeak, in MiB.
func peak(b *testing.B) float64 {
	status, err := os.ReadFile("/proc/self/status")
	require.NoError(b, err)
	_, rest, _ := strings.Cut(string(status), "VmHWM:")
	kib, err := strconv.Atoi(strings.Fields(rest)[0])
	require.NoError(b, err)
	return float64(kib) / 1024
}
