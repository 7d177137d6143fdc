package diff

import (
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/dtype"
	"github.com/koala-go/sdk/internal/vfs"
	"github.com/koala-go/sdk/modeltest"
	"github.com/koala-go/sdk/weights"
)

// forgetting is a file system that counts the bytes of inputs that it is told to
// forget.
type forgetting struct {
	vfs.FS
	mu        sync.Mutex
	forgotten int64
}

type forgettingFile struct {
	vfs.File
	f *forgetting
}

func (f *forgetting) Open(path string) (vfs.File, error) {
	file, err := f.FS.Open(path)
	return &forgettingFile{file, f}, err
}

func (f *forgetting) OpenIn(dir, name string, follow bool) (vfs.File, error) {
	file, err := f.FS.OpenIn(dir, name, follow)
	return &forgettingFile{file, f}, err
}

func (f *forgettingFile) Release(off, n int64) {
	f.f.mu.Lock()
	defer f.f.mu.Unlock()
	f.f.forgotten += n
	f.File.Release(off, n)
}

// TestForget checks that each tensor of the inputs is forgotten once if inputs
// and output need more than a quarter of the free memory, and otherwise not at
// all. Inputs that are read again for their digests are kept if they fit.
func TestForget(t *testing.T) {
	x := newTrial(t)
	size := int64(0) // the size of the weights of an input
	c, err := weights.Open(t.Context(), x.delta, nil)
	require.NoError(t, err)
	for _, q := range c.Params() {
		size += c.Tensor(q).Bytes()
	}
	require.NoError(t, c.Close())
	for _, row := range []struct {
		free    int64
		digests Digests
		want    int64
	}{{1, DigestNone, 2 * size}, {5 * size, DigestOutput, 2 * size}, {16 * size, DigestNone, 0}, {5 * size, DigestAll, 0}, {size, DigestAll, 2 * size}} {
		f := &forgetting{FS: vfs.OS}
		x.ctx = vfs.NewContext(t.Context(), f)
		x.opts = &Options{Workers: 3, Memory: 300_000, Digests: row.digests, freeMemory: row.free, Force: true}
		require.NoError(t, x.do(t, x))
		require.Equal(t, row.want, f.forgotten, "%+v, inputs of %d bytes each", row, size)
		requireValues(t, x.out, modeltest.Tiny, hf, dtype.BF16, sum(modeltest.Tiny))
		require.FileExists(t, filepath.Join(x.out, ManifestName))
	}
}
