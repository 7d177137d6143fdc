//go:build unix

package weights_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/koala-go/sdk/internal/vfs"
	"github.com/koala-go/sdk/weights"
)

// replace puts something else in the place of a file, and moves the file
// elsewhere.
func replace(t *testing.T, path, elsewhere string, with func(path string) error) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(elsewhere), 0o755))
	require.NoError(t, os.Rename(path, elsewhere))
	require.NoError(t, with(path))
}

// TestNotRegular opens directories with a FIFO, a directory or a device in the
// place of a file.
func TestNotRegular(t *testing.T) {
	for what, with := range map[string]func(path string) error{
		"named pipe": func(path string) error { return unix.Mkfifo(path, 0o600) },
		"directory":  func(path string) error { return os.Mkdir(path, 0o755) },
		"link to a named pipe": func(path string) error {
			fifo := filepath.Join(filepath.Dir(path), "fifo")
			return errorsOf(unix.Mkfifo(fifo, 0o600), os.Symlink("fifo", path))
		},
	} {
		for _, name := range []string{shard1, indexFile, "config.json"} {
			t.Run(what+" as "+name, func(t *testing.T) {
				dir := tiny(t)
				replace(t, filepath.Join(dir, name), filepath.Join(t.TempDir(), "moved"), with)
				for _, follow := range []bool{false, true} {
					before := openFiles()
					_, err := weights.Open(t.Context(), dir, &weights.OpenOptions{FollowLinks: follow})
					require.ErrorIs(t, err, vfs.ErrNotRegular)
					require.ErrorContains(t, err, filepath.Join(dir, name))
					require.Equal(t, before, openFiles(), "files are left open")
				}
			})
		}
	}
	dir := tiny(t)
	replace(t, filepath.Join(dir, shard1), filepath.Join(t.TempDir(), "moved"), func(path string) error { return os.Symlink(os.DevNull, path) })
	_, err := weights.Open(t.Context(), dir, &weights.OpenOptions{FollowLinks: true})
	require.ErrorIs(t, err, vfs.ErrNotRegular, "device")
	_, err = weights.Open(t.Context(), os.DevNull, nil)
	require.ErrorIs(t, err, vfs.ErrNotRegular, "device by name")
	fifo := filepath.Join(t.TempDir(), "fifo")
	require.NoError(t, unix.Mkfifo(fifo, 0o600))
	_, err = weights.Open(t.Context(), fifo, nil)
	require.ErrorIs(t, err, vfs.ErrNotRegular, "named pipe by name")
}

func errorsOf(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

// TestLinkedShards follows links within the directory, and others with
// FollowLinks.
func TestLinkedShards(t *testing.T) {
	for _, name := range []string{shard1, indexFile, "config.json"} {
		t.Run(name, func(t *testing.T) {
			dir := tiny(t)
			path := filepath.Join(dir, name)
			replace(t, path, filepath.Join(dir, "sub", "inside"), func(path string) error { return os.Symlink("sub/inside", path) })
			require.NoError(t, open(t, dir, nil).Complete(), "a link inside")

			outside := filepath.Join(t.TempDir(), "outside")
			replace(t, path, path+".old", func(path string) error { return os.Symlink(outside, path) })
			require.NoError(t, os.Rename(filepath.Join(dir, "sub", "inside"), outside))
			_, err := weights.Open(t.Context(), dir, nil)
			require.ErrorIs(t, err, weights.ErrLink)
			require.ErrorContains(t, err, "--follow-links")
			require.ErrorContains(t, err, outside, "the error names where the link goes")
			require.ErrorContains(t, err, path)
			c := open(t, dir, &weights.OpenOptions{FollowLinks: true})
			require.NoError(t, c.Complete())
			require.Equal(t, 4, c.Config.Heads)
		})
	}
}

// TestHuggingFaceCache opens the directories that huggingface_hub downloads
// into.
func TestHuggingFaceCache(t *testing.T) {
	dir := tiny(t)
	cache := t.TempDir()
	rev := filepath.Join(cache, "snapshots", "0123abc")
	require.NoError(t, os.MkdirAll(rev, 0o755))
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.NoError(t, os.Rename(dir, filepath.Join(cache, "blobs")))
	for _, e := range entries { // blobs are named by hash; any name will do
		require.NoError(t, os.Symlink("../../blobs/"+e.Name(), filepath.Join(rev, e.Name())))
	}
	c := open(t, rev, nil)
	require.NoError(t, c.Complete())
	require.Equal(t, 4, c.Config.Heads, "config.json is linked too")
}
