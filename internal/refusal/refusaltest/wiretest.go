// Package wiretest holds the laws that every parser's tests assert: what a
// refusal looks like, and how much a file may make its reader allocate.
package refusaltest

import (
	"errors"
	"io"
	"os"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/internal/fixture"
	"github.com/koala-go/sdk/internal/refusal"
)

var kinds = []error{refusal.ErrMalformed, refusal.ErrUnsupported, io.ErrUnexpectedEOF}

// Bad is an input that must be refused, the kind of the refusal, the byte
// that it names and the tensor that it names.
type Bad struct {
	Name   string
	Bytes  []byte
	Kind   error
	Offset int64
	Tensor string
}

// Run reads each input and checks how it is refused.
func Run(t *testing.T, rows []Bad, read func([]byte) error) {
	for _, row := range rows {
		t.Run(row.Name, func(t *testing.T) {
			e := Refused(t, Lawful(t, len(row.Bytes), func() error { return read(row.Bytes) }), row.Kind)
			require.Equal(t, row.Offset, e.Offset, "offset of: %v", e)
			require.Equal(t, row.Tensor, e.Tensor, "tensor of: %v", e)
		})
	}
}

// Refused requires err to be a *refusal.Error of this kind and of no other.
func Refused(t testing.TB, err, kind error) *refusal.Error {
	t.Helper()
	require.Error(t, err)
	var e *refusal.Error
	require.ErrorAs(t, err, &e)
	for _, k := range kinds {
		require.Equal(t, k == kind, errors.Is(err, k), "%v is of the kind %q", err, k)
	}
	return e
}

// Kind is the one kind that a refusal is of.
func Kind(t testing.TB, err error) error {
	t.Helper()
	for _, k := range kinds {
		if errors.Is(err, k) {
			Refused(t, err, k)
			return k
		}
	}
	t.Fatalf("%v is of no kind", err)
	return nil
}

// Lawful runs a parser on an input of size bytes and requires that it
// allocates no more than the law allows and that its error, which is handed
// on, is of exactly one kind and lies within the input.
func Lawful(t testing.TB, size int, parse func() error) error {
	t.Helper()
	var err error
	limit := uint64(1<<20 + 32*size)
	// Other goroutines may allocate meanwhile, so that the least of three counts.
	least := Allocated(func() { err = parse() })
	for try := 0; least > limit && try < 2; try++ {
		least = min(least, Allocated(func() { err = parse() }))
	}
	require.LessOrEqual(t, least, limit, "bytes allocated for an input of %d", size)
	if err != nil {
		Kind(t, err)
		var e *refusal.Error
		require.ErrorAs(t, err, &e)
		require.True(t, 0 <= e.Offset && e.Offset <= int64(size), "offset in an input of %d bytes: %v", size, e)
	}
	return err
}

// Allocated is the number of bytes that f allocates, freed or not.
func Allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// Seed is a shared fixture for a fuzz target to start from, nil where the
// fixtures are absent: the target runs on its other seeds then.
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

// probe hears that a fixture is absent, instead of skipping the test.
type probe struct {
	testing.TB
	absent bool
}

func (p *probe) Skipf(string, ...any) { p.absent = true }
