package diff

import (
	"encoding/binary"
	"math"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/dtype"
	"github.com/koala-go/sdk/internal/fixture"
	"github.com/koala-go/sdk/modeltest"
	"github.com/koala-go/sdk/weights"
)

// TestAlpaca adds Alpaca's delta, which has one more row, to a base in every
// form. The old rows have the reference's bits. The new row is within 1e-4,
// because the reference computes the mean in another order.
func TestAlpaca(t *testing.T) {
	var rows map[string]struct {
		SHA256  string    `json:"sha256"` // of the first 128 rows
		LastRow []float64 `json:"last_row"`
	}
	fixture.JSON(t, &rows, "fixtures", "S", "expected", "alpaca.rows.json")
	list := fixture.Digests(t, "fixtures", "S", "expected", "alpaca.digests.json")
	for _, base := range bases["S"] {
		t.Run(base, func(t *testing.T) {
			out := filepath.Join(t.TempDir(), "out")
			_, err := Recover(t.Context(), shared(t, "S", "base", base), shared(t, "S", "diff", "alpaca-delta-bin"), out,
				&Options{DType: dtype.F32, Heads: 4, ResizeVocab: true})
			require.NoError(t, err)
			c, err := weights.Open(t.Context(), out, nil)
			require.NoError(t, err)
			defer c.Close()
			require.Equal(t, 129, c.Config.Vocab)
			for _, want := range list {
				got := c.Tensor(c.Layout.Param(want.Name))
				require.Equal(t, want.Shape, got.Shape)
				size := got.Bytes()
				if x, ok := rows[want.Name]; ok {
					requireRow(t, got, 128, x.LastRow)
					size, want.SHA256 = size/129*128, x.SHA256
				}
				b := make([]byte, size)
				_, err := got.ReadAt(b, 0)
				require.NoError(t, err)
				require.Contains(t, digests(b, got.DType), want.SHA256, want.Name)
			}
		})
	}
}

// requireRow compares a row of a matrix, within 1e-4.
func requireRow(t *testing.T, got *weights.Tensor, row int64, want []float64) {
	t.Helper()
	values := make([]float32, len(want))
	require.NoError(t, got.Float32s(values, row*int64(len(want))))
	for i := range want {
		require.InDelta(t, want[i], values[i], 1e-4, "%s, row %d, column %d", got.Name, row, i)
	}
}

// TestResize recovers from a base of any layout and a diff with more rows. The
// test computes each new row as the mean of the others.
func TestResize(t *testing.T) {
	m := modeltest.Tiny
	more := m
	more.Vocab += 2
	for _, format := range []weights.Format{hf, easylm, torch} {
		x := newTrial(t)
		write(t, m, x.base, &modeltest.Options{Format: format, DType: dtype.F16, Values: m.Base})
		write(t, more, x.delta, &modeltest.Options{Format: easylm, DType: dtype.BF16, Values: more.Diff})
		x.opts.Heads = m.Heads
		requireCheck(t, x, CheckSize, "a vocabulary of 128")
		x.opts.ResizeVocab, x.opts.DType = true, dtype.F32
		require.NoError(t, x.do(t, x))
		requireValues(t, x.out, more, hf, dtype.F32, func(p weights.Param, row, col int) float32 {
			if row < m.Vocab || p.Role != weights.Embed && p.Role != weights.Output {
				return fromF16(m.Base(p, row, col)) + fromBF16(more.Diff(p, row, col))
			}
			mean := 0.0
			for r := range m.Vocab {
				mean += float64(fromF16(m.Base(p, r, col)))
			}
			return float32(mean/float64(m.Vocab)) + fromBF16(more.Diff(p, row, col))
		})
	}
	x := newTrial(t)
	write(t, more, x.base, &modeltest.Options{Format: hf, DType: dtype.F16, Values: more.Base})
	x.opts.ResizeVocab = true
	err := requireUntouched(t, x)
	var refused *CheckError
	require.ErrorAs(t, err, &refused)
	require.Equal(t, CheckSize, refused.Check, "a base with more rows is not cut")
}

// TestQuantized recovers into Q8_0 and reads the weights back. Each weight is
// within half a step of its block's scale, and the scale is the block's largest
// magnitude over 127, in fp16. Norms are F32 and exact.
func TestQuantized(t *testing.T) {
	x := newTrial(t)
	m := modeltest.Tiny
	x.opts.Format, x.opts.DType = gguf, dtype.Q8_0
	require.NoError(t, x.do(t, x))
	c, err := weights.Open(t.Context(), x.out, nil)
	require.NoError(t, err)
	defer c.Close()
	exact := sum(m)
	for _, w := range c.Tensors {
		got := make([]float32, w.Len())
		require.NoError(t, w.Float32s(got, 0))
		cols := int(w.Shape[len(w.Shape)-1])
		want := make([]float32, len(got))
		for i := range want {
			row, col := meta(m, w.Param, gguf, i/cols, i%cols)
			want[i] = exact(w.Param, row, col)
		}
		switch {
		case w.Param.Role.IsNorm():
			require.Equal(t, dtype.F32, w.DType)
			require.Equal(t, want, got, w.Name)
		case cols%32 != 0:
			require.Equal(t, dtype.F16, w.DType, w.Name)
			for i := range want {
				require.Equal(t, fromF16(toF16(want[i])), got[i])
			}
		default:
			require.Equal(t, dtype.Q8_0, w.DType, w.Name)
			raw := make([]byte, w.Bytes())
			_, err := w.ReadAt(raw, 0)
			require.NoError(t, err)
			requireBlocks(t, raw, want, got)
		}
	}
	wide := filepath.Join(t.TempDir(), "wide")
	_, err = Convert(t.Context(), x.out, wide, nil)
	require.NoError(t, err)
	again, err := weights.Open(t.Context(), wide, nil)
	require.NoError(t, err)
	defer again.Close()
	for _, w := range c.Tensors {
		a, b := make([]float32, w.Len()), make([]float32, w.Len())
		require.NoError(t, w.Float32s(a, 0))
		v, err := again.View(w.Param, weights.GGUF)
		require.NoError(t, err)
		block := make([]byte, v.Rows()*v.RowBytes())
		require.NoError(t, v.ReadRows(block, 0, v.Rows(), nil))
		for i := range b {
			if v.DType == dtype.F16 {
				b[i] = fromF16(binary.LittleEndian.Uint16(block[2*i:]))
			} else {
				b[i] = math.Float32frombits(binary.LittleEndian.Uint32(block[4*i:]))
			}
		}
		require.Equal(t, a, b, "%s is widened exactly", w.Name)
	}
}

func requireBlocks(t *testing.T, raw []byte, want, got []float32) {
	t.Helper()
	for i := range len(want) / 32 {
		largest := float32(0)
		for _, v := range want[32*i : 32*i+32] {
			largest = max(largest, float32(math.Abs(float64(v))))
		}
		scale := largest / 127
		require.Equal(t, toF16(scale), binary.LittleEndian.Uint16(raw[34*i:]), "scale of block %d", i)
		for k := 32 * i; k < 32*i+32; k++ {
			require.InDelta(t, want[k], got[k], float64(scale)*(0.5+127.0/1024))
		}
	}
}
