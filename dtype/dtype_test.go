package dtype_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/dtype"
)

func TestElements(t *testing.T) {
	for _, test := range []struct {
		shape []int64
		want  int64
		ok    bool
	}{
		{nil, 1, true},
		{[]int64{0}, 0, true},
		{[]int64{3, 4, 5}, 60, true},
		{[]int64{0, math.MaxInt64, math.MaxInt64}, 0, true},
		{[]int64{math.MaxInt64}, math.MaxInt64, true},
		{[]int64{-1}, 0, false},
		{[]int64{0, -1}, 0, false},
		{[]int64{2, math.MaxInt64}, 0, false},
		{[]int64{1 << 32, 1 << 32}, 0, false},
		{[]int64{1 << 32, 1 << 32, 0}, 0, false},
		{[]int64{1 << 31, 1 << 32}, 0, false},
		{[]int64{1 << 31, 1<<32 - 1}, 1 << 31 * (1<<32 - 1), true},
	} {
		n, ok := dtype.Elements(test.shape)
		require.Equal(t, test.ok, ok, "%v", test.shape)
		require.Equal(t, test.want, n, "%v", test.shape)
	}
}

func TestBytes(t *testing.T) {
	for _, test := range []struct {
		dtype dtype.Type
		shape []int64
		want  int64
		ok    bool
	}{
		{"F16", []int64{3, 5}, 30, true},
		{"C64", nil, 8, true},
		{"F4", []int64{2}, 1, true},
		{"F4", []int64{3}, 0, false},
		{"F6_E2M3", []int64{4}, 3, true},
		{"F6_E3M2", []int64{2}, 0, false},
		{"F4", []int64{0}, 0, true},
		{"f16", []int64{1}, 0, false},
		{"", []int64{0}, 0, false},
		{"U8", []int64{math.MaxInt64 / 8}, math.MaxInt64 / 8, true},
		{"U8", []int64{math.MaxInt64/8 + 1}, 0, false},
		{"F64", []int64{1 << 57, 2}, 0, false},
		{"Q8_0", []int64{3, 64}, 204, true},
		{"Q8_0", []int64{64, 3}, 0, false}, // blocks do not cross rows
		{"Q8_0", []int64{3, 48}, 0, false},
		{"Q8_0", nil, 0, false},
		{"Q4_K", []int64{1, 512}, 288, true},
		{"Q8_0", []int64{0, 32}, 0, true},
		{"Q1_0", []int64{2, 128}, 36, true},
		{"NVFP4", []int64{192}, 108, true},
		{"MXFP4", []int64{32}, 17, true},
		{"IQ2_XXS", []int64{256}, 66, true},
		{"IQ4_NL", []int64{64}, 36, true},
		{"TQ1_0", []int64{128}, 0, false},
		{"Q8_0", []int64{1<<58 - 1, 32}, 0, false},
	} {
		n, ok := test.dtype.Bytes(test.shape)
		require.Equal(t, test.ok, ok, "%v %v", test.dtype, test.shape)
		require.Equal(t, test.want, n, "%v %v", test.dtype, test.shape)
	}
}

func TestWeightTypes(t *testing.T) {
	require.Equal(t, []dtype.Type{dtype.BF16, dtype.F16, dtype.F32, dtype.Q8_0}, dtype.WeightTypes())
	for _, dt := range dtype.WeightTypes() {
		elements, bytes := dt.Block()
		n, ok := dt.Bytes([]int64{elements})
		require.True(t, ok, dt)
		require.Equal(t, n, bytes, dt)
		require.True(t, dt.Decoded().IsFloat(), dt)
	}
	elements, bytes := dtype.Type("x").Block()
	require.Zero(t, elements+bytes)
}
