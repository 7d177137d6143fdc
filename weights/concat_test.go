package weights

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/dtype"
)

// count returns n bytes, each of which follows from its offset.
func count(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i ^ i>>8)
	}
	return b
}

// requireReader checks that a reader holds the bytes and ends with them, by
// reading many pieces at many offsets.
func requireReader(t *testing.T, want []byte, r io.ReaderAt) {
	t.Helper()
	for _, n := range []int{0, 1, 2, 3, 5, 7, 64, 100, 1001, len(want)} {
		for off := 0; off+n <= len(want); off += 1 + n/3 + off/7 {
			p := make([]byte, n)
			got, err := r.ReadAt(p, int64(off))
			require.NoError(t, err)
			require.Equal(t, n, got)
			require.True(t, bytes.Equal(want[off:off+n], p), "%d bytes at %d", n, off)
		}
	}
	for _, beyond := range []int{1, 100} {
		p := make([]byte, 10+beyond)
		from := max(len(want)-10, 0)
		n, err := r.ReadAt(p, int64(from))
		require.Equal(t, io.EOF, err)
		require.Equal(t, want[from:], p[:n])
	}
	n, err := r.ReadAt(make([]byte, 1), int64(len(want))+5)
	require.Equal(t, io.EOF, err)
	require.Zero(t, n)
}

func TestStacked(t *testing.T) {
	all := count(3000)
	for _, cuts := range [][]int{{3000}, {1, 2999}, {1000, 1000, 1000}, {0, 5, 0, 2995, 0}} {
		var data []io.ReaderAt
		var sizes []int64
		rest := all
		for _, n := range cuts {
			data, sizes, rest = append(data, bytes.NewReader(rest[:n])), append(sizes, int64(n)), rest[n:]
		}
		requireReader(t, all, rowConcat(newParts(data, sizes)))
	}
}

// TestColumnConcat divides a matrix by columns and reads it as one.
func TestColumnConcat(t *testing.T) {
	for _, c := range []struct {
		rows   int
		widths []int64
	}{
		{40, []int64{75}}, {40, []int64{25, 50}}, {1, []int64{2, 1, 3}}, {300, []int64{3, 0, 7}},
		{5, []int64{gatherBuffer / 2, gatherBuffer/4 + 1}}, {3, []int64{10, gatherBuffer + 10}}, {0, []int64{5, 5}}, {4, []int64{0, 0}},
	} {
		row := int64(0)
		for _, w := range c.widths {
			row += w
		}
		all := count(c.rows * int(row))
		var data []io.ReaderAt
		begin := int64(0)
		for _, w := range c.widths {
			var band []byte
			for r := range c.rows {
				band = append(band, all[int64(r)*row+begin:][:w]...)
			}
			data, begin = append(data, bytes.NewReader(band)), begin+w
		}
		requireReader(t, all, &columnConcat{newParts(data, c.widths), row, int64(c.rows)})
	}
}

// broken fails from an offset on.
type broken struct {
	io.ReaderAt
	from int64
}

var errBroken = errors.New("broken")

func (b broken) ReadAt(p []byte, off int64) (int, error) {
	if off+int64(len(p)) > b.from {
		return 0, errBroken
	}
	return b.ReaderAt.ReadAt(p, off)
}

// TestConcatErrors concatenates parts that cannot be read, or end early.
func TestConcatErrors(t *testing.T) {
	good, bad := bytes.NewReader(count(1000)), broken{bytes.NewReader(count(1000)), 500}
	short := bytes.NewReader(count(400))
	for _, second := range []struct {
		data io.ReaderAt
		err  error
	}{{bad, errBroken}, {short, io.ErrUnexpectedEOF}} {
		parts := newParts([]io.ReaderAt{good, second.data}, []int64{1000, 1000})
		_, err := rowConcat(parts).ReadAt(make([]byte, 1600), 0)
		require.ErrorIs(t, err, second.err)
		columns := newParts([]io.ReaderAt{good, second.data}, []int64{10, 10})
		for _, n := range []int64{2000, 1555} {
			_, err = (&columnConcat{columns, 20, 100}).ReadAt(make([]byte, n), 0)
			require.ErrorIs(t, err, second.err)
		}
	}
}

// TestDecoder reads every type as F32, at any offset.
func TestDecoder(t *testing.T) {
	const n, block, blockSize = 2*decodeStep + 96, 32, 34
	f16, bf16, q8 := count(2*n), count(2*n), count(n/block*blockSize)
	for i := range n {
		f16[2*i+1] &= 0x3f // finite
		bf16[2*i+1] &= 0x3f
	}
	for i := range n / block {
		q8[i*blockSize+1] &= 0x3f
	}
	for _, c := range []struct {
		from dtype.Type
		data []byte
	}{{dtype.F16, f16}, {dtype.BF16, bf16}, {dtype.Q8_0, q8}, {dtype.F32, count(4 * n)}} {
		tensor := &Tensor{Name: "x", DType: c.from, Shape: []int64{n}, data: bytes.NewReader(c.data)}
		values := make([]float32, n)
		require.NoError(t, tensor.Float32s(values, 0))
		if c.from == dtype.BF16 || c.from == dtype.F32 {
			continue // their patterns are compared by the others; F32 is copied
		}
		require.NotZero(t, values[1])
		requireReader(t, floatBytes(values), newDecoder(c.from, tensor.data, n))
	}
	raw := count(4 * n)
	requireReader(t, raw, newDecoder(dtype.F32, bytes.NewReader(raw), n))
	_, err := newDecoder(dtype.F16, bytes.NewReader(f16[:2*n-1]), n).ReadAt(make([]byte, 4*n), 0)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
}

// floatBytes returns numbers as a file stores them.
func floatBytes(values []float32) []byte {
	var b bytes.Buffer
	_ = binary.Write(&b, binary.LittleEndian, values)
	return b.Bytes()
}
