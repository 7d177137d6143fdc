package wire_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/internal/wire"
)

// script answers each ReadAt with the next of its steps, then from data.
type script struct {
	data  []byte
	steps []step
	next  int
}

// step gives at most n bytes and the error, whatever was asked.
type step struct {
	n   int
	err error
}

func (s *script) ReadAt(p []byte, off int64) (int, error) {
	if s.next >= len(s.steps) {
		return bytes.NewReader(s.data).ReadAt(p, off)
	}
	st := s.steps[s.next]
	s.next++
	return copy(p[:min(st.n, len(p))], s.data[off:]), st.err
}

func TestReadFull(t *testing.T) {
	broken := errors.New("broken")
	data := numbered(64)
	for _, test := range []struct {
		name  string
		steps []step
		off   int64
		n     int
		want  error
	}{
		{"plain", nil, 3, 10, nil},
		{"nothing", []step{{0, broken}}, 3, 0, nil},
		{"short reads", []step{{1, nil}, {2, nil}, {3, nil}}, 5, 20, nil},
		{"all with EOF", []step{{10, io.EOF}}, 54, 10, nil},
		{"all with another error", []step{{10, broken}}, 0, 10, nil},
		{"some with EOF", []step{{4, io.EOF}}, 0, 10, io.ErrUnexpectedEOF},
		{"none with EOF", []step{{0, io.EOF}}, 0, 10, io.ErrUnexpectedEOF},
		{"some with another error", []step{{4, broken}}, 0, 10, broken},
		{"an error after short reads", []step{{4, nil}, {4, nil}, {0, broken}}, 0, 10, broken},
		{"a few stalls", []step{{0, nil}, {0, nil}, {3, nil}, {0, nil}}, 0, 10, nil},
		{"past the end", nil, 60, 10, io.ErrUnexpectedEOF},
		{"far past the end", nil, math.MaxInt64 - 10, 10, io.ErrUnexpectedEOF},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := make([]byte, test.n)
			err := wire.ReadFull(&script{data: data, steps: test.steps}, p, test.off)
			require.Equal(t, test.want, err)
			if err == nil {
				require.Equal(t, data[test.off:][:test.n], p)
			}
		})
	}
}

// stalling gives one byte after each run of so many empty answers.
type stalling struct {
	data   []byte
	stalls int
	left   int
}

func (s *stalling) ReadAt(p []byte, off int64) (int, error) {
	if s.left == 0 {
		s.left = s.stalls
		return copy(p[:1], s.data[off:]), nil
	}
	s.left--
	return 0, nil
}

func TestReadFullEnds(t *testing.T) {
	data, p := numbered(30), make([]byte, 30)
	require.NoError(t, wire.ReadFull(&stalling{data: data, stalls: 50, left: 50}, p, 0))
	require.Equal(t, data, p, "stalls between bytes are not added up")
	require.Equal(t, io.ErrNoProgress, wire.ReadFull(failing{nil}, p, 0), "(0, nil) forever")
}

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
		n, ok := wire.Elements(test.shape)
		require.Equal(t, test.ok, ok, "%v", test.shape)
		require.Equal(t, test.want, n, "%v", test.shape)
	}
}

func TestDataSize(t *testing.T) {
	for _, test := range []struct {
		dtype string
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
		n, ok := wire.DataSize(test.dtype, test.shape)
		require.Equal(t, test.ok, ok, "%v %v", test.dtype, test.shape)
		require.Equal(t, test.want, n, "%v %v", test.dtype, test.shape)
		require.Equal(t, test.want, (&wire.Tensor{DType: test.dtype, Shape: test.shape}).Bytes())
	}
}

func TestErrorText(t *testing.T) {
	err := wire.Malformed(12, "a\nb", "thing %d is off", 7)
	require.EqualError(t, err, `thing 7 is off: byte 12, tensor "a\nb"`)
	require.EqualError(t, wire.Truncated(3, "", "short"), "short: byte 3")
	require.ErrorIs(t, wire.Unsupported(0, "", "x"), wire.ErrUnsupported)
	require.ErrorIs(t, fmt.Errorf("file: %w", err), wire.ErrMalformed)
}
