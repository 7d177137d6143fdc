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

// advised is a file system that notes what it is told to expect, to begin to
// write and to forget, by file.
type advised struct {
	vfs.FS
	expected, begun, forgotten spans
}

// spans are parts of files: beginning and length.
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

func (f *advisedFile) Expect(off, n int64) {
	f.a.expected.add(f.name, off, n)
	f.File.Expect(off, n)
}

func (f *advisedFile) StartSync(off, n int64) {
	f.a.begun.add(f.name, off, n)
	f.File.StartSync(off, n)
}

func (f *advisedFile) Forget(off, n int64) {
	f.a.forgotten.add(f.name, off, n)
	f.File.Forget(off, n)
}

// TestExpect names the bytes that a weight lies in, in each of Meta's shards,
// before it is read and when it is done with.
func TestExpect(t *testing.T) {
	for _, o := range []*modeltest.Options{{Format: weights.FormatSafetensors}, {Format: weights.FormatEasyLM}, {Format: weights.FormatTorch, Shards: 2}} {
		o.DType, o.Values = dtype.F16, modeltest.Tiny.Base
		a := newAdvised()
		c := open(t, model(t, o), &weights.OpenOptions{Heads: 4, FS: a})
		p := weights.Param{Layer: 1, Role: weights.Down}
		v, err := c.View(p, weights.HuggingFace)
		require.NoError(t, err)
		v.Expect()
		v.Forget()
		require.Equal(t, a.expected, a.forgotten)
		total := int64(0)
		for name, spans := range a.expected {
			require.Len(t, spans, 1, name)
			total += spans[0][1]
		}
		require.Len(t, a.expected, max(o.Shards, 1), o.Format)
		require.Equal(t, c.Tensor(p).Bytes(), total, o.Format)
		if o.Shards == 0 {
			require.Equal(t, [2]int64{c.Tensor(p).Offset, total}, a.expected[filepath.Base(c.Tensor(p).Path)][0])
		}
	}
}

// TestStartSync: of each file the system is told to write every byte once, in
// order, up to what was taken in, and to forget what it was told of before.
func TestStartSync(t *testing.T) {
	for name := range formats {
		for _, forget := range []bool{false, true} {
			p, a := plan(t, name), newAdvised()
			w, err := p.Create(filepath.Join(t.TempDir(), "out"), &weights.CreateOptions{FS: a})
			require.NoError(t, err)
			fill(t, w, p)
			for _, q := range p.Order() {
				b := bytes.Repeat([]byte{mark(q)}, int(p.Place(q).Bytes()))
				half := len(b) / 2
				require.NoError(t, w.Digest(q, b[:half], 0))
				w.StartSync(forget)
				require.NoError(t, w.Digest(q, b[half:], int64(half)))
			}
			w.StartSync(forget)
			for _, f := range p.Files {
				file := f.Name
				if file == "" {
					file = "stream"
				}
				if strings.HasSuffix(file, ".json") { // without weights
					require.Empty(t, a.begun[file])
					continue
				}
				begun, last := joined(t, a.begun[file])
				require.Equal(t, f.Size, begun, file)
				if !forget {
					require.Empty(t, a.forgotten)
					continue
				}
				if len(a.begun[file]) > 1 {
					forgotten, _ := joined(t, a.forgotten[file])
					require.GreaterOrEqual(t, forgotten, last, file)
				}
			}
			require.NoError(t, w.Abort())
		}
	}
}

// joined checks that spans follow one another from 0 on; it is where they end,
// and where the last begins.
func joined(t *testing.T, spans [][2]int64) (end, last int64) {
	t.Helper()
	for _, s := range spans {
		require.Equal(t, end, s[0])
		last, end = s[0], s[0]+s[1]
	}
	return end, last
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
