package diff

import (
	"os"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/internal/vfs"
	"github.com/koala-go/sdk/modeltest"
	"github.com/koala-go/sdk/progress"
)

// counting is a file system that counts concurrent reads and writes.
type counting struct {
	vfs.FS
	now, most atomic.Int64
}

type countedFile struct {
	vfs.File
	c *counting
}

func (c *counting) wrap(f vfs.File, err error) (vfs.File, error) {
	if err != nil {
		return nil, err
	}
	return &countedFile{f, c}, nil
}

func (c *counting) Open(path string) (vfs.File, error) { return c.wrap(c.FS.Open(path)) }

func (c *counting) OpenIn(dir, name string, follow bool) (vfs.File, error) {
	return c.wrap(c.FS.OpenIn(dir, name, follow))
}

func (c *counting) Create(path string, size int64) (vfs.File, error) {
	return c.wrap(c.FS.Create(path, size))
}

// during counts one operation.
func (c *counting) during() func() {
	now := c.now.Add(1)
	for most := c.most.Load(); now > most && !c.most.CompareAndSwap(most, now); most = c.most.Load() {
	}
	return func() { c.now.Add(-1) }
}

func (f *countedFile) ReadAt(b []byte, off int64) (int, error) {
	defer f.c.during()()
	return f.File.ReadAt(b, off)
}

// WriteAt waits until two operations were concurrent, so that another worker can
// begin.
func (f *countedFile) WriteAt(b []byte, off int64) (int, error) {
	defer f.c.during()()
	if f.c.most.Load() < 2 {
		time.Sleep(5 * time.Millisecond)
	}
	return f.File.WriteAt(b, off)
}

// TestWorkersAreACeiling checks that there are never more concurrent operations
// than workers, and as many at some time. With digests of the inputs there is one
// more.
func TestWorkersAreACeiling(t *testing.T) {
	m, x := modeltest.Small, newTrial(t)
	write(t, m, x.base, &modeltest.Options{Format: hf, DType: "F16", Values: m.Base})
	write(t, m, x.delta, &modeltest.Options{Format: easylm, DType: "BF16", Values: m.Diff})
	for _, workers := range []int{1, 2, 5} {
		for digests, more := range map[Digests]int{DigestNone: 0, DigestOutput: 0, DigestAll: 1} {
			c := &counting{FS: vfs.OS}
			before, most := runtime.NumGoroutine(), 0
			_, err := Recover(vfs.NewContext(t.Context(), c), x.base, x.delta, x.out, &Options{Workers: workers, Memory: 8 << 20, Digests: digests,
				Progress: func(progress.Progress) { most = max(most, runtime.NumGoroutine()) }})
			require.NoError(t, err)
			require.LessOrEqual(t, c.most.Load(), int64(workers+more), "%d workers, digests %s", workers, digests)
			require.GreaterOrEqual(t, c.most.Load(), int64(min(workers, 2)), "%d workers, digests %s", workers, digests)
			require.LessOrEqual(t, most, before+workers+more+1, "goroutines: the workers, and one for the journal")
			require.NoError(t, os.RemoveAll(filepath.Clean(x.out)))
		}
	}
}
