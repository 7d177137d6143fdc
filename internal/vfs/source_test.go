package vfs

import (
	"io/fs"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/source"
)

// TestSourceFile presents a local file as one of a Source.
func TestSourceFile(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "file", "content")
	f, err := SourceFile(OS.Open(filepath.Join(dir, "file")))
	require.NoError(t, err)
	defer f.Close()
	require.Implements(t, (*source.Prefetcher)(nil), f)
	info, err := f.Stat()
	require.NoError(t, err)
	require.Equal(t, "file", info.Name)
	require.Equal(t, int64(7), info.Size)
	_, err = SourceFile(OS.Open(filepath.Join(dir, "absent")))
	require.ErrorIs(t, err, fs.ErrNotExist)
	_, err = SourceFile(OS.Open(dir))
	require.ErrorIs(t, err, ErrNotRegular)
}
