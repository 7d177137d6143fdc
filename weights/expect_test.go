package weights_test

import (
	"path/filepath"
	"testing"

	"github.com/koala-go/sdk/internal/testmodel"
	"github.com/koala-go/sdk/internal/vfs"
	"github.com/koala-go/sdk/weights"
	"github.com/stretchr/testify/require"
)

// advised is a file system that notes what it is told to expect, by file.
type advised struct {
	vfs.FS
	told map[string][][2]int64 // beginning and length
}

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

func (f *advisedFile) Expect(off, n int64) {
	f.a.told[f.name] = append(f.a.told[f.name], [2]int64{off, n})
	f.File.Expect(off, n)
}

// TestExpect names the bytes that a weight lies in, in each of Meta's shards.
func TestExpect(t *testing.T) {
	for _, o := range []testmodel.Options{{Format: weights.FormatSafetensors}, {Format: weights.FormatEasyLM}, {Format: weights.FormatTorch, Shards: 2}} {
		o.DType, o.Values = weights.F16, testmodel.Tiny.Base
		a := &advised{vfs.OS, map[string][][2]int64{}}
		c := open(t, model(t, o), &weights.OpenOptions{Heads: 4, FS: a})
		p := weights.Param{Layer: 1, Role: weights.Down}
		v, err := c.View(p, weights.HuggingFace)
		require.NoError(t, err)
		v.Expect()
		total := int64(0)
		for name, spans := range a.told {
			require.Len(t, spans, 1, name)
			total += spans[0][1]
		}
		require.Len(t, a.told, max(o.Shards, 1), o.Format)
		require.Equal(t, c.Tensor(p).Bytes(), total, o.Format)
		if o.Shards == 0 {
			require.Equal(t, [2]int64{c.Tensor(p).Offset, total}, a.told[filepath.Base(c.Tensor(p).Path)][0])
		}
	}
}

// TestReadCorner compares corners of all sizes with the whole.
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
