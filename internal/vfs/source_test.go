package vfs

import (
	"io/fs"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/source"
)

// TestSource reads local files as those of a Source.
func TestSource(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "file", "content")
	src := Source(OS)
	list, err := src.List(t.Context(), dir)
	require.NoError(t, err)
	require.Len(t, list, 1)
	require.Equal(t, "file", list[0].Name)
	info, err := src.Stat(t.Context(), filepath.Join(dir, "file"))
	require.NoError(t, err)
	require.True(t, info.Same(list[0]))
	require.Equal(t, int64(7), info.Size)
	f, err := src.Open(t.Context(), filepath.Join(dir, "file"))
	require.NoError(t, err)
	defer f.Close()
	require.Implements(t, (*source.Prefetcher)(nil), f)
	opened, err := f.Stat()
	require.NoError(t, err)
	require.True(t, opened.Same(info))
	_, err = src.Open(t.Context(), filepath.Join(dir, "absent"))
	require.ErrorIs(t, err, fs.ErrNotExist)
	_, err = src.Open(t.Context(), dir)
	require.ErrorIs(t, err, ErrNotRegular)
}
