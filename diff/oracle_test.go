package diff

import (
	"encoding/binary"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/x448/float16"

	"github.com/koala-go/sdk/modeltest"
	"github.com/koala-go/sdk/weights"

	"github.com/koala-go/sdk/dtype"
)

// The oracle's arithmetic uses none of this module's: fp16 is by x448/float16,
// bf16 by the functions below.

func fromF16(h uint16) float32 { return float16.Frombits(h).Float32() }

func toF16(f float32) uint16 { return float16.Fromfloat32(f).Bits() }

func fromBF16(h uint16) float32 { return math.Float32frombits(uint32(h) << 16) }

// toBF16 rounds a finite number to nearest, ties to even.
func toBF16(f float32) uint16 {
	bits := math.Float32bits(f)
	low, high := bits&0xffff, uint16(bits>>16)
	if low > 0x8000 || low == 0x8000 && high&1 == 1 {
		high++
	}
	return high
}

// value computes one element of an output, at a row and column of Meta's layout.
type value func(p weights.Param, row, col int) float32

// sum returns the values that Recover must compute from a model's base and diff.
func sum(m modeltest.Model) value {
	return func(p weights.Param, row, col int) float32 {
		return fromF16(m.Base(p, row, col)) + fromBF16(m.Diff(p, row, col))
	}
}

// appendValue appends an element of a type.
func appendValue(b []byte, dt dtype.Type, f float32) []byte {
	switch dt {
	case dtype.F16:
		return binary.LittleEndian.AppendUint16(b, toF16(f))
	case dtype.BF16:
		return binary.LittleEndian.AppendUint16(b, toBF16(f))
	}
	return binary.LittleEndian.AppendUint32(b, math.Float32bits(f))
}

// rounded returns a number as a type stores it.
func rounded(dt dtype.Type, f float32) float32 {
	switch dt {
	case dtype.F16:
		return fromF16(toF16(f))
	case dtype.BF16:
		return fromBF16(toBF16(f))
	}
	return f
}

// meta returns the row and column in Meta's layout of an output's element (r, c).
func meta(m modeltest.Model, p weights.Param, format weights.Format, r, c int) (row, col int) {
	switch {
	case p.Role.IsNorm():
		return c, 0
	case format == easylm && p.Role != weights.Embed:
		return c, r
	case format == hf && (p.Role == weights.Q || p.Role == weights.K):
		d := m.Dim / m.Heads
		h, j, i := r/d, r%d/(d/2), r%(d/2)
		return h*d + 2*i + j, c
	}
	return r, c
}

// requireValues compares every byte of an output with the oracle.
func requireValues(t *testing.T, path string, m modeltest.Model, format weights.Format, dt dtype.Type, value value) {
	t.Helper()
	c, err := weights.Open(t.Context(), path, nil)
	require.NoError(t, err)
	defer c.Close()
	require.Equal(t, format, c.Format)
	require.NoError(t, c.Complete())
	require.Len(t, c.Tensors, len(c.Params()), "nothing else is in the files")
	for _, w := range c.Tensors {
		widen := format == gguf && w.Param.Role.IsNorm()
		require.Equal(t, map[bool]dtype.Type{true: dtype.F32, false: dt}[widen], w.DType, w.Name)
		rows, cols := 1, int(w.Shape[len(w.Shape)-1])
		if len(w.Shape) == 2 {
			rows = int(w.Shape[0])
		}
		var want []byte
		for r := range rows {
			for col := range cols {
				row, col := meta(m, w.Param, format, r, col)
				if x := value(w.Param, row, col); widen { // GGUF widens a norm after it was rounded
					want = appendValue(want, dtype.F32, rounded(dt, x))
				} else {
					want = appendValue(want, dt, x)
				}
			}
		}
		got := make([]byte, w.Bytes())
		_, err := w.ReadAt(got, 0)
		require.NoError(t, err)
		if string(want) != string(got) {
			require.FailNow(t, "differs from the oracle", "%s as %s in %s", w.Name, format, dt)
		}
	}
}
