//go:build unix

package vfs

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestMapped reads the same as without a map, also past the end.
func TestMapped(t *testing.T) {
	content := bytes.Repeat([]byte("koala "), 3000)
	dir := t.TempDir()
	write(t, dir, "file", string(content))
	write(t, dir, "empty", "")
	for _, open := range []func() (File, error){
		func() (File, error) { return Mapped(OS).Open(filepath.Join(dir, "file")) },
		func() (File, error) { return Mapped(OS).OpenIn(dir, "file", false) },
	} {
		f, err := open()
		require.NoError(t, err)
		require.IsType(t, &mappedFile{}, f)
		require.Equal(t, int64(len(content)), f.Size())
		for _, off := range []int64{0, 1, 4095, 4096, int64(len(content)) - 3, int64(len(content)), int64(len(content)) + 9, -1} {
			p := make([]byte, 10)
			n, err := f.ReadAt(p, off)
			want, wantErr := bytes.NewReader(content).ReadAt(make([]byte, 10), max(off, 0))
			if off < 0 {
				want, wantErr = 0, io.EOF
			}
			require.Equal(t, want, n)
			require.Equal(t, wantErr, err)
			require.Equal(t, string(content[min(max(off, 0), int64(len(content))):][:n]), string(p[:n]))
		}
		require.NoError(t, f.Close())
	}
	f, err := Mapped(OS).Open(filepath.Join(dir, "empty"))
	require.NoError(t, err)
	require.NoError(t, f.Close())
	_, err = Mapped(OS).Open(dir)
	require.ErrorIs(t, err, ErrNotRegular)
	_, err = Mapped(OS).OpenIn(dir, "../x", false)
	require.ErrorIs(t, err, ErrName)
}

// TestMappedAndCut cuts a mapped file. Reading a missing page is an error and
// does not end the process.
func TestMappedAndCut(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(path, make([]byte, 1<<20), 0o644))
	f, err := Mapped(OS).Open(path)
	require.NoError(t, err)
	defer f.Close()
	require.NoError(t, os.Truncate(path, 100))
	for _, off := range []int64{0, 200, 1 << 19} { // what is left, zeros of its page, and a page that is gone
		n, err := f.ReadAt(make([]byte, 10), off)
		require.ErrorIs(t, err, io.ErrUnexpectedEOF)
		require.Zero(t, n)
	}
}
