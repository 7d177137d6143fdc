package bounded_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/internal/bounded"
	"github.com/koala-go/sdk/internal/refusal"
	"github.com/koala-go/sdk/internal/refusal/refusaltest"
)

// numbered returns n bytes that depend on their offsets.
func numbered(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i ^ i>>8)
	}
	return b
}

// counting counts the reads of a reader and the bytes requested.
type counting struct {
	io.ReaderAt
	calls, bytes int
}

func (c *counting) ReadAt(p []byte, off int64) (int, error) {
	c.calls++
	c.bytes += len(p)
	return c.ReaderAt.ReadAt(p, off)
}

func TestCursorReadsEverySplit(t *testing.T) {
	data := numbered(9000)
	for _, step := range []int64{1, 2, 3, 7, 8, 1000, 4095, 4096, 4097, 8191, 9000} {
		c := bounded.NewCursor(bytes.NewReader(data), 0, int64(len(data)))
		for c.Left() > 0 {
			at, n := c.Offset(), min(step, c.Left())
			b, err := c.Bytes(n)
			require.NoError(t, err)
			require.Equal(t, data[at:at+n], b, "step %d at %d", step, at)
			require.Equal(t, at+n, c.Offset())
		}
	}
}

func TestCursorKeepsToItsRange(t *testing.T) {
	data := numbered(6000)
	c := bounded.NewCursor(bytes.NewReader(data), 100, 5000)
	require.EqualValues(t, 4900, c.Left())
	b, err := c.Bytes(4900)
	require.NoError(t, err)
	require.Equal(t, data[100:5000], b)

	require.EqualValues(t, 5000, refusaltest.Refused(t, c.Skip(1), io.ErrUnexpectedEOF).Offset)
	_, err = c.Byte()
	refusaltest.Refused(t, err, io.ErrUnexpectedEOF)
	b, err = c.Bytes(0)
	require.NoError(t, err)
	require.Empty(t, b)
	require.NoError(t, c.Skip(0))
}

func TestCursorRefusesLengths(t *testing.T) {
	for _, n := range []int64{-1, 11, 1 << 40, 1<<63 - 1, -1 << 63} {
		r := &counting{ReaderAt: bytes.NewReader(numbered(20))}
		c := bounded.NewCursor(r, 7, 17)
		require.EqualValues(t, 7, refusaltest.Refused(t, c.Skip(n), io.ErrUnexpectedEOF).Offset)
		_, err := c.Bytes(n)
		require.EqualValues(t, 7, refusaltest.Refused(t, err, io.ErrUnexpectedEOF).Offset)
		err = c.Within(n, func() error { t.Fatal("called"); return nil })
		require.EqualValues(t, 7, refusaltest.Refused(t, err, io.ErrUnexpectedEOF).Offset)
		require.EqualValues(t, 7, c.Offset(), "a refused length must not move the cursor")
		require.Zero(t, r.bytes, "a refused length must not read")
	}
}

func TestCursorAllocatesNoMoreThanTheFile(t *testing.T) {
	data := numbered(100)
	n := refusaltest.Allocated(func() {
		c := bounded.NewCursor(bytes.NewReader(data), 0, 100)
		_, err := c.Bytes(1 << 40)
		refusaltest.Refused(t, err, io.ErrUnexpectedEOF)
	})
	require.Less(t, n, uint64(1<<20))
}

func TestCursorSkipsWithoutReading(t *testing.T) {
	const size, step = 1 << 40, 1 << 30
	r := &counting{ReaderAt: zeros{}}
	c := bounded.NewCursor(r, 0, size)
	for c.Left() > 0 {
		_, err := c.BigEndian(8)
		require.NoError(t, err)
		require.NoError(t, c.Skip(step-8))
	}
	require.Equal(t, size/step, r.calls)
	require.LessOrEqual(t, r.bytes, size/step*4096)
}

// zeros is a file of zeros of any length.
type zeros struct{}

func (zeros) ReadAt(p []byte, _ int64) (int, error) { clear(p); return len(p), nil }

func TestCursorReadsAhead(t *testing.T) {
	r := &counting{ReaderAt: bytes.NewReader(numbered(8192))}
	c := bounded.NewCursor(r, 0, 8192)
	for range 8192 {
		_, err := c.Byte()
		require.NoError(t, err)
	}
	require.Equal(t, 2, r.calls)
}

func TestCursorBigEndian(t *testing.T) {
	data := []byte{0xf1, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf7, 0xf8, 9, 10, 11, 12, 13, 14, 15}
	c := bounded.NewCursor(bytes.NewReader(data), 0, int64(len(data)))
	want := []uint64{
		binary.BigEndian.Uint64(data),
		uint64(binary.BigEndian.Uint32(data[8:])),
		uint64(binary.BigEndian.Uint16(data[12:])),
		uint64(data[14]),
	}
	for i, size := range []int64{8, 4, 2, 1} {
		n, err := c.BigEndian(size)
		require.NoError(t, err)
		require.Equal(t, want[i], n)
	}
	_, err := c.BigEndian(2)
	refusaltest.Refused(t, err, io.ErrUnexpectedEOF)
}

func TestCursorWithin(t *testing.T) {
	read := func(c *bounded.Cursor, n int64) func() error {
		return func() error { _, err := c.Bytes(n); return err }
	}
	for _, test := range []struct {
		name       string
		outer, n   int64
		kind       error
		offset     int64
		afterwards int64
	}{
		{"all of it", 10, 10, nil, 0, 10},
		{"nothing of nothing", 0, 0, nil, 0, 0},
		{"too little", 10, 6, refusal.ErrMalformed, 6, 6},
		{"nothing", 10, 0, refusal.ErrMalformed, 0, 0},
		{"more than the part", 10, 11, io.ErrUnexpectedEOF, 0, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := bounded.NewCursor(bytes.NewReader(numbered(20)), 0, 20)
			err := c.Within(test.outer, read(c, test.n))
			if test.kind == nil {
				require.NoError(t, err)
			} else {
				require.Equal(t, test.offset, refusaltest.Refused(t, err, test.kind).Offset)
			}
			require.Equal(t, test.afterwards, c.Offset())
			require.Equal(t, 20-test.afterwards, c.Left(), "Within must restore the end")
		})
	}
}

func TestCursorWithinNests(t *testing.T) {
	c := bounded.NewCursor(bytes.NewReader(numbered(20)), 0, 20)
	err := c.Within(10, func() error {
		refusaltest.Refused(t, c.Within(11, func() error { return nil }), io.ErrUnexpectedEOF)
		require.NoError(t, c.Within(4, func() error { return c.Skip(4) }))
		return c.Skip(6)
	})
	require.NoError(t, err)
	broken := errors.New("broken")
	require.Equal(t, broken, c.Within(5, func() error { return broken }), "Within must return the error of f unchanged")
}

func TestCursorReaderFails(t *testing.T) {
	broken := errors.New("broken disk")
	c := bounded.NewCursor(failing{broken}, 3, 20)
	_, err := c.Bytes(4)
	var e *refusal.Error
	require.ErrorAs(t, err, &e)
	require.ErrorIs(t, err, broken)
	require.EqualValues(t, 3, e.Offset)
	require.NotErrorIs(t, err, refusal.ErrMalformed)
	require.NotErrorIs(t, err, io.ErrUnexpectedEOF)

	_, err = c.Bytes(1)
	require.ErrorIs(t, err, broken, "a failed window must not be used")
}

type failing struct{ err error }

func (f failing) ReadAt([]byte, int64) (int, error) { return 0, f.err }

func TestCursorFileShorterThanItSays(t *testing.T) {
	c := bounded.NewCursor(bytes.NewReader(numbered(10)), 0, 20)
	_, err := c.Bytes(4)
	refusaltest.Refused(t, err, io.ErrUnexpectedEOF)
}
