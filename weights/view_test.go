package weights_test

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/x448/float16"

	"github.com/koala-go/sdk/modeltest"
	"github.com/koala-go/sdk/weights"

	"github.com/koala-go/sdk/dtype"
	"github.com/koala-go/sdk/internal/tensor"
)

// stored opens Tiny with its values, in each format.
func stored(t *testing.T) map[string]*weights.Checkpoint {
	t.Helper()
	list := map[string]*weights.Checkpoint{}
	for _, format := range []weights.Format{weights.FormatSafetensors, weights.FormatEasyLM} {
		path := model(t, &modeltest.Options{Format: format, DType: dtype.F16, Values: modeltest.Tiny.Base})
		list[string(format)] = open(t, path, &weights.OpenOptions{Heads: 4})
	}
	return list
}

// whole reads all rows of a view at once.
func whole(t *testing.T, v *weights.View) []byte {
	t.Helper()
	b := make([]byte, v.Rows()*v.RowBytes())
	require.NoError(t, v.ReadRows(b, 0, v.Rows(), nil))
	return b
}

// TestViewsAgree reads every weight in every layout. The stored layout does not
// matter.
func TestViewsAgree(t *testing.T) {
	s := stored(t)
	hf, easylm := s["safetensors"], s["easylm"]
	for _, p := range hf.Params() {
		for _, l := range layouts {
			a, err := hf.View(p, l)
			require.NoError(t, err)
			b, err := easylm.View(p, l)
			require.NoError(t, err)
			require.Equal(t, l.Shape(p.Role, &hf.Config), a.Shape, "%v %v", p, l)
			require.Equal(t, a.Shape, b.Shape)
			require.Equal(t, whole(t, a), whole(t, b), "%v in %v", p, l)
		}
		direct, err := hf.View(p, weights.HuggingFace)
		require.NoError(t, err)
		raw := make([]byte, hf.Tensor(p).Bytes())
		_, err = hf.Tensor(p).ReadAt(raw, 0)
		require.NoError(t, err)
		require.Equal(t, raw, whole(t, direct), "a view in the layout of the file is the file")
	}
}

// TestViewPermutes compares each element with the formula: Hugging Face's row
// h·D + j·D/2 + i is Meta's row h·D + 2i + j.
func TestViewPermutes(t *testing.T) {
	const heads, d = 4, 16
	for format, c := range stored(t) {
		for _, role := range []weights.Role{weights.Q, weights.K} {
			p := weights.Param{Layer: 1, Role: role}
			v, err := c.View(p, weights.HuggingFace)
			require.NoError(t, err)
			b := whole(t, v)
			for h := range heads {
				for i := range d / 2 {
					for j := range 2 {
						for col := range 64 {
							at := 2 * ((h*d+j*d/2+i)*64 + col)
							got := uint16(b[at]) | uint16(b[at+1])<<8
							require.Equal(t, modeltest.Tiny.Base(p, h*d+2*i+j, col), got, "%s %v", format, p)
						}
					}
				}
			}
		}
	}
}

// TestBlocks compares blocks of every size at many offsets, whole heads or not,
// with scratch space or without, with parts of the whole.
func TestBlocks(t *testing.T) {
	for format, c := range stored(t) {
		for _, role := range roles() {
			for _, l := range []*weights.Layout{weights.Meta, weights.EasyLM, weights.HuggingFace} {
				v, err := c.View(weights.Param{Role: role}, l)
				require.NoError(t, err)
				all, size := whole(t, v), v.RowBytes()
				require.Positive(t, v.Step())
				for _, n := range []int64{0, 1, 2, 3, 7, 15, 16, 17, 31, 32, 33, v.Rows() - 1, v.Rows()} {
					for first := int64(0); first+n <= v.Rows(); first += 1 + first/5 {
						for _, scratch := range []int64{0, v.Scratch(n) / 2, v.Scratch(n), v.Scratch(n) + 100} {
							got := make([]byte, n*size)
							require.NoError(t, v.ReadRows(got, first, n, make([]byte, scratch)))
							if string(all[first*size:(first+n)*size]) != string(got) {
								require.FailNow(t, "block differs", "%s, %v in %v: %d rows from %d, scratch %d", format, role, l, n, first, scratch)
							}
						}
					}
				}
			}
		}
	}
}

// TestBlocksDoNotAllocate checks that ReadRows uses the scratch space. Its one
// allocation is the table of a transposed block, of fixed size.
func TestBlocksDoNotAllocate(t *testing.T) {
	c := stored(t)["easylm"]
	for _, role := range []weights.Role{weights.Gate, weights.Down, weights.Embed, weights.Norm} {
		v, err := c.View(weights.Param{Role: role}, weights.HuggingFace)
		require.NoError(t, err)
		dst, scratch := make([]byte, v.RowBytes()), make([]byte, v.Scratch(1))
		require.LessOrEqual(t, testing.AllocsPerRun(10, func() {
			if v.ReadRows(dst, 0, 1, scratch) != nil {
				t.Fail()
			}
		}), 1.0, "%v", role)
	}
}

func TestRowsOutOfRange(t *testing.T) {
	for format, c := range stored(t) {
		for _, role := range []weights.Role{weights.Embed, weights.Q, weights.Gate, weights.Norm} {
			v, err := c.View(weights.Param{Role: role}, weights.HuggingFace)
			require.NoError(t, err)
			for _, x := range []struct{ first, n, size int64 }{
				{-1, 1, v.RowBytes()}, {0, -1, 0}, {0, v.Rows() + 1, (v.Rows() + 1) * v.RowBytes()},
				{v.Rows(), 1, v.RowBytes()}, {math.MaxInt64, 1, v.RowBytes()}, {math.MinInt64, 1, v.RowBytes()},
				{0, 1, v.RowBytes() - 1}, {0, 1, v.RowBytes() + 1}, {0, 1, 0}, {1, 0, 1},
			} {
				err := v.ReadRows(make([]byte, x.size), x.first, x.n, nil)
				require.ErrorContains(t, err, fmt.Sprintf("has %d rows of %d bytes", v.Rows(), v.RowBytes()), "%s %v: rows %d, %d into %d bytes", format, role, x.first, x.n, x.size)
			}
			require.NoError(t, v.ReadRows(nil, v.Rows(), 0, nil), "no rows at the end")
		}
	}
}

// TestViewWithoutHeads fails for weights whose rows are permuted, and only for
// those.
func TestViewWithoutHeads(t *testing.T) {
	c := open(t, stored(t)["easylm"].Path, nil)
	require.NoError(t, c.Complete())
	for _, p := range c.Params() {
		for _, l := range layouts {
			_, err := c.View(p, l)
			if !l.Permuted(p.Role) {
				require.NoError(t, err, "%v in %v", p, l)
				continue
			}
			var unknown *weights.ModelError
			require.ErrorAs(t, err, &unknown, "%v in %v", p, l)
			require.ErrorContains(t, err, "the number of attention heads is unknown")
			require.Contains(t, unknown.Cure, "heads")
		}
	}
}

// TestViewOfNothing asks for weights that the checkpoint does not have.
func TestViewOfNothing(t *testing.T) {
	c := open(t, tiny(t), nil)
	for _, p := range []weights.Param{{}, {Role: weights.Ignored}, {Layer: 2, Role: weights.Q}, {Layer: -1, Role: weights.Q}, {Layer: 1, Role: weights.Embed}} {
		_, err := c.View(p, weights.Meta)
		requireModelError(t, err, c.Path)
		require.Nil(t, c.Tensor(p))
	}
}

// TestValues reads elements as numbers, in pieces or at once.
func TestValues(t *testing.T) {
	c := stored(t)["safetensors"]
	p := weights.Param{Role: weights.Embed}
	w := c.Tensor(p)
	require.EqualValues(t, 128*64, w.Len())
	floats, halves := make([]float32, w.Len()), make([]float16.Float16, w.Len())
	require.NoError(t, w.Float32s(floats, 0))
	require.NoError(t, w.Float16s(halves, 0))
	for i := range halves {
		want := float16.Frombits(modeltest.Tiny.Base(p, i/64, i%64))
		require.Equal(t, want, halves[i])
		require.Equal(t, want.Float32(), floats[i])
	}
	for _, n := range []int64{0, 1, 4095, 4096, 4097} {
		for _, first := range []int64{0, 1, 100, w.Len() - n} {
			part := make([]float32, n)
			require.NoError(t, w.Float32s(part, first))
			require.True(t, slices.Equal(floats[first:first+n], part), "%d from %d", n, first)
		}
	}
	for _, x := range []struct{ first, n int64 }{{-1, 1}, {w.Len(), 1}, {0, w.Len() + 1}, {math.MaxInt64, 1}, {math.MinInt64, 1}} {
		require.ErrorContains(t, w.Float32s(make([]float32, x.n), x.first), "which has 8192")
		require.ErrorContains(t, w.Float16s(make([]float16.Float16, x.n), x.first), "which has 8192")
	}
}

// TestValuesAreRounded reads other types as fp16: rounded to nearest, ties to
// even.
func TestValuesAreRounded(t *testing.T) {
	dir := t.TempDir()
	put(t, filepath.Join(dir, single), []tensor.Tensor{array("f32", "F32", 6), array("i64", "I64", 1)})
	b, err := os.ReadFile(filepath.Join(dir, single))
	require.NoError(t, err)
	at := len(b) - 4*6 // F32 follows I64
	for i, f := range []float32{1, 1 + 1.0/2048, 1 + 3.0/2048, 65520, -1e-8, float32(math.Inf(-1))} {
		bits := math.Float32bits(f)
		for k := range 4 {
			b[at+4*i+k] = byte(bits >> (8 * k))
		}
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, single), b, 0o644))
	c := open(t, dir, nil)
	got := make([]float16.Float16, 6)
	for _, w := range c.Tensors {
		if w.Name == "i64" {
			require.ErrorIs(t, w.Float16s(got[:1], 0), weights.ErrUnsupported)
			require.ErrorIs(t, w.Float32s(make([]float32, 1), 0), weights.ErrUnsupported)
			continue
		}
		require.NoError(t, w.Float16s(got, 0))
	}
	require.Equal(t, []float16.Float16{0x3c00, 0x3c00, 0x3c02, 0x7c00, 0x8000, 0xfc00}, got)
}

// TestCutAfterOpening shortens a file that is open. The error names the file
// and the tensor.
func TestCutAfterOpening(t *testing.T) {
	c := stored(t)["easylm"]
	require.NoError(t, os.Truncate(c.Path, 1000))
	p := weights.Param{Role: weights.Embed}
	v, err := c.View(p, weights.HuggingFace)
	require.NoError(t, err)
	err = v.ReadRows(make([]byte, v.RowBytes()), 5, 1, nil)
	require.ErrorContains(t, err, c.Path)
	require.ErrorContains(t, err, `"transformer/wte/embedding"`)
	require.ErrorContains(t, err, fmt.Sprint("byte ", c.Tensor(p).Offset+5*128))
	require.ErrorContains(t, c.Tensor(p).Float32s(make([]float32, 1), 0), c.Path)
}
