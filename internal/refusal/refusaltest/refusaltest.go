// Package refusaltest checks in tests what all parsers promise: how they refuse
// bad input, and how much memory an input of a given size can make them
// allocate.
package refusaltest

import (
	"bytes"
	"errors"
	"io"
	"os"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/internal/bounded"
	"github.com/koala-go/sdk/internal/fixture"
	"github.com/koala-go/sdk/internal/refusal"
	"github.com/koala-go/sdk/internal/tensor"
)

var kinds = []error{refusal.ErrMalformed, refusal.ErrUnsupported, io.ErrUnexpectedEOF}

// Bad is an input that a parser must refuse, and the error that it must return.
type Bad struct {
	Name   string // the subtest's name
	Bytes  []byte // the input
	Kind   error  // the kind of refusal
	Offset int64  // the offset in the error
	Tensor string // the tensor in the error
}

// Run calls read with each input and checks its error, in a subtest per input.
func Run(t *testing.T, rows []Bad, read func([]byte) error) {
	for _, row := range rows {
		t.Run(row.Name, func(t *testing.T) {
			e := Refused(t, Lawful(t, len(row.Bytes), func() error { return read(row.Bytes) }), row.Kind)
			require.Equal(t, row.Offset, e.Offset, "offset of the error: %v", e)
			require.Equal(t, row.Tensor, e.Tensor, "tensor of the error: %v", e)
		})
	}
}

// Refused requires err to be a *refusal.Error of the given kind and of no other
// kind, and returns it.
func Refused(t testing.TB, err, kind error) *refusal.Error {
	t.Helper()
	require.Error(t, err)
	var e *refusal.Error
	require.ErrorAs(t, err, &e)
	for _, k := range kinds {
		require.Equal(t, k == kind, errors.Is(err, k), "whether %v matches %q", err, k)
	}
	return e
}

// Kind returns the one kind that a refusal matches.
func Kind(t testing.TB, err error) error {
	t.Helper()
	for _, k := range kinds {
		if errors.Is(err, k) {
			Refused(t, err, k)
			return k
		}
	}
	t.Fatalf("%v matches no kind of refusal", err)
	return nil
}

// Lawful runs a parser on an input of size bytes and returns its error. It
// requires that the parser allocates at most 1 MiB and 32 bytes per byte of
// input, and that an error is of exactly one kind and has an offset within the
// input.
func Lawful(t testing.TB, size int, parse func() error) error {
	t.Helper()
	var err error
	limit := uint64(1<<20 + 32*size)
	// Other goroutines may allocate at the same time: take the least of three
	// runs.
	least := Allocated(func() { err = parse() })
	for try := 0; least > limit && try < 2; try++ {
		least = min(least, Allocated(func() { err = parse() }))
	}
	require.LessOrEqual(t, least, limit, "bytes allocated for an input of %d bytes", size)
	if err != nil {
		Kind(t, err)
		var e *refusal.Error
		require.ErrorAs(t, err, &e)
		require.True(t, 0 <= e.Offset && e.Offset <= int64(size), "the offset lies outside the input of %d bytes: %v", size, e)
	}
	return err
}

// Read calls a parser's Read function with b, under the law of Lawful. It
// requires that a refused file is nil.
func Read[File any](t testing.TB, b []byte, read func(io.ReaderAt, int64) (*File, error)) (*File, error) {
	t.Helper()
	var f *File
	err := Lawful(t, len(b), func() (err error) {
		f, err = read(bytes.NewReader(b), int64(len(b)))
		return err
	})
	if err != nil {
		require.Nil(t, f)
	}
	return f, err
}

// DataOf reads the data of a tensor and requires that its reader ends with it.
func DataOf(t testing.TB, x *tensor.Tensor) []byte {
	t.Helper()
	data := make([]byte, x.Bytes())
	require.NoError(t, bounded.ReadFull(x.Data, data, 0), x.Name)
	n, err := x.Data.ReadAt(make([]byte, 1), x.Bytes())
	require.Zero(t, n, x.Name)
	require.Equal(t, io.EOF, err, "the data of %q must end with the tensor", x.Name)
	return data
}

// Allocated returns the number of bytes that f allocates, whether freed or not.
func Allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// Seed returns a shared fixture as a seed for a fuzz target. It returns nil
// where the fixtures are absent, so that the target runs on its other seeds.
func Seed(f *testing.F, elem ...string) []byte {
	f.Helper()
	p := &probe{TB: f}
	path := fixture.Path(p, elem...)
	if p.absent {
		return nil
	}
	b, err := os.ReadFile(path)
	require.NoError(f, err)
	return b
}

// probe records that a fixture is absent instead of skipping the test.
type probe struct {
	testing.TB
	absent bool
}

func (p *probe) Skipf(string, ...any) { p.absent = true }
