package vfs

import (
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCheckName(t *testing.T) {
	for _, name := range []string{
		"model.safetensors", "model-00001-of-00002.safetensors", "a", "..a", "a..", "...", ".hidden", "größe", "name with spaces",
		strings.Repeat("x", 255),
	} {
		require.NoError(t, CheckName(name), "%.20q", name)
	}
	for what, name := range map[string]string{
		"empty":              "",
		"dot":                ".",
		"dot dot":            "..",
		"parent":             "../model.safetensors",
		"deep parent":        "a/../../b",
		"absolute":           "/etc/passwd",
		"subdirectory":       "sub/model.safetensors",
		"trailing slash":     "model/",
		"backslash":          `..\model.safetensors`,
		"NUL":                "model\x00.safetensors",
		"URL":                "https://example.org/model.safetensors",
		"URL without slash":  "http:model",
		"drive":              "C:model",
		"alternate stream":   "model.safetensors:stream",
		"256 bytes":          strings.Repeat("x", 256),
		"300 characters":     strings.Repeat("x", 300),
		"200 two-byte runes": strings.Repeat("ß", 200),
		"not UTF-8":          "model\xff",
	} {
		err := CheckName(name)
		require.ErrorIs(t, err, ErrName, what)
		require.Less(t, len(err.Error()), 500, "%s: the message must not repeat a long name", what)
		_, err = OS.OpenIn(t.TempDir(), name, true)
		require.ErrorIs(t, err, ErrName, "%s: OpenIn must check the name first", what)
	}
}

func TestOpen(t *testing.T) {
	dir := t.TempDir()
	path := write(t, dir, "file", "content")
	for _, open := range []func() (File, error){
		func() (File, error) { return OS.Open(path) },
		func() (File, error) { return OS.OpenIn(dir, "file", false) },
		func() (File, error) { return OS.OpenIn(dir, "file", true) },
	} {
		requireContent(t, "content")(open())
	}
	_, err := OS.Open(filepath.Join(dir, "absent"))
	require.ErrorIs(t, err, fs.ErrNotExist)
	_, err = OS.OpenIn(dir, "absent", false)
	require.ErrorIs(t, err, fs.ErrNotExist)
	_, err = OS.OpenIn(filepath.Join(dir, "absent"), "file", false)
	require.ErrorIs(t, err, fs.ErrNotExist)
	_, err = OS.OpenIn(path, "file", false)
	require.Error(t, err, "the directory is a file")
}

// TestLargeFile opens a sparse file of more than 2 GiB, which needs a flag on
// 32-bit systems.
func TestLargeFile(t *testing.T) {
	const size = 3 << 30
	dir := t.TempDir()
	path := write(t, dir, "large", "")
	if err := os.Truncate(path, size); err != nil {
		t.Skipf("this file system has no sparse files of 3 GiB: %v", err)
	}
	for _, open := range []func() (File, error){
		func() (File, error) { return OS.Open(path) },
		func() (File, error) { return OS.OpenIn(dir, "large", false) },
	} {
		f, err := open()
		require.NoError(t, err)
		require.EqualValues(t, int64(size), f.Size())
		n, err := f.ReadAt(make([]byte, 8), size-8)
		require.NoError(t, err)
		require.Equal(t, 8, n)
		require.NoError(t, f.Close())
	}
}

func TestCreate(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "new")
	f, err := OS.Create(path, 10_000)
	require.NoError(t, err)
	require.EqualValues(t, 10_000, f.Size())
	_, err = f.WriteAt([]byte("end"), 9_997)
	require.NoError(t, err)
	require.NoError(t, f.Sync())
	require.NoError(t, f.Close())
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, strings.Repeat("\x00", 9_997)+"end", string(b))

	_, err = OS.Create(path, 5)
	require.ErrorIs(t, err, fs.ErrExist, "a file is never opened over another")

	empty, err := OS.Create(filepath.Join(dir, "empty"), 0)
	require.NoError(t, err)
	require.NoError(t, empty.Close())
}

// TestFree checks that the answer is plausible: other processes use the disk
// too.
func TestFree(t *testing.T) {
	n, err := OS.Free(t.TempDir())
	if err != nil {
		t.Skipf("this system does not tell: %v", err)
	}
	require.Positive(t, n)
	_, err = OS.Free(filepath.Join(t.TempDir(), "absent"))
	require.ErrorIs(t, err, fs.ErrNotExist)
}

// write makes a small file.
func write(t *testing.T, dir, name, content string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	require.NoError(t, os.WriteFile(path, []byte(content), 0o644))
	return path
}

// requireContent checks the content of an open file, and closes it.
func requireContent(t *testing.T, want string) func(File, error) {
	t.Helper()
	return func(f File, err error) {
		t.Helper()
		require.NoError(t, err)
		defer f.Close()
		require.EqualValues(t, len(want), f.Size())
		b, err := io.ReadAll(io.NewSectionReader(f, 0, f.Size()+1))
		require.NoError(t, err)
		require.Equal(t, want, string(b))
	}
}

// names lists a directory.
func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	var list []string
	for _, e := range entries {
		list = append(list, e.Name())
	}
	return list
}
