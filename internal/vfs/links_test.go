//go:build unix

package vfs

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// TestNotRegular opens files that are not regular, by path and by name in a
// directory. Opening a FIFO must not wait for a writer.
func TestNotRegular(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, unix.Mkfifo(filepath.Join(dir, "fifo"), 0o600))
	require.NoError(t, os.Mkdir(filepath.Join(dir, "dir"), 0o755))
	require.NoError(t, os.Symlink("fifo", filepath.Join(dir, "link")))
	for name, kind := range map[string]string{"fifo": "named pipe", "dir": "directory", "link": "named pipe"} {
		for how, open := range map[string]func() (File, error){
			"Open":           func() (File, error) { return OS.Open(filepath.Join(dir, name)) },
			"OpenIn":         func() (File, error) { return OS.OpenIn(dir, name, false) },
			"OpenIn, follow": func() (File, error) { return OS.OpenIn(dir, name, true) },
		} {
			requireRefused(t, name+", "+how, kind, open)
		}
	}
	requireRefused(t, "device", "device", func() (File, error) { return OS.Open(os.DevNull) })
	requireRefused(t, "device", "device", func() (File, error) { return OS.OpenIn("/dev", "null", false) })
}

func requireRefused(t *testing.T, what, kind string, open func() (File, error)) {
	t.Helper()
	done := make(chan error, 1)
	go func() {
		_, err := open()
		done <- err
	}()
	select {
	case err := <-done:
		require.ErrorIs(t, err, ErrNotRegular, what)
		require.ErrorContains(t, err, kind, what)
	case <-time.After(10 * time.Second):
		require.Fail(t, "opening blocks", what)
	}
}

// tree is a directory with a Hugging Face cache and files around it:
//
//	secret, cache/other, cache/blobs/HASH, cache/snapshots/REV/{file,sub/file}
func tree(t *testing.T) (root, rev string) {
	t.Helper()
	root = t.TempDir()
	rev = filepath.Join(root, "cache", "snapshots", "REV")
	for _, dir := range []string{filepath.Join(root, "cache", "blobs"), filepath.Join(rev, "sub")} {
		require.NoError(t, os.MkdirAll(dir, 0o755))
	}
	write(t, root, "secret", "secret")
	write(t, filepath.Join(root, "cache"), "other", "other")
	write(t, filepath.Join(root, "cache", "blobs"), "HASH", "blob")
	write(t, rev, "file", "inside")
	write(t, filepath.Join(rev, "sub"), "file", "sub")
	return root, rev
}

// TestLinks opens the link "name" in snapshots/REV. Links that leave the
// directory are refused with an error that states their target, unless follow
// is true.
func TestLinks(t *testing.T) {
	for _, c := range []struct {
		name   string
		links  [][2]string // target, path in snapshots/REV
		want   string      // content, "" when refused
		follow string      // content when all links are followed
		names  string      // what the refusal names
	}{
		{"inside", [][2]string{{"file", "name"}}, "inside", "inside", ""},
		{"inside, in a subdirectory", [][2]string{{"sub/file", "name"}}, "sub", "sub", ""},
		{"inside, with a detour", [][2]string{{"sub/../file", "name"}}, "inside", "inside", ""},
		{"chain inside", [][2]string{{"file", "one"}, {"one", "two"}, {"two", "name"}}, "inside", "inside", ""},
		{"cache", [][2]string{{"../../blobs/HASH", "name"}}, "blob", "blob", ""},
		{"outside", [][2]string{{"../../../secret", "name"}}, "", "secret", "../../../secret"},
		{"outside, beside blobs", [][2]string{{"../../other", "name"}}, "", "other", "../../other"},
		{"blobs and out again", [][2]string{{"../../blobs/../other", "name"}}, "", "other", "../../blobs/../other"},
		{"chain out", [][2]string{{"../../../secret", "one"}, {"one", "name"}}, "", "secret", "secret"},
		{"chain to the cache", [][2]string{{"../../blobs/HASH", "one"}, {"one", "name"}}, "", "blob", "HASH"},
		{"directory out", [][2]string{{"../../..", "up"}, {"up/secret", "name"}}, "", "secret", "secret"},
		{"blob is a link out", [][2]string{{"../../secret", "../../blobs/LINK"}, {"../../blobs/LINK", "name"}}, "", "secret", "secret"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, rev := tree(t)
			for _, l := range c.links {
				require.NoError(t, os.Symlink(l[0], filepath.Join(rev, l[1])))
			}
			requireContent(t, c.follow)(OS.OpenIn(rev, "name", true))
			f, err := OS.OpenIn(rev, "name", false)
			if c.want != "" {
				requireContent(t, c.want)(f, err)
				return
			}
			require.ErrorIs(t, err, ErrLink)
			require.ErrorContains(t, err, c.names)
			require.ErrorContains(t, err, filepath.Join(rev, "name"))
		})
	}
}

func TestAbsoluteLink(t *testing.T) {
	root, rev := tree(t)
	require.NoError(t, os.Symlink(filepath.Join(root, "secret"), filepath.Join(rev, "name")))
	_, err := OS.OpenIn(rev, "name", false)
	require.ErrorIs(t, err, ErrLink)
	require.ErrorContains(t, err, filepath.Join(root, "secret"))
	requireContent(t, "secret")(OS.OpenIn(rev, "name", true))
}

// TestFalseCache opens links that look like those of the cache and lead
// elsewhere.
func TestFalseCache(t *testing.T) {
	t.Run("blobs is a link out", func(t *testing.T) {
		root, rev := tree(t)
		blobs := filepath.Join(root, "cache", "blobs")
		require.NoError(t, os.RemoveAll(blobs))
		require.NoError(t, os.Symlink("..", blobs))
		require.NoError(t, os.Symlink("../../blobs/secret", filepath.Join(rev, "name")))
		_, err := OS.OpenIn(rev, "name", false)
		require.ErrorIs(t, err, ErrLink)
		requireContent(t, "secret")(OS.OpenIn(rev, "name", true))
	})
	t.Run("not in snapshots", func(t *testing.T) {
		root, rev := tree(t)
		elsewhere := filepath.Join(root, "cache", "elsewhere")
		require.NoError(t, os.Rename(filepath.Dir(rev), elsewhere))
		require.NoError(t, os.Symlink("../../blobs/HASH", filepath.Join(elsewhere, "REV", "name")))
		_, err := OS.OpenIn(filepath.Join(elsewhere, "REV"), "name", false)
		require.ErrorIs(t, err, ErrLink)
	})
	t.Run("blob is a FIFO", func(t *testing.T) {
		root, rev := tree(t)
		require.NoError(t, unix.Mkfifo(filepath.Join(root, "cache", "blobs", "FIFO"), 0o600))
		require.NoError(t, os.Symlink("../../blobs/FIFO", filepath.Join(rev, "name")))
		_, err := OS.OpenIn(rev, "name", false)
		require.ErrorIs(t, err, ErrNotRegular)
	})
	t.Run("blob is absent", func(t *testing.T) {
		_, rev := tree(t)
		require.NoError(t, os.Symlink("../../blobs/ABSENT", filepath.Join(rev, "name")))
		_, err := OS.OpenIn(rev, "name", false)
		require.ErrorIs(t, err, fs.ErrNotExist)
	})
}

// TestCacheByRelativePath opens a snapshot by relative paths.
func TestCacheByRelativePath(t *testing.T) {
	_, rev := tree(t)
	require.NoError(t, os.Symlink("../../blobs/HASH", filepath.Join(rev, "name")))
	t.Chdir(rev)
	requireContent(t, "blob")(OS.OpenIn(".", "name", false))
	t.Chdir(filepath.Join(rev, "..", ".."))
	requireContent(t, "blob")(OS.OpenIn(filepath.Join("snapshots", "REV"), "name", false))
	requireContent(t, "blob")(OS.OpenIn("snapshots/REV/", "name", false))
}

func TestLinkLoop(t *testing.T) {
	_, rev := tree(t)
	require.NoError(t, os.Symlink("name", filepath.Join(rev, "name")))
	for _, follow := range []bool{false, true} {
		_, err := OS.OpenIn(rev, "name", follow)
		require.ErrorContains(t, err, filepath.Join(rev, "name"))
	}
}
