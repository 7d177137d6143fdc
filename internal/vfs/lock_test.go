//go:build unix

package vfs

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestBusy(t *testing.T) {
	for _, k := range kinds {
		dir := t.TempDir()
		path := filepath.Join(dir, "out")
		put(t, path, k.single, oldFiles)
		first, err := stage(k.fs, path)
		require.NoError(t, err)
		for _, same := range []string{path, path + "/", filepath.Join(dir, ".", "x", "..", "out")} {
			_, err = NewStage(k.fs, same)
			require.ErrorIs(t, err, ErrBusy, k.name)
		}
		other, err := stage(k.fs, filepath.Join(dir, "other"))
		require.NoError(t, err, "another output is not busy")
		require.NoError(t, other.Discard())
		require.NoError(t, first.Publish(k.single, true), "%s: the second run disturbed the first", k.name)
		require.True(t, holds(path, k.single, newFiles), k.name)
		require.NoError(t, output(k.fs, path, k.single, true), "%s: the lock is released", k.name)
		require.Equal(t, []string{"out"}, names(t, dir), k.name)
	}
}

// TestBusyBetweenSteps begins a run while another run has moved the old output
// aside and not yet renamed the new one.
func TestBusyBetweenSteps(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "out")
	put(t, path, "", oldFiles)
	second := error(nil)
	fsys := between{steps{OS}, hiddenPath(path, "old"), func() { _, second = NewStage(OS, path) }}
	require.NoError(t, output(fsys, path, "", true))
	require.ErrorIs(t, second, ErrBusy)
	require.True(t, holds(path, "", newFiles))
	require.Equal(t, []string{"out"}, names(t, dir))
}
