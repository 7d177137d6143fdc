package weights_test

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/dtype"
	"github.com/koala-go/sdk/internal/vfs"
	"github.com/koala-go/sdk/modeltest"
	"github.com/koala-go/sdk/weights"
)

// advised is a file system that records the ranges it is advised to prefetch,
// to begin to write and to release, by file.
type advised struct {
	vfs.FS
	prefetched, syncing, released spans
}

// spans are ranges of files: offset and length.
type spans map[string][][2]int64

func (s spans) add(name string, off, n int64) {
	if n != 0 {
		s[name] = append(s[name], [2]int64{off, n})
	}
}

func newAdvised() *advised { return &advised{vfs.OS, spans{}, spans{}, spans{}} }

type advisedFile struct {
	vfs.File
	a    *advised
	name string
}

func (a *advised) Open(path string) (vfs.File, error) {
	f, err := a.FS.Open(path)
	return &advisedFile{f, a, filepath.Base(path)}, err
}

func (a *advised) OpenIn(dir, name string, follow bool) (vfs.File, error) {
	f, err := a.FS.OpenIn(dir, name, follow)
	return &advisedFile{f, a, name}, err
}

func (a *advised) Create(path string, size int64) (vfs.File, error) {
	f, err := a.FS.Create(path, size)
	return &advisedFile{f, a, filepath.Base(path)}, err
}

func (f *advisedFile) Prefetch(off, n int64) {
	f.a.prefetched.add(f.name, off, n)
	f.File.Prefetch(off, n)
}

func (f *advisedFile) StartSync(off, n int64) {
	f.a.syncing.add(f.name, off, n)
	f.File.StartSync(off, n)
}

func (f *advisedFile) Release(off, n int64) {
	f.a.released.add(f.name, off, n)
	f.File.Release(off, n)
}

// TestAdvice advises on the bytes that hold a weight, in each of Meta's shards.
func TestAdvice(t *testing.T) {
	for _, o := range []*modeltest.Options{{Format: weights.FormatSafetensors}, {Format: weights.FormatEasyLM}, {Format: weights.FormatTorch, Shards: 2}} {
		o.DType, o.Values = dtype.F16, modeltest.Tiny.Base
		a := newAdvised()
		c, err := weights.Open(vfs.NewContext(t.Context(), a), model(t, o), &weights.OpenOptions{Heads: 4})
		require.NoError(t, err)
		p := weights.Param{Layer: 1, Role: weights.Down}
		v, err := c.View(p, weights.HuggingFace)
		require.NoError(t, err)
		v.Prefetch()
		v.Release()
		require.Equal(t, a.prefetched, a.released)
		total := int64(0)
		for name, spans := range a.prefetched {
			require.Len(t, spans, 1, name)
			total += spans[0][1]
		}
		require.Len(t, a.prefetched, max(o.Shards, 1), o.Format)
		require.Equal(t, c.Tensor(p).Bytes(), total, o.Format)
		if o.Shards == 0 {
			require.Equal(t, [2]int64{c.Tensor(p).Offset, total}, a.prefetched[filepath.Base(c.Tensor(p).Path)][0])
		}
	}
}

// TestStartSync checks that the system is told to write every byte of each file
// once, in order, up to the last byte that Digest got, and to release the
// ranges of earlier calls.
func TestStartSync(t *testing.T) {
	for name := range formats {
		for _, release := range []bool{false, true} {
			p, a := plan(t, name), newAdvised()
			w, err := p.Create(vfs.NewContext(t.Context(), a), filepath.Join(t.TempDir(), "out"), nil)
			require.NoError(t, err)
			fill(t, w, p)
			for _, q := range p.Order() {
				b := bytes.Repeat([]byte{mark(q)}, int(p.Placement(q).Bytes()))
				half := len(b) / 2
				require.NoError(t, w.Digest(q, b[:half], 0))
				w.StartSync(release)
				require.NoError(t, w.Digest(q, b[half:], int64(half)))
			}
			w.StartSync(release)
			for _, f := range p.Files {
				file := f.Name
				if file == "" {
					file = "stream"
				}
				if strings.HasSuffix(file, ".json") { // without weights
					require.Empty(t, a.syncing[file])
					continue
				}
				synced, last := joined(t, a.syncing[file])
				require.Equal(t, f.Size, synced, file)
				if !release {
					require.Empty(t, a.released)
					continue
				}
				if len(a.syncing[file]) > 1 {
					released, _ := joined(t, a.released[file])
					require.GreaterOrEqual(t, released, last, file)
				}
			}
			require.NoError(t, w.Abort())
		}
	}
}

// joined checks that spans follow one another from 0 on. It returns where they
// end and where the last one begins.
func joined(t *testing.T, spans [][2]int64) (end, last int64) {
	t.Helper()
	for _, s := range spans {
		require.Equal(t, end, s[0])
		last, end = s[0], s[0]+s[1]
	}
	return end, last
}

// TestReadCorner compares corners of all sizes with the whole matrix.
func TestReadCorner(t *testing.T) {
	for format, c := range stored(t) {
		for _, l := range []*weights.Layout{weights.Meta, weights.EasyLM} {
			v, err := c.View(weights.Param{Layer: 1, Role: weights.Gate}, l)
			require.NoError(t, err)
			all, cols := whole(t, v), v.RowBytes()/2
			for _, corner := range [][2]int64{{1, 1}, {1, cols}, {v.Rows(), 1}, {17, 33}, {v.Rows(), cols}} {
				var want []byte
				for r := range corner[0] {
					want = append(want, all[r*v.RowBytes():r*v.RowBytes()+2*corner[1]]...)
				}
				got := make([]byte, len(want))
				require.NoError(t, v.ReadCorner(got, corner[0], corner[1], make([]byte, len(got))))
				require.Equal(t, want, got, "%s, %v", format, corner)
			}
			for _, corner := range [][2]int64{{v.Rows() + 1, 1}, {1, cols + 1}, {2, 2}} {
				b := make([]byte, 2*corner[0]*corner[1]+2)
				require.Error(t, v.ReadCorner(b, corner[0], corner[1], b))
			}
		}
		v, err := c.View(weights.Param{Role: weights.Q}, map[string]*weights.Layout{"safetensors": weights.Meta, "easylm": weights.HuggingFace}[format])
		require.NoError(t, err)
		require.Error(t, v.ReadCorner(make([]byte, 2), 1, 1, make([]byte, 2)), "its rows are reordered")
	}
}
