package diff

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/internal/vfs"
	"github.com/koala-go/sdk/internal/vfs/vfstest"
	"github.com/koala-go/sdk/source"
	"github.com/koala-go/sdk/weights"
)

// memorySource returns a trial's inputs as a Source.
func memorySource(t *testing.T, x *trial) source.Map {
	t.Helper()
	m := source.Map{}
	for _, e := range entries(t, x.base) {
		b, err := os.ReadFile(filepath.Join(x.base, e.Name()))
		require.NoError(t, err)
		m["base/"+e.Name()] = bytes.NewReader(b)
	}
	b, err := os.ReadFile(x.delta)
	require.NoError(t, err)
	m["delta"] = bytes.NewReader(b)
	return m
}

// TestSource recovers and verifies with inputs of a Source. The output equals the one
// of local inputs, its manifest included, with the inputs' digests.
func TestSource(t *testing.T) {
	x := newTrial(t)
	x.opts.Digests = DigestAll
	require.NoError(t, x.do(t, x))
	want := snapshot(t, x.out)
	require.NoError(t, os.RemoveAll(x.out))

	x.opts.Source = memorySource(t, x)
	x.base, x.delta = "base", "delta"
	require.NoError(t, x.do(t, x))
	require.Equal(t, want, snapshot(t, x.out))
	require.Empty(t, verified(t, x.out, &VerifyOptions{Base: "base", Diff: "delta", Source: x.opts.Source}))
}

// TestSourceIsNotAFile has inputs whose names equal the output's path. They are in
// another place, and the output destroys nothing.
func TestSourceIsNotAFile(t *testing.T) {
	x := newTrial(t)
	m := memorySource(t, x)
	m[filepath.ToSlash(x.out)] = m["delta"]
	x.opts.Source, x.base, x.delta = m, "base", filepath.ToSlash(x.out)
	require.NoError(t, x.do(t, x))
}

// TestFaultsOfVerify lets every operation of a verification go wrong. Verify returns
// an error or reports a difference, but for two kinds of operation: closing a file
// that was read, and the reads of the statistical checks, which Verify overrides.
func TestFaultsOfVerify(t *testing.T) {
	x := newTrial(t)
	x.opts.Format = weights.FormatEasyLM
	require.NoError(t, x.do(t, x))
	o := &VerifyOptions{Base: x.base, Diff: x.delta, Workers: 1}
	for _, fault := range vfstest.Faults[:1] {
		for at := int64(1); ; at++ {
			f := &vfstest.FS{FS: vfs.OS, Fault: fault, At: at}
			r, err := Verify(vfs.NewContext(t.Context(), f), x.out, o)
			if f.Fired() == "" {
				require.NoError(t, err)
				require.Empty(t, r.Differences)
				require.Greater(t, at, int64(20), "operations that went wrong")
				break
			}
			if err == nil && len(r.Differences) == 0 {
				require.Regexp(t, "^(close|read)$", f.Fired(), "operation %d", at)
			}
		}
	}
}
