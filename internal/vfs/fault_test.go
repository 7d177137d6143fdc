package vfs_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/internal/vfs"
	"github.com/koala-go/sdk/internal/vfs/vfstest"
)

// TestFaults fails every single operation of a run, one run after the other.
// Whatever fails, either the old or the new output is whole, and the next run
// succeeds and leaves no other file.
func TestFaults(t *testing.T) {
	for _, k := range vfs.Kinds {
		for _, before := range []string{"nothing", "old output", "old output set aside"} {
			for _, dead := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s over %s, dead %v", k.Name, before, dead), func(t *testing.T) {
					fired := 0
					for ; runWithFault(t, k.FS, k.Single, before, fired+1, dead); fired++ {
						require.Less(t, fired, 100, "the run does not end")
					}
					require.Greater(t, fired, 15, "operations that failed")
				})
			}
		}
	}
}

// newFaulty returns a file system whose operation number at fails, and all later
// ones too if the process is to seem dead.
func newFaulty(fsys vfs.FS, at int, dead bool) *vfstest.FS {
	return &vfstest.FS{FS: fsys, At: int64(at), Fault: vfstest.Fault{Err: vfstest.Err, Short: true, Dead: dead}}
}

// runWithFault reports whether the run reached the fault.
func runWithFault(t *testing.T, fsys vfs.FS, single, before string, at int, dead bool) bool {
	dir, err := os.MkdirTemp(t.TempDir(), "")
	require.NoError(t, err)
	path := filepath.Join(dir, "out")
	switch before {
	case "old output":
		vfs.Put(t, path, single, vfs.OldFiles)
	case "old output set aside":
		vfs.Put(t, vfs.Beside(path, "old"), single, vfs.OldFiles)
	}
	f := newFaulty(fsys, at, dead)
	err = vfs.Output(f, path, single, true)
	if f.Fired() == "" {
		require.NoError(t, err)
		require.True(t, vfs.Holds(path, single, vfs.NewFiles))
		require.Equal(t, []string{"out"}, vfs.Names(t, dir))
		return false
	}
	what := fmt.Sprintf("operation %d, %s", at, f.Fired())
	if !dead && err != nil {
		require.ErrorIs(t, err, vfstest.Err, what)
	}
	if !dead && before == "old output" {
		require.True(t, vfs.Holds(path, single, vfs.OldFiles) || vfs.Holds(path, single, vfs.NewFiles), "%s: neither output is at its place", what)
	}
	requireOneOutput(t, dir, path, single, before, what)
	require.NoError(t, vfs.Output(fsys, path, single, true), "%s: the next run", what)
	require.True(t, vfs.Holds(path, single, vfs.NewFiles), what)
	require.Equal(t, []string{"out"}, vfs.Names(t, dir), "%s: the next run leaves hidden files", what)
	return true
}

// requireOneOutput checks that the old or the new output is whole, or that the
// next run restores it.
func requireOneOutput(t *testing.T, dir, path, single, before, what string) {
	t.Helper()
	if vfs.Holds(path, single, vfs.NewFiles) {
		return
	}
	if before == "old output" && single != "" {
		require.True(t, vfs.Holds(path, single, vfs.OldFiles), "%s: a file is replaced in one step", what)
	}
	s, err := vfs.NewStage(vfs.OS, path)
	require.NoError(t, err, what)
	require.NoError(t, s.Discard(), what)
	if before == "nothing" {
		require.Empty(t, vfs.Names(t, dir), what)
		return
	}
	require.True(t, vfs.Holds(path, single, vfs.OldFiles), "%s: the old output is lost", what)
	require.Equal(t, []string{"out"}, vfs.Names(t, dir), what)
}

// TestFaultsNeverReplace fails operations of runs that may not replace an
// output.
func TestFaultsNeverReplace(t *testing.T) {
	for _, k := range vfs.Kinds {
		for at := 1; ; at++ {
			dir := t.TempDir()
			path := filepath.Join(dir, "out")
			vfs.Put(t, path, k.Single, vfs.OldFiles)
			f := newFaulty(k.FS, at, false)
			require.Error(t, vfs.Output(f, path, k.Single, false))
			require.True(t, vfs.Holds(path, k.Single, vfs.OldFiles), "%s: operation %d, %s: the output was replaced", k.Name, at, f.Fired())
			if f.Fired() == "" {
				break
			}
		}
	}
}
