package diff

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/dtype"
	"github.com/koala-go/sdk/internal/vfs"
	"github.com/koala-go/sdk/modeltest"
	"github.com/koala-go/sdk/weights"
)

// BenchmarkRecover recovers a pair of 0.637 G parameters: 1.27 GB each, and as
// much output. Each run follows a run of floor, which reads the same files and
// writes and syncs as many bytes, without arithmetic. The benchmark reports the
// median of the ratio of their times. It needs 6 GB of temporary space.
//
//	go test ./diff -run xxx -bench Recover -benchtime 5x
func BenchmarkRecover(b *testing.B) {
	dir := b.TempDir()
	m := modeltest.Large
	hf, easylm, delta := filepath.Join(dir, "hf"), filepath.Join(dir, "easylm"), filepath.Join(dir, "diff")
	require.NoError(b, m.Write(hf, &modeltest.Options{Format: weights.FormatSafetensors, DType: dtype.F16, Values: m.Base}))
	require.NoError(b, m.Write(easylm, &modeltest.Options{Format: weights.FormatEasyLM, DType: dtype.F16, Values: m.Base}))
	require.NoError(b, m.Write(delta, &modeltest.Options{Format: weights.FormatEasyLM, DType: dtype.BF16, Values: m.Diff}))
	out := filepath.Join(dir, "out")

	for _, digests := range []Digests{DigestNone, DigestOutput, DigestAll} {
		for _, c := range []struct {
			name, base string
			format     weights.Format
		}{
			{"easylm to easylm", easylm, weights.FormatEasyLM},
			{"easylm to hf", easylm, weights.FormatSafetensors},
			{"hf to easylm", hf, weights.FormatEasyLM},
			{"hf to hf", hf, weights.FormatSafetensors},
		} {
			b.Run(c.name+" digests "+string(digests), func(b *testing.B) {
				var ratios []float64
				for b.Loop() {
					b.StopTimer()
					start := time.Now()
					floor(b, out, easylm, delta)
					least := time.Since(start)
					require.NoError(b, os.Remove(out))
					b.StartTimer()
					start = time.Now()
					r, err := Recover(context.Background(), c.base, delta, out, &Options{Format: c.format, Heads: m.Heads, Digests: digests})
					require.NoError(b, err)
					b.StopTimer()
					ratios = append(ratios, time.Since(start).Seconds()/least.Seconds())
					b.SetBytes(r.WriteBytes)
					removeOutput(b, out)
					b.StartTimer()
				}
				slices.Sort(ratios)
				b.ReportMetric(ratios[len(ratios)/2], "floors")
			})
		}
	}
}

// removeOutput removes an output and the manifest beside it.
func removeOutput(b *testing.B, out string) {
	b.Helper()
	require.NoError(b, os.RemoveAll(out))
	require.NoError(b, os.RemoveAll(out+"."+ManifestName))
}

// floor reads the inputs, and writes and syncs one file of the first input's
// size, on all processors.
func floor(b *testing.B, out string, inputs ...string) {
	b.Helper()
	info, err := os.Stat(inputs[0])
	require.NoError(b, err)
	f, err := vfs.OS.Create(out, info.Size()) // Create reserves the space, as in a recovery
	require.NoError(b, err)
	const piece = 1 << 20
	var group sync.WaitGroup
	workers := int64(runtime.GOMAXPROCS(0))
	for w := range workers {
		group.Go(func() {
			buf := make([]byte, piece)
			for _, in := range inputs {
				eachPiece(b, in, func(f *os.File, off, n int64) error {
					if off/piece%workers != w {
						return nil
					}
					_, err := f.ReadAt(buf[:n], off)
					return err
				})
			}
			for off := w * piece; off < info.Size(); off += workers * piece {
				if _, err := f.WriteAt(buf[:min(piece, info.Size()-off)], off); err != nil {
					b.Error(err)
				}
			}
		})
	}
	group.Wait()
	require.NoError(b, f.Sync())
	require.NoError(b, f.Close())
}

// eachPiece calls visit for each MiB of a file, or of the files of a directory.
func eachPiece(b *testing.B, path string, visit func(f *os.File, off, n int64) error) {
	err := filepath.WalkDir(path, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		info, err := f.Stat()
		for off := int64(0); err == nil && off < info.Size(); off += 1 << 20 {
			err = visit(f, off, min(1<<20, info.Size()-off))
		}
		return err
	})
	if err != nil {
		b.Error(err)
	}
}
