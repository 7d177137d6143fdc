package vfs_test

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/koala-go/sdk/internal/vfs"
)

func text(s string) func(io.Writer) error {
	return func(w io.Writer) error {
		_, err := io.WriteString(w, s)
		return err
	}
}

func TestWriteFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "chat.json")
	ctx := context.Background()
	require.NoError(t, vfs.WriteFile(ctx, path, false, text("first")))
	require.ErrorIs(t, vfs.WriteFile(ctx, path, false, text("second")), fs.ErrExist)
	full := errors.New("no space")
	require.ErrorIs(t, vfs.WriteFile(ctx, path, true, func(w io.Writer) error {
		_, _ = io.WriteString(w, "half")
		return full
	}), full)
	requireFile(t, path, "first")
	require.NoError(t, vfs.WriteFile(ctx, path, true, text("third, longer")))
	requireFile(t, path, "third, longer")
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 1, "nothing hidden is left")
}

func requireFile(t *testing.T, path, want string) {
	t.Helper()
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, want, string(b))
}
