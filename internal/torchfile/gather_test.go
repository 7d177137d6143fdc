package torchfile_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/internal/bounded"
	"github.com/koala-go/sdk/internal/refusal/refusaltest"
	"github.com/koala-go/sdk/internal/tensor"
	"github.com/koala-go/sdk/internal/torchfile"
)

// counting counts the reads of a file and the bytes read.
type counting struct {
	io.ReaderAt
	calls, bytes, longest int
}

func (c *counting) ReadAt(p []byte, off int64) (int, error) {
	c.calls++
	c.bytes += len(p)
	c.longest = max(c.longest, len(p))
	return c.ReaderAt.ReadAt(p, off)
}

var classes = map[int]string{1: "ByteStorage", 2: "HalfStorage", 4: "FloatStorage", 8: "DoubleStorage"}

// viewed returns a tensor with the given strides over a storage, and the
// counter of its reads.
func viewed(t testing.TB, storage []byte, item int, first int64, shape, strides []int64) (*tensor.Tensor, *counting) {
	t.Helper()
	s := stored(classes[item], "2", int64(len(storage)/item))
	z := build(append(model(dictOf("w", unmarked(view(s, first, shape, strides)))), member("data/2", storage))...)
	c := &counting{ReaderAt: bytes.NewReader(z.b)}
	f, err := torchfile.Read(c, int64(len(z.b)))
	require.NoError(t, err)
	*c = counting{ReaderAt: c.ReaderAt}
	return &f.Tensors[0], c
}

func member(name string, data []byte) item { return item{name: name, data: string(data)} }

// naive reads a view element by element.
func naive(storage []byte, item int, first int64, shape, strides []int64) []byte {
	if len(shape) == 0 {
		return bytes.Clone(storage[first*int64(item):][:item])
	}
	var b []byte
	for i := range shape[0] {
		b = append(b, naive(storage, item, first+i*strides[0], shape[1:], strides[1:])...)
	}
	return b
}

func randomBytes(rng *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	return b
}

// requireGathers compares a whole view, and parts with arbitrary starts and
// ends, with the naive reading.
func requireGathers(t testing.TB, rng *rand.Rand, storage []byte, item int, first int64, shape, strides []int64) {
	t.Helper()
	x, _ := viewed(t, storage, item, first, shape, strides)
	want := naive(storage, item, first, shape, strides)
	require.True(t, bytes.Equal(want, refusaltest.DataOf(t, x)), "%d × %v by %v from %d", item, shape, strides, first)
	for range 10 {
		off := rng.IntN(len(want) + 1)
		b := make([]byte, rng.IntN(len(want)+10-off))
		n, err := x.Data.ReadAt(b, int64(off))
		require.True(t, bytes.Equal(want[off:min(off+len(b), len(want))], b[:n]), "%d bytes at %d of %v by %v", len(b), off, shape, strides)
		require.Equal(t, min(len(b), len(want)-off), n)
		if n < len(b) {
			require.Equal(t, io.EOF, err)
		} else if n > 0 {
			require.True(t, err == nil || err == io.EOF && off+n == len(want), "%v", err)
		}
	}
	if x.Transposed != nil {
		require.Equal(t, want, transposed(t, x))
	}
}

func TestGatherShapes(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, view := range []struct {
		first          int64
		shape, strides dims
	}{
		{0, dims{7, 11}, dims{1, 7}},
		{3, dims{7, 11}, dims{1, 8}},
		{0, dims{7, 11}, dims{12, 1}},
		{5, dims{7, 11}, dims{25, 2}},
		{0, dims{3, 4, 5}, dims{20, 1, 4}},
		{0, dims{3, 4, 5}, dims{1, 3, 12}},
		{0, dims{3, 4, 5}, dims{5, 15, 1}},
		{0, dims{3, 1, 5}, dims{1, 9999999, 3}},
		{1, dims{2, 3, 2, 3}, dims{60, 20, 3, 1}},
		{0, dims{40}, dims{3}},
		{0, dims{6, 6}, dims{1, 1}},
		{0, dims{6, 6}, dims{0, 1}},
		{0, dims{6, 6}, dims{1, 0}},
		{0, dims{36}, dims{0}},
		{299, dims{1}, dims{1}},
		{0, dims{100, 3}, dims{1, 100}},
		{0, dims{3, 100}, dims{1, 3}},
	} {
		for item := range classes {
			requireGathers(t, rng, randomBytes(rng, 300*item), item, view.first, view.shape, view.strides)
		}
	}
}

func TestGatherRandom(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for range 300 {
		item := []int{1, 2, 4, 8}[rng.IntN(4)]
		rank := 1 + rng.IntN(4)
		shape, strides := make(dims, rank), make(dims, rank)
		extent, elements := int64(1), int64(1)
		for i := range rank {
			shape[i] = 1 + rng.Int64N(9)
			strides[i] = rng.Int64N(40)
			extent += (shape[i] - 1) * strides[i]
			elements *= shape[i]
		}
		first := rng.Int64N(5)
		requireGathers(t, rng, randomBytes(rng, int(max(extent+first, elements)+rng.Int64N(3))*item), item, first, shape, strides)
	}
}

// TestGatherLarge reads shapes whose rows, columns and gaps exceed the window of
// 64 KiB and the gap of 4 KiB.
func TestGatherLarge(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	storage := randomBytes(rng, 600_000)
	for _, view := range []struct {
		shape, strides dims
	}{
		{dims{3, 50_000}, dims{1, 3}},
		{dims{50_000, 3}, dims{1, 50_000}},
		{dims{50_000, 3}, dims{1, 60_000}},
		{dims{3, 40_000}, dims{60_000, 1}},
		{dims{3, 20_000}, dims{60_000, 2}},
		{dims{100, 20}, dims{1, 2_500}},
		{dims{100, 20}, dims{1, 2_047}},
		{dims{20, 5, 20}, dims{1, 12_000, 500}},
		{dims{5_000, 20}, dims{20, 1}},
	} {
		requireGathers(t, rng, storage, 2, 7, view.shape, view.strides)
	}
}

func TestTransposed(t *testing.T) {
	for _, test := range []struct {
		shape, strides dims
		transposed     bool
	}{
		{dims{3, 4}, dims{1, 3}, true},
		{dims{3, 4}, dims{4, 1}, false},
		{dims{3, 4}, dims{1, 4}, false},
		{dims{1, 4}, dims{1, 1}, false},
		{dims{4, 1}, dims{1, 4}, false},
		{dims{12}, dims{1}, false},
		{dims{3, 2, 2}, dims{1, 3, 6}, false},
		{dims{0, 4}, dims{1, 0}, false},
	} {
		x, _ := viewed(t, make([]byte, 40), 2, 0, test.shape, test.strides)
		require.Equal(t, test.transposed, x.Transposed != nil, "%v by %v", test.shape, test.strides)
	}
}

// TestGatherReads checks that a column-major matrix is read with one read per
// column and no byte twice, and a contiguous tensor with one read.
func TestGatherReads(t *testing.T) {
	storage := make([]byte, 8<<20)
	rows, columns := int64(4096), int64(1024)
	x, c := viewed(t, storage, 2, 0, dims{rows, columns}, dims{1, rows})
	refusaltest.DataOf(t, x)
	require.LessOrEqual(t, c.calls, int(columns))
	require.Equal(t, len(storage), c.bytes)
	require.LessOrEqual(t, c.longest, 64<<10)

	*c = counting{ReaderAt: c.ReaderAt}
	part := make([]byte, 128*columns*2) // 128 rows
	require.NoError(t, bounded.ReadFull(x.Data, part, 64*columns*2))
	require.LessOrEqual(t, c.calls, int(columns))
	require.Equal(t, len(part), c.bytes, "gaps of 8 KiB must not be read")

	x, c = viewed(t, storage, 2, 0, dims{1 << 20, 3}, dims{4, 1})
	refusaltest.DataOf(t, x)
	require.LessOrEqual(t, c.calls, len(storage)/(64<<10)+1, "short gaps must be read, in large reads")

	x, c = viewed(t, storage, 2, 0, dims{rows, columns}, dims{columns, 1})
	refusaltest.DataOf(t, x)
	require.Equal(t, 1, c.calls)
}

func TestGatherAllocates(t *testing.T) {
	x, _ := viewed(t, make([]byte, 8<<20), 2, 0, dims{4096, 1024}, dims{1, 4096})
	b := make([]byte, x.Bytes())
	n := refusaltest.Allocated(func() { require.NoError(t, bounded.ReadFull(x.Data, b, 0)) })
	require.Less(t, n, uint64(512<<10), "the memory must be that of a window, not of the tensor")
}

func TestGatherErrors(t *testing.T) {
	broken := errors.New("broken disk")
	z := build(append(model(dictOf("w", unmarked(view(stored("HalfStorage", "2", 5000), 0, dims{50, 100}, dims{1, 50})))), member("data/2", make([]byte, 10_000)))...)
	for _, want := range []error{broken, io.ErrUnexpectedEOF} {
		r := &failsLater{ReaderAt: bytes.NewReader(z.b)}
		f, err := torchfile.Read(r, int64(len(z.b)))
		require.NoError(t, err)
		r.ReaderAt = io.NewSectionReader(r.ReaderAt, 0, int64(z.data["data/2"]+5000))
		if want == broken {
			r.err = broken
		}
		_, err = f.Tensors[0].Data.ReadAt(make([]byte, 10_000), 0)
		require.ErrorIs(t, err, want)
	}
	x, _ := viewed(t, make([]byte, 100), 2, 0, dims{5, 10}, dims{1, 5})
	_, err := x.Data.ReadAt(make([]byte, 1), -1)
	require.Error(t, err)
	n, err := x.Data.ReadAt(make([]byte, 1), 100)
	require.Zero(t, n)
	require.Equal(t, io.EOF, err)
	require.NoError(t, iotest.TestReader(io.NewSectionReader(x.Data, 0, 100), make([]byte, 100)))
}

// failsLater is a reader that fails once err is set.
type failsLater struct {
	io.ReaderAt
	err error
}

func (f *failsLater) ReadAt(p []byte, off int64) (int, error) {
	if f.err != nil {
		return 0, f.err
	}
	return f.ReaderAt.ReadAt(p, off)
}

func BenchmarkGather(b *testing.B) {
	storage := make([]byte, 32<<20)
	for _, request := range []int{64 << 10, 1 << 20, 8 << 20} {
		b.Run(fmt.Sprint(request>>10, "KiB"), func(b *testing.B) {
			x, _ := viewed(b, storage, 2, 0, dims{4096, 4096}, dims{1, 4096})
			p := make([]byte, request)
			b.SetBytes(int64(len(storage)))
			for b.Loop() {
				for off := 0; off < len(storage); off += request {
					require.NoError(b, bounded.ReadFull(x.Data, p, int64(off)))
				}
			}
		})
	}
}

// TestGatherConcurrently reads a tensor from several goroutines.
func TestGatherConcurrently(t *testing.T) {
	storage := randomBytes(rand.New(rand.NewPCG(11, 12)), 60_000)
	z := build(append(model(dictOf("w", unmarked(view(stored("HalfStorage", "2", 30_000), 0, dims{100, 300}, dims{1, 100})))), member("data/2", storage))...)
	x := &mustRead(t, z.b).Tensors[0]
	want := naive(storage, 2, 0, dims{100, 300}, dims{1, 100})
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			b := make([]byte, 15_000)
			for range 20 {
				if _, err := x.Data.ReadAt(b, int64(i*15_000)); err != nil && err != io.EOF || !bytes.Equal(b, want[i*15_000:][:15_000]) {
					t.Errorf("part %d: error %v or wrong bytes", i, err)
				}
			}
		})
	}
	wg.Wait()
}
