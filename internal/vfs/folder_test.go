package vfs_test

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/internal/vfs"
)

// TestFolder checks that files appear under their names alone, and that only
// partial files of the own tag are removed.
func TestFolder(t *testing.T) {
	dir := t.TempDir()
	f := vfs.NewFolder(vfs.OS, dir, ".0-of-2")
	for _, name := range []string{".a.0-of-2.koala-partial", ".a.1-of-2.koala-partial"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte("half"), 0o600))
	}
	require.NoError(t, f.WriteFile("a", []byte("first")))
	require.NoError(t, f.WriteFile("a", []byte("second")))
	require.NoError(t, f.WriteFile("empty", nil))
	require.NoError(t, f.Sync())
	requireFile(t, filepath.Join(dir, "a"), "second")
	requireFile(t, filepath.Join(dir, "empty"), "")
	require.NoFileExists(t, filepath.Join(dir, ".a.0-of-2.koala-partial"))
	require.NoError(t, os.WriteFile(filepath.Join(dir, ".b.0-of-2.koala-partial"), nil, 0o600))
	require.NoError(t, f.RemovePartial())
	require.NoFileExists(t, filepath.Join(dir, ".b.0-of-2.koala-partial"))
	require.FileExists(t, filepath.Join(dir, ".a.1-of-2.koala-partial"))
}

// TestFileWriter checks that a second writer of a path is refused, and that a
// discarded file leaves no trace.
func TestFileWriter(t *testing.T) {
	path := filepath.Join(t.TempDir(), "out")
	w, err := vfs.CreateFile(t.Context(), path, false)
	require.NoError(t, err)
	_, err = vfs.CreateFile(t.Context(), path, false)
	require.ErrorIs(t, err, vfs.ErrBusy)
	_, err = io.WriteString(w, "text")
	require.NoError(t, err)
	require.NoError(t, w.Publish())
	require.NoError(t, w.Discard())
	requireFile(t, path, "text")
	_, err = vfs.CreateFile(t.Context(), path, false)
	require.ErrorIs(t, err, os.ErrExist)
	w, err = vfs.CreateFile(t.Context(), path, true)
	require.NoError(t, err)
	require.NoError(t, w.Discard())
	requireFile(t, path, "text")
	entries, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	require.Len(t, entries, 1)
}

// TestTempFile writes and reads a temporary file, which Close removes.
func TestTempFile(t *testing.T) {
	dir := t.TempDir()
	f, err := vfs.CreateTemp(vfs.OS, dir, "x-*")
	require.NoError(t, err)
	for range 3 {
		_, err := f.Write([]byte("abc"))
		require.NoError(t, err)
	}
	require.EqualValues(t, 9, f.Size())
	text, err := io.ReadAll(f.Reader())
	require.NoError(t, err)
	require.Equal(t, "abcabcabc", string(text))
	part := make([]byte, 2)
	_, err = f.ReadAt(part, 4)
	require.NoError(t, err)
	require.True(t, bytes.Equal([]byte("bc"), part))
	require.NoError(t, f.Close())
	require.NoError(t, (*vfs.TempFile)(nil).Close())
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, entries)
}
